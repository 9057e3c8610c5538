// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace assay::kernels::fsdp {

/// A checkpoint that cannot be written or must not be read: the path, what was expected, what was found.
class CheckpointError : public std::runtime_error {
 public:
  CheckpointError(const std::string& path, const std::string& expected, const std::string& found)
      : std::runtime_error(path + ": expected " + expected + ", found " + found) {}
};

}  // namespace assay::kernels::fsdp

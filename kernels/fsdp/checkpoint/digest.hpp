// SPDX-License-Identifier: Apache-2.0
// SHA-256 of what goes by, piece by piece.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace assay::kernels::fsdp {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::span<const std::byte> bytes);
  /// 64 lower-case hexadecimal digits. Ends the digest: nothing is added behind it.
  std::string finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256(std::span<const std::byte> bytes);
/// Of a whole file, in pieces of 1 MiB. Throws CheckpointError where it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace assay::kernels::fsdp

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace assay::kernels::fsdp {

enum class TransportFault : std::uint8_t {
  kTimeout,     ///< a rank sent or took nothing for as long as the operation may last
  kPeerClosed,  ///< a rank ended, or closed its connection, before its message
  kTruncated,   ///< … within a message
  kMismatch,    ///< a rank is in another operation, or sends another number of bytes
  kSystem,      ///< the system refused a socket
};

/// Names the operation, its number, the group and the ranks at fault.
class TransportError : public std::runtime_error {
 public:
  TransportError(TransportFault fault, const std::string& message)
      : std::runtime_error(message), fault_(fault) {}
  TransportFault fault() const { return fault_; }

 private:
  TransportFault fault_;
};

}  // namespace assay::kernels::fsdp

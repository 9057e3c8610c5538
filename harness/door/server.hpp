// SPDX-License-Identifier: Apache-2.0
// The other side of the door: the process that makes the calls. It judges nothing but what needs its own
// streams.
#pragma once

#include <string>

namespace assay::harness::door {

struct Served {
  std::string library;         ///< path of a shared library, or
  std::string implementation;  ///< the name of one of this program's implementations
};

/// Answers requests on stdin until it ends; stdout is moved away first, so what foreign code prints goes to
/// stderr. Returns the exit status.
int serve(const Served& served);

}  // namespace assay::harness::door

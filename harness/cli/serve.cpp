// SPDX-License-Identifier: Apache-2.0
// `serve-candidate`: what --candidate and --isolate start.
#include "harness/cli/commands.hpp"
#include "harness/core/outcome.hpp"
#include "harness/door/server.hpp"

namespace assay::harness::cli {

int serve_candidate(const std::string& library, const std::string& implementation) {
  if (library.empty() == implementation.empty())
    throw UsageError("serve-candidate: expected --library or --implementation; it is started by --candidate");
  return door::serve({library, implementation});
}

}  // namespace assay::harness::cli

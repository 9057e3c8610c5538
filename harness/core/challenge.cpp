// SPDX-License-Identifier: Apache-2.0
// Names of the roles an implementation can have.
#include "harness/core/challenge.hpp"

namespace assay::harness {

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kOracle:
      return "oracle";
    case Role::kBaseline:
      return "baseline";
    case Role::kCandidate:
      return "candidate";
    case Role::kPeer:
      return "peer";
    case Role::kMutant:
      return "mutant";
  }
  throw std::invalid_argument("expected a known role, found the value " +
                              std::to_string(static_cast<int>(role)));
}

}  // namespace assay::harness

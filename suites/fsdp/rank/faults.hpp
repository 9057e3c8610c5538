// SPDX-License-Identifier: Apache-2.0
// Wrong ways to train over ranks, by name: each must be rejected by the check that kFaults names with it.
#pragma once

#include <string>

#include "suites/fsdp/rank/counted_group.hpp"

namespace assay::suites::fsdp {

/// The groups of a rank, counted; with the fault of that name. Empty: none. Throws std::invalid_argument for
/// a name that is not known.
struct CountedGroups {
  c10::intrusive_ptr<CountedGroup> gather, reduce;
};
CountedGroups counted(const c10::intrusive_ptr<c10d::Backend>& gather,
                      const c10::intrusive_ptr<c10d::Backend>& reduce, const std::string& fault);

}  // namespace assay::suites::fsdp

// SPDX-License-Identifier: Apache-2.0
// The measurements of a record line. Private to the record room.
#pragma once

#include "harness/core/outcome.hpp"
#include "harness/record/field.hpp"

namespace assay::harness::record_detail {

std::string text_or_empty(const Field& parent, std::string_view name);
std::int64_t integer_or(const Field& parent, std::string_view name, std::int64_t fallback,
                        std::int64_t least = 0);

Parity parity_of(const Field& parity);
/// Headline first. `line` is the whole record: "time", "times" and "verdict" must agree.
std::vector<Timing> timings_of(const Field& line);
Memory memory_of(const Field& memory);
WorkDone work_of(const Field& work);

Json parity_json(const Parity& parity);
Json time_json(const Timing& timing);                 ///< without samples
Json times_json(const std::vector<Timing>& timings);  ///< with samples
Json memory_json(const Memory& memory);
Json work_json(const WorkDone& work);

}  // namespace assay::harness::record_detail

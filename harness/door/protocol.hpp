// SPDX-License-Identifier: Apache-2.0
// The lines that judge and judged exchange, one JSON object each: docs/candidates.md has them for users.
// Pure.
//
//   {"id":"…","op":"open","protocol":1,…}      the case, its sets of tensors, the device
//   {"id":"…","op":"load","set":k}             CUDA: host memory of set k -> the device
//   {"id":"…","op":"run","first":k,"count":n}  n calls on the sets from k on, around; answered when all work
//   has ended
//   {"id":"…","op":"store","set":k}            CUDA: the device -> host memory of set k
//   {"id":"…","op":"verify"}                   CUDA, this program's server alone: the checks that need
//   streams and graphs
//   {"id":"…","ok":true}   or   {"id":"…","outcome":"skipped" | "failed" | "out_of_memory" |
//   "wrong","reason":"…"}
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/outcome.hpp"
#include "harness/core/outside.hpp"
#include "harness/door/shared_set.hpp"

namespace assay::harness::door {

inline constexpr int kProtocol = 1;

struct Opening {
  std::string challenge, case_name;
  DeviceKind device = DeviceKind::kCpu;
  std::map<std::string, Attribute> attributes;
  Specs specs;
  std::vector<std::string> files;  ///< one a set, all of layout_of(specs)
};

struct Request {
  std::string id, op;
  std::int64_t set = 0, first = 0, count = 0;
  std::optional<Opening>
      opening;  ///< op "open"; without attributes, which this program's server does not need
};

std::string request_line(const Request& request);
/// Throws std::runtime_error saying what was expected and found.
Request parse_request(const std::string& line);

std::string answer_line(const std::string& id);
std::string answer_line(const std::string& id, const Outcome& outcome);
/// nullopt: done. Else how the row ends; what is no answer to request `id` ends it as failed: "protocol: …".
std::optional<Outcome> parse_answer(const std::string& line, const Request& request);

}  // namespace assay::harness::door

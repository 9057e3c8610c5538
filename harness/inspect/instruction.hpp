// SPDX-License-Identifier: Apache-2.0
// One SASS instruction and where cache policies of memory accesses come from.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "harness/inspect/inspect.hpp"

namespace assay::harness {

/// "@P0 LDG.E.NA.128 R8, desc[UR4][R2.64]": opcode LDG, modifiers E NA 128, operands R8 and desc[UR4][R2.64].
struct Instruction {
  std::string opcode;
  std::vector<std::string> modifiers;
  std::vector<std::string> operands;

  bool has(std::string_view modifier) const;
};

/// From the text between the address comment and the semicolon. An empty opcode when there is none.
Instruction parse_instruction(std::string_view text);

/// Follows, in program order, which registers hold the memory descriptor that the driver passes (a constant
/// below the kernel's parameters). An access through any other descriptor carries a cache policy.
class DescriptorTracker {
 public:
  explicit DescriptorTracker(std::string_view arch);
  void step(const Instruction& instruction);
  bool carries_policy(const Instruction& instruction) const;

 private:
  bool is_default(const std::string& register_name) const;

  int parameters_begin_;                    ///< offset in constant bank 0
  std::map<std::string, bool> is_default_;  ///< by register: last written value is the driver's
};

/// Adds one instruction to the kernel's counts (descriptor and local facts included).
void count(const Instruction& instruction, const DescriptorTracker& descriptors, KernelCode& kernel);

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
// SASS as cuobjdump 12 and 13 print it for sm_75 to sm_120.
#include "harness/inspect/instruction.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace assay::harness {
namespace {

constexpr std::array<std::string_view, 15> kMatrixOpcodes = {
    "HMMA",  "IMMA",  "DMMA",  "BMMA",    "QMMA",    "OMMA",    "HGMMA",  "IGMMA",
    "QGMMA", "BGMMA", "DGMMA", "UTCHMMA", "UTCIMMA", "UTCQMMA", "UTCOMMA"};
constexpr std::array<std::string_view, 11> kCacheHints = {
    "EF", "EL", "EU", "LU", "NA", "EFL2", "ELL2", "LTC64B", "LTC128B", "LTC256B", "CONSTANT"};

template <class Range>
bool contains(const Range& range, std::string_view value) {
  return std::find(range.begin(), range.end(), value) != range.end();
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::size_t first = text.find_first_not_of(" \t");
    const std::size_t last = text.find_last_not_of(" \t", end == 0 ? 0 : end - 1);
    parts.emplace_back(first < end ? text.substr(first, last - first + 1) : std::string_view());
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

int access_bytes(const Instruction& instruction) {
  constexpr std::array<std::pair<std::string_view, int>, 7> kWidths = {
      {{"U8", 1}, {"S8", 1}, {"U16", 2}, {"S16", 2}, {"64", 8}, {"128", 16}, {"256", 32}}};
  for (const auto& [modifier, bytes] : kWidths) {
    if (instruction.has(modifier)) {
      return bytes;
    }
  }
  return 4;
}

/// Register name inside "desc[UR4][R2.64]"; empty when the operands have no descriptor.
std::string descriptor_register(const Instruction& instruction) {
  for (const std::string& operand : instruction.operands) {
    const std::size_t at = operand.find("desc[");
    if (at != std::string::npos) {
      return operand.substr(at + 5, operand.find(']', at) - at - 5);
    }
  }
  return {};
}

/// "UR4" -> "UR5": the second half of a 64-bit register pair.
std::string next_register(const std::string& name) {
  const std::size_t digits = name.find_first_of("0123456789");
  return digits == std::string::npos
             ? name
             : name.substr(0, digits) + std::to_string(std::stoi(name.substr(digits)) + 1);
}

/// Offset of "c[0x0][0x208]"; -1 for anything else.
int constant_offset(std::string_view operand) {
  constexpr std::string_view kBank = "c[0x0][0x";
  int offset = -1;
  if (operand.starts_with(kBank)) {
    std::from_chars(operand.data() + kBank.size(), operand.data() + operand.size(), offset, 16);
  }
  return offset;
}

}  // namespace

bool Instruction::has(std::string_view modifier) const {
  return contains(modifiers, modifier);
}

Instruction parse_instruction(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t{"), text.size()));
  if (text.starts_with('@')) {  // predicate
    text.remove_prefix(std::min(text.find(' '), text.size()));
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  }
  Instruction instruction;
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  instruction.modifiers = split(text.substr(0, end), '.');
  if (!instruction.modifiers.empty()) {
    instruction.opcode = instruction.modifiers.front();
    instruction.modifiers.erase(instruction.modifiers.begin());
  }
  instruction.operands = split(text.substr(end), ',');
  return instruction;
}

// Where kernel parameters begin (CUDA 13 code, seen 2026-11): what the driver passes lies below.
DescriptorTracker::DescriptorTracker(std::string_view arch) : parameters_begin_(0x160) {
  int sm = 0;
  arch.remove_prefix(std::min<std::size_t>(3, arch.size()));
  std::from_chars(arch.data(), arch.data() + arch.size(), sm);
  if (sm >= 100) {
    parameters_begin_ = 0x380;
  } else if (sm >= 90) {
    parameters_begin_ = 0x210;
  }
}

bool DescriptorTracker::is_default(const std::string& register_name) const {
  const auto known = is_default_.find(register_name);
  return known != is_default_.end() && known->second;
}

void DescriptorTracker::step(const Instruction& instruction) {
  if (instruction.operands.size() < 2) {
    return;
  }
  const std::string& to = instruction.operands[0];
  if (!to.starts_with('R') && !to.starts_with("UR")) {
    return;
  }
  const bool copies = instruction.operands.size() == 2;
  const int offset = constant_offset(instruction.operands[1]);
  const int registers = instruction.has("128") ? 4 : instruction.has("64") ? 2 : 1;
  std::string name = to;
  for (int i = 0; i < registers; ++i, name = next_register(name)) {
    is_default_[name] =
        copies && (offset >= 0 ? offset + 4 * i < parameters_begin_ : is_default(instruction.operands[1]));
  }
}

bool DescriptorTracker::carries_policy(const Instruction& instruction) const {
  const std::string name = descriptor_register(instruction);
  if (name.empty()) {
    return false;
  }
  return !is_default(name) || !is_default(next_register(name));
}

void count(const Instruction& instruction, const DescriptorTracker& descriptors, KernelCode& kernel) {
  const std::string& opcode = instruction.opcode;
  kernel.instructions += opcode != "NOP";
  kernel.local_loads += opcode == "LDL";
  kernel.local_stores += opcode == "STL";
  kernel.fused_multiply_adds += opcode == "FFMA";
  kernel.bulk_copies +=
      opcode.starts_with("UBLK") || opcode == "UTMALDG" || opcode == "UTMASTG" || opcode == "UTMAREDG";
  if (contains(kMatrixOpcodes, opcode)) {
    std::string name = opcode;
    for (const std::string& modifier : instruction.modifiers) {
      name += '.' + modifier;
    }
    ++kernel.matrix_instructions[name];
  }
  const bool load = opcode == "LDG" || opcode == "LDGSTS", store = opcode == "STG";
  if (!load && !store) {
    return;
  }
  ++(load ? kernel.global_loads : kernel.global_stores)[access_bytes(instruction)];
  for (const std::string& modifier : instruction.modifiers) {
    if (contains(kCacheHints, modifier)) {
      ++kernel.cache_hints[opcode + '.' + modifier];
    }
  }
  if (descriptors.carries_policy(instruction)) {
    ++kernel.cache_hints[opcode + ".L2POLICY"];
  }
}

}  // namespace assay::harness

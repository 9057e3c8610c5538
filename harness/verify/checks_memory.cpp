// SPDX-License-Identifier: Apache-2.0
// Checks on what the call touches: outside of outputs, inputs, and every element of the outputs.
#include <fmt/format.h>

#include <cstring>

#include "harness/verify/checks.hpp"
#include "harness/verify/describe.hpp"

namespace assay::harness {
namespace {

bool all_bytes(const std::byte* data, std::size_t count, std::uint8_t value) {
  for (std::size_t i = 0; i < count; ++i) {
    if (data[i] != std::byte{value}) {
      return false;
    }
  }
  return true;
}

/// Elements that still hold the poison each run began with.
Reason find_poison(const TensorSet& first, const TensorSet& second) {
  for (const TensorView& view : first.views()) {
    const std::size_t size = size_of(view.dtype);
    const auto* before = view.as<const std::byte>();
    const auto* after = second.at(view.name).as<const std::byte>();
    std::int64_t index = -1, count = 0;
    for (std::int64_t i = 0; i < view.numel(); ++i) {
      if (all_bytes(before + i * size, size, kPoison) && all_bytes(after + i * size, size, kSecondPoison)) {
        index = index < 0 ? i : index;
        ++count;
      }
    }
    if (count > 0) {
      return fmt::format("{} of {} elements were never written, first {}", count, view.numel(),
                         place(view, index));
    }
  }
  return std::nullopt;
}

}  // namespace

Reason check_first_run(Trial& trial) {
  trial.prepare();
  trial.run(kPoison);
  trial.first = trial.outputs.copy_to(DeviceKind::kCpu);
  trial.first_answer.digest = trial.outputs.digest();
  return std::nullopt;
}

Reason check_canary(Trial& trial) {
  std::string which;
  if (!trial.outputs.canaries_intact(&which)) {
    return fmt::format("memory beside the output '{}' was overwritten", which);
  }
  if (!trial.inputs.canaries_intact(&which)) {
    return fmt::format("memory beside the input '{}' was overwritten", which);
  }
  return std::nullopt;
}

Reason check_input_mutated(Trial& trial) {
  if (trial.inputs.digest() == trial.subject.host_inputs.digest()) {
    return std::nullopt;
  }
  const TensorSet after = trial.inputs.copy_to(DeviceKind::kCpu);
  const Reason difference = describe_difference(trial.subject.host_inputs, after);
  return "the call changed its inputs: " + difference.value_or("their digest differs");
}

Reason check_unwritten(Trial& trial) {
  const std::uint64_t first = trial.first_answer.digest;
  trial.run(kSecondPoison);
  const std::uint64_t second = trial.outputs.digest();
  if (second == first) {
    return std::nullopt;
  }
  const TensorSet outputs = trial.outputs.copy_to(DeviceKind::kCpu);
  if (const Reason poison = find_poison(*trial.first, outputs)) {
    return poison;
  }
  // Does the difference follow the prior contents, or does it come and go? The order A B B A tells the two
  // apart.
  trial.run(kSecondPoison);
  const std::uint64_t third = trial.outputs.digest();
  trial.run(kPoison);
  if (third == second && trial.outputs.digest() == first) {
    return "the result depends on what the outputs held before the call: " +
           describe_difference(*trial.first, outputs).value_or("");
  }
  trial.bits_varied = true;
  return std::nullopt;
}

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
#include "harness/run/prepare.hpp"

#include "harness/core/outcome.hpp"
#include "harness/core/outside.hpp"

namespace assay::harness {

CaseData::CaseData(const Challenge& challenge, const Case& which, std::uint64_t seed)
    : inputs(challenge.make_inputs(which, seed)), oracle(challenge.oracle(which, inputs)) {}

TensorSet make_outputs(const Challenge& challenge, const Case& which, DeviceKind device) {
  TensorSet out(device);
  for (const TensorSpec& spec : challenge.outputs(which)) out.add(spec);
  out.fill(0xff);
  return out;
}

std::vector<TensorSet> make_input_sets(const Challenge& challenge, const Case& which,
                                       const DeviceInfo& device, int count) {
  std::vector<TensorSet> sets;
  for (int i = 0; i < count; ++i) {
    sets.push_back(challenge.make_inputs(which, which.seed + static_cast<std::uint64_t>(i) * 1000003)
                       .copy_to(device.kind));
  }
  return sets;
}

std::vector<TensorSet> make_output_sets(const Challenge& challenge, const Case& which,
                                        const DeviceInfo& device, int count) {
  std::vector<TensorSet> sets;
  for (int i = 0; i < count; ++i) sets.push_back(make_outputs(challenge, which, device.kind));
  return sets;
}

int sets_for_case(const Challenge& challenge, const Case& which, const DeviceInfo& device) {
  return rotation_count(static_cast<std::size_t>(challenge.work(which).bytes), device);
}

Prepared prepare_on_all(const Implementation& implementation, const Case& which,
                        const std::vector<TensorSet>& inputs, std::vector<TensorSet>& outputs) {
  Prepared prepared;
  if (implementation.prepare_remote) {
    prepared.remote = std::make_shared<const RemoteCalls>(implementation.prepare_remote(which, inputs));
    return prepared;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    prepared.into.push_back(implementation.prepare(which, inputs[i], outputs[i], CallStyle::kInto));
    prepared.allocating.push_back(
        implementation.prepare(which, inputs[i], outputs[i], CallStyle::kAllocating));
  }
  return prepared;
}

const Implementation& implementation_named(const Challenge& challenge, const std::string& name) {
  for (const Implementation& implementation : challenge.implementations) {
    if (implementation.name == name)
      return implementation;
  }
  throw UsageError("expected an implementation of " + challenge.name + ", found '" + name +
                   "'; see `assay list`");
}

const Case& case_named(const Challenge& challenge, const std::string& name) {
  for (const Case& which : challenge.cases) {
    if (which.name == name)
      return which;
  }
  throw UsageError("expected a case of " + challenge.name + ", found '" + name + "'; see `assay list`");
}

}  // namespace assay::harness

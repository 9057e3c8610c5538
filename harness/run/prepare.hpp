// SPDX-License-Identifier: Apache-2.0
// From a case to things that can be called: host inputs with their oracle, and rotations of complete device
// sets.
#pragma once

#include <memory>

#include "harness/core/challenge.hpp"
#include "harness/measure/measure.hpp"

namespace assay::harness {

/// Inputs of one seed on the CPU and their truth. Not movable once made: the oracle points into `inputs`.
struct CaseData {
  CaseData(const Challenge& challenge, const Case& which, std::uint64_t seed);
  CaseData(const CaseData&) = delete;
  TensorSet inputs;
  Oracle oracle;
};

TensorSet make_outputs(const Challenge& challenge, const Case& which, DeviceKind device);

/// `count` sets on the device; the first has the case's own seed. Outputs are poisoned.
std::vector<TensorSet> make_input_sets(const Challenge& challenge, const Case& which,
                                       const DeviceInfo& device, int count);
std::vector<TensorSet> make_output_sets(const Challenge& challenge, const Case& which,
                                        const DeviceInfo& device, int count);
/// Sets so that together they exceed the cache three times.
int sets_for_case(const Challenge& challenge, const Case& which, const DeviceInfo& device);

/// `implementation` prepared on every set, in both call styles, or (prepare_remote) in a process of its own,
/// which has its own outputs. `outputs` are its own: nobody else writes them.
Prepared prepare_on_all(const Implementation& implementation, const Case& which,
                        const std::vector<TensorSet>& inputs, std::vector<TensorSet>& outputs);

const Implementation& implementation_named(const Challenge& challenge, const std::string& name);
const Case& case_named(const Challenge& challenge, const std::string& name);

}  // namespace assay::harness

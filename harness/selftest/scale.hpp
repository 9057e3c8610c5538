// SPDX-License-Identifier: Apache-2.0
// A challenge small enough to be obviously right, for checking the checker: up = 2x + 1 and down = 1 - 2x,
// elementwise. Implementations are right ones of several kinds and one wrong one for every fault the checks
// must see.
#pragma once

#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::harness::selftest {

/// "selftest/scale" with its implementations for both devices. Not in the Registry: it proves the harness, no
/// kernel.
Challenge scale_challenge();

/// The tensors of one call.
struct ScaleViews {
  TensorView x, up, down;
  std::int64_t count() const { return x.numel(); }
};
ScaleViews views_of(const TensorSet& inputs, const TensorSet& outputs);

/// Shorthands for the files that hold implementations.
Implementation right_one(std::string name, DeviceKind device, std::string about);
Implementation wrong_one(std::string name, DeviceKind device, std::string about, std::string expected_check);

std::vector<Implementation> scale_cpu();
std::vector<Implementation> scale_cpu_mutants();
std::vector<Implementation> scale_cuda();
std::vector<Implementation> scale_cuda_mutants();

}  // namespace assay::harness::selftest

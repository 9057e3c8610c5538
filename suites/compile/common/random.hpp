// SPDX-License-Identifier: Apache-2.0
// Random elements by counter, so that threads share out a tensor and every seed gives its own.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "harness/core/tensor.hpp"

namespace assay::suites::compile {

/// Where the random numbers of the tensor `name` begin.
std::uint64_t stream_of(std::string_view name, std::uint64_t seed);
/// Deviation 1, tails to 3.5.
double normal_at(std::uint64_t stream, std::uint64_t index);
/// Every element of a tensor on the CPU, on all cores.
void fill(const harness::TensorView& view, const std::function<double(std::int64_t)>& value);

}  // namespace assay::suites::compile

// SPDX-License-Identifier: Apache-2.0
// What compiled_step_bench says about a step, as JSON and as text.
#pragma once

#include <nlohmann/json.hpp>

#include "kernels/compile/device/bench/bench_options.hpp"
#include "kernels/compile/device/bench/length_mix.hpp"
#include "kernels/compile/device/device_step.hpp"

namespace assay::kernels::compile::bench {

using Json = nlohmann::ordered_json;

/// GPU, driver, options.
Json described(const BenchOptions& options, const MixCapacity& capacity);
/// The table of products: what was tried and chosen, by this process or an earlier one.
Json products();
Json counted(const StepCounters& counters);
/// Runs DeviceStep::profile and adds "profile", by kind with products of adapters apart, and
/// "profile_products", by shape: how many, milliseconds, rates.
void add_profile(DeviceStep& step, Json& result);

/// The whole result on standard output.
void print(const Json& result);

}  // namespace assay::kernels::compile::bench

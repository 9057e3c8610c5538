// SPDX-License-Identifier: Apache-2.0
// From command line words to run options.
#pragma once

#include "harness/cli/commands.hpp"
#include "harness/run/runner.hpp"

namespace assay::harness::cli {

/// Throws UsageError for --device cuda without a usable GPU, saying why.
std::vector<DeviceKind> devices_of(const Common& common);
RunOptions options_of(const Common& common);
/// What is judged: the registry's own challenges unless --candidate or --isolate ask for others, which `made`
/// then keeps and whose selection replaces the filters of `options`.
const std::vector<Challenge>& challenges_for(const Common& common, RunOptions& options,
                                             std::vector<Challenge>& made);

}  // namespace assay::harness::cli

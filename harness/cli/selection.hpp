// SPDX-License-Identifier: Apache-2.0
// From command line words to run options.
#pragma once

#include "harness/cli/commands.hpp"
#include "harness/run/runner.hpp"

namespace assay::harness::cli {

/// Throws UsageError for --device cuda without a usable GPU, saying why.
std::vector<DeviceKind> devices_of(const Common& common);
RunOptions options_of(const Common& common);

}  // namespace assay::harness::cli

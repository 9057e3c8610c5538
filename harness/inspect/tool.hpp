// SPDX-License-Identifier: Apache-2.0
// Finds programs and runs them: cuobjdump above all.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assay::harness {

/// cuobjdump on PATH, in CUDA_HOME, in /usr/local/cuda, or where the build saw one; only where its partner
/// nvdisasm is beside it or on PATH. Throws Skip (core/challenge.hpp) saying where it looked.
std::filesystem::path find_cuobjdump();

/// The folders of PATH, in order.
std::vector<std::filesystem::path> folders_on_path();

/// Runs a program without a shell; returns what it wrote to both outputs. `exit_code` receives its status.
/// Throws std::runtime_error when it cannot be started or is killed.
std::string run_program(const std::vector<std::string>& command, int& exit_code);

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
// The commands of `assay`. Each returns the exit code; bad input throws UsageError, which main turns into
// exit 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/report/report.hpp"

namespace assay::harness::cli {

struct Common {
  std::vector<std::string> filters;
  std::string device = "auto";  ///< cuda | cpu | all | auto (the GPU if there is one)
  std::string weights, evidence;
  std::string command;  ///< as typed
  bool quick = false;
  std::string candidate;               ///< FILE.so or cmd:COMMAND, empty for none
  bool isolate = false;                ///< this program's implementations in processes of their own
  std::optional<double> time_limit_s;  ///< of either; unset: harness/door's
  std::optional<std::int64_t> memory_limit_mib;
};

int doctor(const Common& common);
int list(const Common& common);
int verify(const Common& common, const std::string& out);
int run(const Common& common, const std::string& out, const std::string& report_folder, double budget_scale);
int bench(const Common& common, const std::vector<std::string>& benchmark_flags);
int report(const std::vector<std::string>& records, const std::string& folder);
int compare(const std::string& old_file, const std::string& new_file);
int gate(const std::string& baseline, const std::string& current, const GateOptions& options);
int selftest(const Common& common, int noise_trials, const std::string& out);
/// The process of one candidate (harness/door/server.hpp); not for users.
int serve_candidate(const std::string& library, const std::string& implementation);

/// The whole program: parses, runs, reports errors. Only this knows exit codes of errors.
int main(int argc, char** argv);

}  // namespace assay::harness::cli

// SPDX-License-Identifier: Apache-2.0
// Options and dispatch. Long help stays short: what each command does stands in docs and README.
#include <CLI/CLI.hpp>
#include <iostream>

#include "harness/cli/commands.hpp"
#include "harness/core/interrupt.hpp"
#include "harness/core/outcome.hpp"
#include "harness/core/registry.hpp"

namespace assay::harness::cli {
namespace {

std::string joined(int argc, char** argv) {
  std::string out = "assay";
  for (int i = 1; i < argc; ++i) out += std::string(" ") + argv[i];
  return out;
}

void add_filters(CLI::App& command, Common& common) {
  command.add_option("filter", common.filters,
                     "glob over challenge/case/implementation, for example 'nf4/*/cuda_fused'; a suite's "
                     "check is challenge/checks/NAME");
  command.add_option("--device", common.device, "cuda, cpu, all, or auto: the GPU if there is one")
      ->check(CLI::IsMember({"cuda", "cpu", "all", "auto"}));
  command.add_option("--weights", common.weights,
                     "judge the matrices of this checkpoint (safetensors file or folder)");
}

void add_door(CLI::App& command, Common& common) {
  command.add_option("--candidate", common.candidate,
                     "judge this from outside: a library FILE.so, or cmd:COMMAND (docs/candidates.md)");
  command.add_flag("--isolate", common.isolate, "every implementation in a process of its own");
  command
      .add_option("--time-limit", common.time_limit_s,
                  "of --candidate and --isolate: seconds an answer may take (60)")
      ->check(CLI::Range(0.1, 86400.0));
  command
      .add_option("--memory-limit", common.memory_limit_mib,
                  "of the same: MiB that its processes may hold beside the tensors (4096)")
      ->check(CLI::Range(std::int64_t{256}, std::int64_t{1} << 30));
}

struct Arguments {
  Common common;
  std::string out, report_folder = "out", old_file, new_file, library, implementation;
  std::vector<std::string> records;
  GateOptions gate;
  int trials = 40;
  double budget = 1.0;
};

int dispatch(CLI::App& app, Arguments& a, CLI::App* bench_command) {
  if (!a.common.weights.empty())
    Registry::instance().set_option("weights", a.common.weights);
  if (!a.common.evidence.empty())
    Registry::instance().set_option("evidence", a.common.evidence);
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "doctor")
    return doctor(a.common);
  if (name == "list")
    return list(a.common);
  if (name == "verify")
    return verify(a.common, a.out);
  if (name == "run")
    return run(a.common, a.out, a.report_folder, a.budget);
  if (name == "bench")
    return bench(a.common, bench_command->remaining());
  if (name == "report")
    return report(a.records, a.report_folder);
  if (name == "compare")
    return compare(a.old_file, a.new_file);
  if (name == "gate")
    return gate(a.old_file, a.new_file, a.gate);
  if (name == "serve-candidate")
    return serve_candidate(a.library, a.implementation);
  return selftest(a.common, a.trials, a.out);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  a.common.command = joined(argc, argv);
  CLI::App app("Assay: benchmarks and proofs for QLoRA fine-tuning kernels", "assay");
  app.require_subcommand(1);
  app.add_subcommand("doctor", "what this machine is and what it can do (exit 2: unusable)");
  add_filters(*app.add_subcommand("list", "challenges, cases, implementations"), a.common);

  CLI::App* verify_command = app.add_subcommand("verify", "parity and safety only (exit 1: not all passed)");
  add_filters(*verify_command, a.common);
  add_door(*verify_command, a.common);
  verify_command->add_option("--out", a.out, "also write records to this file (JSON Lines)");
  verify_command->add_flag("--quick", a.common.quick, "small cases only");
  verify_command->add_option("--evidence", a.common.evidence, "JSON of tests/python/test_ops.py --evidence");

  CLI::App* run_command =
      app.add_subcommand("run", "verify, memory, time, records, scoreboard (exit 1: not all passed)");
  add_filters(*run_command, a.common);
  add_door(*run_command, a.common);
  run_command->add_option("--out", a.out, "record file (JSON Lines)")->required();
  run_command->add_option("--report", a.report_folder, "folder for scoreboard.md and scoreboard.html")
      ->capture_default_str();
  run_command->add_flag("--quick", a.common.quick, "small cases only");
  run_command->add_option("--budget", a.budget, "scales the time spent measuring")
      ->check(CLI::Range(0.05, 20.0));
  run_command->add_option("--evidence", a.common.evidence, "JSON of tests/python/test_ops.py --evidence");

  CLI::App* bench_command = app.add_subcommand("bench", "Google Benchmark with its own --benchmark_* flags");
  add_filters(*bench_command, a.common);
  add_door(*bench_command, a.common);
  bench_command->allow_extras();

  CLI::App* report_command = app.add_subcommand("report", "scoreboard from records alone");
  report_command->add_option("records", a.records, "record files")->required();
  report_command->add_option("--out", a.report_folder, "folder")->capture_default_str();

  CLI::App* compare_command = app.add_subcommand("compare", "two record files side by side");
  compare_command->add_option("old", a.old_file)->required();
  compare_command->add_option("new", a.new_file)->required();

  CLI::App* gate_command =
      app.add_subcommand("gate", "exit 1 with the rows that got slower, larger, less exact or lost");
  gate_command->add_option("--baseline", a.old_file)->required();
  gate_command->add_option("--current", a.new_file)->required();
  gate_command->add_option("--slower", a.gate.slower_percent, "percent allowed")->capture_default_str();
  gate_command->add_option("--larger", a.gate.larger_percent, "percent allowed")->capture_default_str();
  gate_command->add_flag("--strict", a.gate.strict, "rows that are not resolved fail too");

  CLI::App* selftest_command =
      app.add_subcommand("selftest", "the checker against wrong implementations and itself");
  add_filters(*selftest_command, a.common);
  selftest_command->add_option("--trials", a.trials, "same-against-same trials")->capture_default_str();
  selftest_command->add_option("--out", a.out, "also write its checks to this record file");

  CLI::App* serve_command = app.add_subcommand("serve-candidate", "the process behind --candidate");
  serve_command->group("");  // not for users
  serve_command->add_option("--library", a.library);
  serve_command->add_option("--implementation", a.implementation);
  serve_command->add_option("--weights", a.common.weights);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return 2;
  }
  catch_interrupts();
  try {
    return dispatch(app, a, bench_command);
  } catch (const UsageError& error) {
    std::cerr << "assay: " << error.what() << "\n";
    return 2;
  } catch (const Interrupted&) {
    std::cerr << "assay: interrupted; finished records were kept\n";
    return 130;
  } catch (const std::exception& error) {
    std::cerr << "assay: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace assay::harness::cli

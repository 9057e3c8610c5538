// SPDX-License-Identifier: Apache-2.0
// fsdp/training: no cases, checks, and the implementation whose sources make them stale.
#include "harness/core/registry.hpp"
#include "suites/fsdp/training/checks.hpp"

namespace assay::suites::fsdp {
namespace {

harness::Challenge challenge() {
  harness::Challenge out;
  out.suite = "fsdp";
  out.name = kTraining;
  out.about = "QLoRA over several ranks: the losses, collectives and memory of the plan, against one process";
  out.checks = training_checks();
  return out;
}

const harness::RegisterChallenge kChallenge(challenge);
const harness::RegisterImplementation kImplementation(kTraining, [] {
  harness::Implementation out;
  out.name = kShardedStep;
  out.about = "The step whose base, adapters and vocabulary are shared out over ranks (kernels/fsdp/engine)";
  out.sources = {"kernels/compile/eager",   "kernels/compile/program.cpp", "kernels/compile/step_program.cpp",
                 "kernels/fsdp/checkpoint", "kernels/fsdp/engine",         "kernels/fsdp/group",
                 "kernels/fsdp/layout",     "kernels/fsdp/nccl",           "kernels/fsdp/pipeline",
                 "kernels/fsdp/schedule",   "kernels/fsdp/transport",      "suites/fsdp/rank",
                 "suites/fsdp/training"};
  return out;
});

}  // namespace
}  // namespace assay::suites::fsdp

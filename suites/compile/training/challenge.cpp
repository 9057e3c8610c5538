// SPDX-License-Identifier: Apache-2.0
// compile/training_step: no cases, checks, and the implementation whose sources make them stale.
#include "harness/core/registry.hpp"
#include "suites/compile/training/checks.hpp"

namespace assay::suites::compile {
namespace {

harness::Challenge challenge() {
  harness::Challenge out;
  out.suite = "compile";
  out.name = kTrainingStep;
  out.about = "A whole QLoRA training step: tokens a second and memory beside torch.compile, the same training";
  out.checks = training_checks();
  return out;
}

const harness::RegisterChallenge kChallenge(challenge);
const harness::RegisterImplementation kImplementation(kTrainingStep, [] {
  harness::Implementation out;
  out.name = kCapturedStep;
  out.about = "The step as one captured graph (kernels/compile/device)";
  out.sources = captured_step_sources();
  return out;
});

}  // namespace
}  // namespace assay::suites::compile

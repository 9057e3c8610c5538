// SPDX-License-Identifier: Apache-2.0
// compile/torch_compile: no cases, one check, and the implementation whose sources make it stale.
#include "harness/core/registry.hpp"
#include "suites/compile/torch_compile/check.hpp"

namespace assay::suites::compile {
namespace {

harness::Challenge challenge() {
  harness::Challenge out;
  out.suite = "compile";
  out.name = kTorchCompile;
  out.about = "A Hugging Face Llama on our operators under torch.compile: graph breaks, compilations, loss";
  out.checks = {hf_llama_check()};
  return out;
}

std::vector<std::string> sources() {
  std::vector<std::string> out;
  for (const char* name :
       {"attention", "attention_call", "attention_cpu", "attention_cuda", "attention_mods",
        "linear_loss_call", "linear_losses", "llama_rows", "nf4", "nf4_arguments", "nf4_dequantize",
        "nf4_linear", "nf4_linear_call", "pointwise_f64", "rms_norm", "rope", "swiglu"})
    out.push_back(std::string("kernels/torch/") + name + ".cpp");
  for (const char* name : {"batches", "model", "operators", "run", "training", "verdict", "watch"})
    out.push_back(std::string("suites/compile/hf/") + name + ".py");
  return out;
}

const harness::RegisterChallenge kChallenge(challenge);
const harness::RegisterImplementation kImplementation(kTorchCompile, [] {
  harness::Implementation out;
  out.name = kOperators;
  out.about = "torch.ops.assay in transformers' modules";
  out.sources = sources();
  return out;
});

}  // namespace
}  // namespace assay::suites::compile

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
  out.about =
      "A whole QLoRA training step: tokens a second and memory beside torch.compile, the same training";
  out.checks = training_checks();
  return out;
}

/// Of the list, its kernels, its products and what trains it here: files, so that tests and benchmarks beside
/// them change nothing.
std::vector<std::string> captured_step_sources() {
  struct Room {
    const char* folder;
    std::vector<const char*> files;
  };
  const Room rooms[] = {
      {"kernels/attention/",
       {"attention.cpp", "block_mask.cpp", "compiler.cpp", "config.cpp", "device", "example_mods.cpp",
        "loaded_program.cpp", "program_source.cpp", "tensor_map.cpp"}},
      {"kernels/backprop/",
       {"chunk_plan.cpp", "cross_entropy_kernel.cuh", "softmax_pass.cu", "softmax_pass_check.cpp",
        "softmax_pass_config.cpp", "softmax_pass_device.cuh", "softmax_pass_row.cuh",
        "softmax_pass_statistics.cuh", "softmax_pass_sweep.cuh"}},
      {"kernels/common/",
       {"driver.cpp", "matmul.cpp", "matmul_problem.cpp", "matmul_search.cpp", "matmul_winners.cpp",
        "ptx.cuh", "scale_matrix.cu"}},
      {"kernels/compile/",
       {"adamw.cu", "arena.cpp", "program.cpp", "program_builder.cpp", "step_estimate.cpp",
        "step_program.cpp"}},
      {"kernels/compile/device/",
       {"device_memory.cpp", "device_step.cpp", "head_loss.cpp", "layout.cpp", "loss_scaling.cu",
        "op_arguments.cpp", "optimizer_run.cpp", "rounding.cpp", "small_kernels.cu", "staging.cpp",
        "step_graph.cpp", "step_inputs.cpp", "step_plan.cpp", "step_watch.cpp", "types.cpp", "walk.cpp",
        "bench/random_fill.cu", "bench/random_weights.cpp"}},
      {"kernels/llama/",
       {"device.cuh", "elements.cuh", "launch.cuh", "pointwise_config.cpp", "rms_norm.cu",
        "rms_norm_backward_kernel.cuh", "rms_norm_kernel.cuh", "rope.cu", "rope_kernel.cuh", "swiglu.cu",
        "swiglu_kernel.cuh"}},
      {"kernels/nf4/",
       {"dequantize.cu", "dequantize_config.cpp", "dequantize_decode.cuh", "dequantize_kernel.cuh",
        "format.cpp"}},
      {"suites/compile/",
       {"peers/training_step.py", "training/captured_step.cpp", "training/checks.cpp",
        "training/evidence.cpp", "training/step_peer.cpp", "training/training_plan.cpp"}},
  };
  std::vector<std::string> out;
  for (const Room& room : rooms)
    for (const char* file : room.files) out.push_back(std::string(room.folder) + file);
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

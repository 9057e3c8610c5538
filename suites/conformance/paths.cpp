// SPDX-License-Identifier: Apache-2.0
#include "suites/conformance/paths.hpp"

namespace assay::suites::conformance {
namespace {

using harness::DeviceKind;
using Files = std::vector<std::string>;

Files in(const std::string& folder, const Files& files) {
  Files out;
  for (const std::string& file : files) out.push_back(folder + file);
  return out;
}

harness::Implementation path(const char* name, const char* about, const std::string& folder,
                             const Files& files, const Files& cases, DeviceKind device = DeviceKind::kCpu) {
  harness::Implementation out;
  out.name = name, out.about = about, out.device = device;
  out.sources = in(folder, files);
  for (const std::string& file : in("suites/conformance/", cases)) out.sources.push_back(file);
  return out;
}

}  // namespace

std::vector<harness::Implementation> paths() {
  return {
      path(kQuantizeCpu, "weights to NF4 and FP4 on the CPU", "kernels/nf4/",
           {"format.cpp", "quantize_cpu.cpp", "quantize_cpu_encode-inl.hpp"},
           {"plain_quantize.cpp", "quantize_defects.cpp", "repeated_memory.cpp"}),
      path(kDequantizeCpu, "4-bit weights to 16 bits on the CPU", "kernels/nf4/",
           {"format.cpp", "dequantize_cpu.cpp", "dequantize_cpu_decode-inl.hpp"},
           {"dequantize_defects.cpp", "repeated_memory.cpp"}),
      path(kDequantizeCuda, "4-bit weights to 16 bits in one kernel", "kernels/nf4/",
           {"dequantize.cu", "dequantize_config.cpp", "dequantize_decode.cuh", "dequantize_kernel.cuh",
            "format.cpp"},
           {"graph_defect.cpp"}, DeviceKind::kCuda),
      path(kCheckpointFiles, "Hugging Face folders and PEFT adapters as a step reads them",
           "kernels/compile/checkpoint/",
           {"adapter_files.cpp", "four_bit.cpp", "json_object.cpp", "llama_config.cpp", "lora.cpp",
            "store.cpp", "stored_file.cpp", "stored_model.cpp"},
           {"checkpoint_defects.cpp", "storage_defects.cpp", "temporary_folder.cpp"}),
      path(kPackedSteps, "several sequences packed into one step", "kernels/compile/",
           {"checkpoint/device/token_lines.cpp", "device/step_inputs.cpp", "eager/operations.cpp"},
           {"packing_defects.cpp"}),
      path(kPointwiseCpu, "rope and RMSNorm on the CPU", "kernels/llama/",
           {"check.cpp", "cpu_rows-inl.hpp", "rms_norm_cpu.cpp", "rope_cpu.cpp"}, {"pointwise_defects.cpp"}),
      path(kLinearLosses, "losses behind the last layer, differentiated by autograd", "kernels/backprop/",
           {"chunk_plan.cpp", "autograd/autograd_derivative.cpp", "autograd/chunked_pass.cpp",
            "autograd/grpo.cpp", "autograd/head_pass.cpp", "autograd/losses.cpp",
            "autograd/memory_efficient_linear.cpp", "autograd/products.cpp", "autograd/rounding.cpp",
            "autograd/row_selection.cpp", "autograd/rows_that_count.cpp"},
           {"counting_defects.cpp", "cross_entropy_defects.cpp", "last_layer.cpp", "policy_defects.cpp"}),
      path(kSoftmaxPassCpu, "the fast loss pass on the CPU", "kernels/backprop/",
           {"softmax_pass_check.cpp", "softmax_pass_cpu.cpp", "softmax_pass_cpu_row-inl.hpp",
            "softmax_pass_cpu_types-inl.hpp"},
           {"counting_defects.cpp"}),
      path(kVerification, "how this harness judges results and times", "harness/",
           {"measure/statistics.cpp", "verify/compare.cpp", "verify/scan.cpp"}, {"verification_defects.cpp"}),
  };
}

}  // namespace assay::suites::conformance

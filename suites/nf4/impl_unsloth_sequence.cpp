// SPDX-License-Identifier: Apache-2.0
// Baselines: Unsloth's three launches, once by our plain kernels and once by the real bitsandbytes library.
#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/memory/memory.hpp"
#include "reference/nf4/unsloth_sequence.hpp"
#include "suites/nf4/bitsandbytes.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4 {
namespace {

using reference::nf4::UnslothSequenceArgs;
using Sequence = void (*)(const UnslothSequenceArgs&, harness::Stream);

std::optional<std::string> only_nested(const harness::Case& which, const harness::DeviceFacts&) {
  const DequantizeCase& c = parameters_of(which);
  if (!c.nested)
    return "the sequence is defined for nested absmax";
  if (c.num_weights() > 0x7fffffff)
    return "counts weights in 32 bits";
  return std::nullopt;
}

reference::nf4::OutputType output_type(harness::Dtype dtype) {
  if (dtype == harness::Dtype::kFloat16)
    return reference::nf4::OutputType::kFloat16;
  if (dtype == harness::Dtype::kFloat32)
    return reference::nf4::OutputType::kFloat32;
  return reference::nf4::OutputType::kBfloat16;
}

/// kInto: `absmax` is taken once, at preparation; kAllocating: absmax and output are taken in every call, as
/// Unsloth does.
harness::Invocation prepare(const harness::Case& which, const harness::TensorSet& inputs,
                            harness::TensorSet& outputs, harness::CallStyle style, Sequence sequence) {
  const DequantizeCase& c = parameters_of(which);
  UnslothSequenceArgs args;
  args.packed = inputs.at("packed").as<const std::uint8_t>();
  args.absmax_codes = inputs.at("absmax_codes").as<const std::uint8_t>();
  args.nested_absmax = inputs.at("nested_absmax").as<const float>();
  args.nested_code = inputs.at("nested_code").as<const float>();
  args.nested_offset = inputs.at("nested_offset").as<const float>();
  args.out = outputs.at("weight").data;
  args.out_type = output_type(c.dtype);
  args.num_weights = c.num_weights();
  args.block_size = c.block_size;
  args.fp4 = c.fp4;
  const std::size_t absmax_bytes = static_cast<std::size_t>(c.num_blocks()) * sizeof(float);
  if (style == harness::CallStyle::kInto) {
    auto absmax = std::make_shared<harness::DeviceBuffer>(absmax_bytes, harness::DeviceKind::kCuda);
    args.absmax = reinterpret_cast<float*>(absmax->data());
    return [args, absmax, sequence](harness::Stream stream) { sequence(args, stream); };
  }
  return [args, absmax_bytes, sequence,
          out_bytes = outputs.at("weight").bytes()](harness::Stream stream) mutable {
    const harness::Scratch out(out_bytes, harness::DeviceKind::kCuda, stream);
    const harness::Scratch absmax(absmax_bytes, harness::DeviceKind::kCuda, stream);
    args.out = out.data();
    args.absmax = static_cast<float*>(absmax.data());
    sequence(args, stream);
  };
}

void by_bitsandbytes(const UnslothSequenceArgs& a, harness::Stream stream) {
  const BitsandbytesCuda& b = *bitsandbytes_cuda();
  const int n = static_cast<int>(a.num_weights);
  const int blocks = static_cast<int>((a.num_weights + a.block_size - 1) / a.block_size);
  b.dequantize_fp32(const_cast<float*>(a.nested_code), const_cast<std::uint8_t*>(a.absmax_codes),
                    const_cast<float*>(a.nested_absmax), a.absmax, 256, blocks, stream);
  reference::nf4::add_offset(a.absmax, a.nested_offset, blocks, stream);
  BitsandbytesCuda::Dequantize4bit decode = nullptr;
  switch (a.out_type) {
    case reference::nf4::OutputType::kFloat16:
      decode = a.fp4 ? b.fp16_fp4 : b.fp16_nf4;
      break;
    case reference::nf4::OutputType::kBfloat16:
      decode = a.fp4 ? b.bf16_fp4 : b.bf16_nf4;
      break;
    case reference::nf4::OutputType::kFloat32:
      decode = a.fp4 ? b.fp32_fp4 : b.fp32_nf4;
      break;
  }
  decode(nullptr, const_cast<std::uint8_t*>(a.packed), a.absmax, a.out, a.block_size, n, stream);
}

harness::Implementation baseline(std::string name, std::string about, Sequence sequence) {
  harness::Implementation out;
  out.name = std::move(name);
  out.role = harness::Role::kBaseline;
  out.about = std::move(about);
  out.headline_baseline = true;
  out.unsupported = only_nested;
  out.prepare = [sequence](const harness::Case& which, const harness::TensorSet& inputs,
                           harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare(which, inputs, outputs, style, sequence);
  };
  out.sources = {"reference/nf4/unsloth_sequence.cu", "suites/nf4/impl_unsloth_sequence.cpp"};
  return out;
}

const harness::RegisterImplementation kPlain(kDequantize, [] {
  return baseline("unsloth_sequence",
                  "Unsloth's fast_dequantize: three launches, plain kernels after bitsandbytes'",
                  reference::nf4::unsloth_sequence);
});

const harness::RegisterImplementation kReal(kDequantize, [] {
  harness::Implementation out =
      baseline("unsloth_sequence_bitsandbytes",
               "Unsloth's fast_dequantize on the installed bitsandbytes library", by_bitsandbytes);
  out.unsupported = [](const harness::Case& which,
                       const harness::DeviceFacts& facts) -> std::optional<std::string> {
    if (auto reason = only_nested(which, facts))
      return reason;
    std::string why;
    if (bitsandbytes_cuda(&why) == nullptr)
      return "no bitsandbytes CUDA library: " + why;
    return std::nullopt;
  };
  if (harness::cuda_available() && bitsandbytes_cuda() != nullptr)
    out.version = bitsandbytes_cuda()->version;
  return out;
});

}  // namespace
}  // namespace assay::suites::nf4

// SPDX-License-Identifier: Apache-2.0
// What 16-bit products take: the CUDA baseline dequantizes first, the peer is given 16-bit weights.
// cuBLASLt's algorithm is the fastest of its proposals for the shape, timed by the first call.
#include "harness/core/registry.hpp"
#include "kernels/common/matmul.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "suites/nf4/matmul/adapter.hpp"

namespace assay::suites::nf4::matmul {
namespace {

constexpr std::size_t kWorkspace = std::size_t{32} << 20;

/// b is left to the call.
kernels::MatmulArgs product_of(const MatmulCase& c, const harness::TensorSet& inputs) {
  kernels::MatmulArgs args{.a = inputs.at("x").data, .m = c.m, .n = c.n, .k = c.k};
  args.transpose_b = true;
  args.in_type = args.out_type =
      c.dtype == harness::Dtype::kFloat16 ? kernels::MatmulType::kFloat16 : kernels::MatmulType::kBfloat16;
  args.choice = kernels::MatmulChoice::kTimed;
  return args;
}

/// With a workspace that is kept between calls, as libraries keep it: no call's own memory.
class Multiply {
 public:
  explicit Multiply(const kernels::MatmulArgs& product)
      : product_(product), workspace_(shared_buffer(kWorkspace, harness::DeviceKind::kCuda)) {
    product_.workspace = workspace_->data(), product_.workspace_bytes = kWorkspace;
  }
  void operator()(const void* weights, void* y, harness::Stream stream) const {
    kernels::MatmulArgs args = product_;
    args.b = weights, args.d = y;
    kernels::matmul(args, stream);
  }

 private:
  kernels::MatmulArgs product_;
  std::shared_ptr<harness::DeviceBuffer> workspace_;
};

harness::Invocation prepare_dequantize(const harness::Case& which, const harness::TensorSet& inputs,
                                       harness::TensorSet& outputs, harness::CallStyle style) {
  const MatmulCase& c = parameters_of(which);
  kernels::nf4::DequantizeArgs decode;
  decode.weights = packed_weights(c, inputs);
  decode.out_type = scalar_type(c.dtype);
  decode.weights_are_constant = true;
  const auto call = [decode, multiply = Multiply(product_of(c, inputs))](void* y, void* weights,
                                                                         harness::Stream stream) {
    kernels::nf4::DequantizeArgs args = decode;
    args.out = weights;
    kernels::nf4::dequantize(args, stream);
    multiply(weights, y, stream);
  };
  return prepare_product(outputs, style, call, static_cast<std::size_t>(c.n * c.k) * 2);
}

harness::Invocation prepare_16bit(const harness::Case& which, const harness::TensorSet& inputs,
                                  harness::TensorSet& outputs, harness::CallStyle style) {
  const auto call = [weights = inputs.at("weight_16bit").data,
                     multiply = Multiply(product_of(parameters_of(which), inputs))](
                        void* y, void*, harness::Stream stream) { multiply(weights, y, stream); };
  return prepare_product(outputs, style, call);
}

const std::vector<std::string>& product_sources() {
  static const std::vector<std::string> files = {
      "suites/nf4/matmul/impl_cublas.cpp", "kernels/common/matmul.cpp", "kernels/common/matmul_problem.cpp",
      "kernels/common/matmul_search.cpp", "kernels/common/matmul_winners.cpp"};
  return files;
}

const harness::RegisterImplementation kBaseline(kMatmul, [] {
  harness::Implementation out;
  out.name = "dequantize_cublas";
  out.role = harness::Role::kBaseline;
  out.about = "nf4/dequantize's kernel into a 16-bit buffer, then cuBLASLt by timed choice";
  out.headline_baseline = true;
  out.prepare = prepare_dequantize;
  out.sources = product_sources();
  for (const char* file :
       {"dequantize.cu", "dequantize_kernel.cuh", "dequantize_decode.cuh", "dequantize_config.cpp"})
    out.sources.push_back(std::string("kernels/nf4/") + file);
  return out;
});

const harness::RegisterImplementation kPeer(kMatmul, [] {
  harness::Implementation out;
  out.name = "cublas_16bit";
  out.role = harness::Role::kPeer;
  out.about = "cuBLASLt by timed choice on weights that are 16-bit already: four times the memory";
  out.prepare = prepare_16bit;
  out.sources = product_sources();
  return out;
});

}  // namespace
}  // namespace assay::suites::nf4::matmul

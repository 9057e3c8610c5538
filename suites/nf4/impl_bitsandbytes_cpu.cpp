// SPDX-License-Identifier: Apache-2.0
// CPU peers: the installed bitsandbytes CPU library, as its Python calls it for nested weights: 8-bit absmax
// to f32, plus offset, then the 4-bit kernel. On one thread and on all (OpenMP).
#include <dlfcn.h>

#include <vector>

#include "harness/core/registry.hpp"
#include "kernels/common/parallel_for.hpp"
#include "suites/nf4/bitsandbytes.hpp"
#include "suites/nf4/cpu_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

/// Entry points of libbitsandbytes_cpu.so (csrc/pythonInterface.cpp, 0.50).
struct Library {
  using Absmax = void (*)(const float* code, const std::uint8_t* in, const float* absmax, float* out,
                          long long block_size, long long count);
  using Decode = void (*)(const std::uint8_t* in, const float* absmax, void* out, long long block_size,
                          long long rows, long long cols);
  Absmax absmax = nullptr;
  Decode fp16 = nullptr, bf16 = nullptr, fp32 = nullptr;
  void (*set_threads)(int) = nullptr;  // of the OpenMP runtime it brings
  std::string version, why;

  bool usable() const { return why.empty(); }
};

template <class F>
void bind(void* handle, const char* name, F& to, std::string& why) {
  to = reinterpret_cast<F>(dlsym(handle, name));
  if (to == nullptr)
    why += std::string("no entry point ") + name + "; ";
}

const Library& library() {
  static const Library opened = [] {
    Library out;
    const auto found = bitsandbytes_cpu_library();
    void* const handle = found ? dlopen(found->path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (handle == nullptr) {
      out.why = found ? dlerror() : "no libbitsandbytes_cpu.so in the Python packages found";
      return out;
    }
    out.version = found->version;
    bind(handle, "cdequantize_blockwise_cpu_fp32", out.absmax, out.why);
    bind(handle, "cdequantize_blockwise_cpu_nf4_fp16", out.fp16, out.why);
    bind(handle, "cdequantize_blockwise_cpu_nf4_bf16", out.bf16, out.why);
    bind(handle, "cdequantize_blockwise_cpu_nf4_fp32", out.fp32, out.why);
    bind(handle, "omp_set_num_threads", out.set_threads, out.why);
    return out;
  }();
  return opened;
}

std::optional<std::string> unsupported(const harness::Case& which, const harness::DeviceFacts&) {
  if (!library().usable())
    return "no bitsandbytes CPU library: " + library().why;
  if (parameters_of(which).fp4)
    return "its CPU path gives FP4's second zero either sign, by shape";
  return std::nullopt;
}

Library::Decode decode_to(harness::Dtype dtype) {
  switch (dtype) {
    case harness::Dtype::kFloat16:
      return library().fp16;
    case harness::Dtype::kBfloat16:
      return library().bf16;
    case harness::Dtype::kFloat32:
      return library().fp32;
    default:
      throw std::invalid_argument("bitsandbytes_cpu: expected an output of f16, bf16 or f32");
  }
}

void dequantize(const DequantizeCase& c, const kernels::nf4::PackedWeights& w, int threads, float* scratch,
                void* out) {
  library().set_threads(threads);
  const float* absmax = w.absmax;
  if (w.nested()) {
    library().absmax(w.nested_code, w.absmax_codes, w.nested_absmax, scratch, w.nested_block_size,
                     w.num_blocks());
    kernels::parallel_for(w.num_blocks(), 1 << 16, threads, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) scratch[i] += *w.nested_offset;
    });
    absmax = scratch;
  }
  // With AVX-512 its kernel finds absmax by row, which is right only where rows are whole blocks (0.50.2).
  const bool whole_rows = c.cols % c.block_size == 0;
  const long long rows = whole_rows ? c.rows : 1, cols = whole_rows ? c.cols : c.num_weights();
  decode_to(c.dtype)(w.packed, absmax, out, c.block_size, rows, cols);
}

harness::Implementation peer(std::string name, std::string about, int threads) {
  harness::Implementation out;
  out.name = std::move(name);
  out.role = harness::Role::kPeer;
  out.device = harness::DeviceKind::kCpu;
  out.about = std::move(about);
  out.unsupported = unsupported;
  out.prepare = [threads](const harness::Case& which, const harness::TensorSet& inputs,
                          harness::TensorSet& outputs, harness::CallStyle style) {
    const DequantizeCase& c = parameters_of(which);
    const auto blocks = static_cast<std::size_t>(c.num_blocks());
    auto kept = std::make_shared<std::vector<float>>(style == harness::CallStyle::kInto ? blocks : 0);
    return prepare_cpu(outputs, style,
                       [c, weights = packed_weights(c, inputs), threads, blocks, kept](void* to) {
                         if (!kept->empty() || blocks == 0)
                           return dequantize(c, weights, threads, kept->data(), to);
                         std::vector<float> absmax(blocks);
                         dequantize(c, weights, threads, absmax.data(), to);
                       });
  };
  out.sources = {"suites/nf4/impl_bitsandbytes_cpu.cpp"};
  if (library().usable())
    out.version = library().version;
  return out;
}

const harness::RegisterImplementation kOne(kDequantize, [] {
  return peer("bitsandbytes_cpu", "The installed bitsandbytes CPU library, one thread", 1);
});
const harness::RegisterImplementation kAll(kDequantize, [] {
  return peer("bitsandbytes_cpu_threads", "The installed bitsandbytes CPU library, every core",
              kernels::available_cores());
});

}  // namespace
}  // namespace assay::suites::nf4

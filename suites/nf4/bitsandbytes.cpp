// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/bitsandbytes.hpp"

#include <dlfcn.h>

#include <mutex>

#include "suites/nf4/python_packages.hpp"

namespace assay::suites::nf4 {
namespace {

template <class F>
bool bind(void* library, const char* name, F& to, std::string& why) {
  to = reinterpret_cast<F>(dlsym(library, name));
  if (to == nullptr)
    why += std::string("no entry point ") + name + "; ";
  return to != nullptr;
}

bool bind_all(void* library, BitsandbytesCuda& b, std::string& why) {
  return bind(library, "cdequantize_blockwise_fp32", b.dequantize_fp32, why) &&
         bind(library, "cdequantize_blockwise_fp16_nf4", b.fp16_nf4, why) &&
         bind(library, "cdequantize_blockwise_bf16_nf4", b.bf16_nf4, why) &&
         bind(library, "cdequantize_blockwise_fp32_nf4", b.fp32_nf4, why) &&
         bind(library, "cdequantize_blockwise_fp16_fp4", b.fp16_fp4, why) &&
         bind(library, "cdequantize_blockwise_bf16_fp4", b.bf16_fp4, why) &&
         bind(library, "cdequantize_blockwise_fp32_fp4", b.fp32_fp4, why) &&
         bind(library, "cquantize_blockwise_fp32", b.quantize_fp32, why) &&
         bind(library, "cquantize_blockwise_fp16_nf4", b.quantize_fp16_nf4, why) &&
         bind(library, "cquantize_blockwise_bf16_nf4", b.quantize_bf16_nf4, why) &&
         bind(library, "cquantize_blockwise_fp32_nf4", b.quantize_fp32_nf4, why) &&
         bind(library, "cquantize_blockwise_fp16_fp4", b.quantize_fp16_fp4, why) &&
         bind(library, "cquantize_blockwise_bf16_fp4", b.quantize_bf16_fp4, why) &&
         bind(library, "cquantize_blockwise_fp32_fp4", b.quantize_fp32_fp4, why);
}

void bind_newer(void* library, BitsandbytesCuda& b) {
  std::string missing;
  bind(library, "cgemm_4bit_fp16", b.gemm_fp16, missing);
  bind(library, "cgemm_4bit_bf16", b.gemm_bf16, missing);
}

struct Opened {
  BitsandbytesCuda library;
  bool usable = false;
  std::string why;
};

Opened open_first() {
  Opened out;
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  const std::string file =
      "libbitsandbytes_cuda" + std::to_string(runtime / 1000) + std::to_string(runtime % 1000 / 10) + ".so";
  for (const auto& path : package_candidates("bitsandbytes/" + file)) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      out.why += path.string() + " is not there; ";
      continue;
    }
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      out.why += std::string(dlerror()) + "; ";
      continue;
    }
    if (bind_all(handle, out.library, out.why)) {
      bind_newer(handle, out.library);
      out.library.path = path.string();
      const std::string version = distribution_version(path, "bitsandbytes");
      out.library.version = "bitsandbytes " + (version.empty() ? std::string("of unknown version") : version);
      out.usable = true;
      return out;
    }
  }
  return out;
}

}  // namespace

const BitsandbytesCuda* bitsandbytes_cuda(std::string* why) {
  static const Opened opened = open_first();
  if (why != nullptr)
    *why = opened.why;
  return opened.usable ? &opened.library : nullptr;
}

std::optional<BitsandbytesCpuLibrary> bitsandbytes_cpu_library() {
  const auto path = find_in_packages("bitsandbytes/libbitsandbytes_cpu.so");
  if (!path)
    return std::nullopt;
  const std::string version = distribution_version(*path, "bitsandbytes");
  return BitsandbytesCpuLibrary{path->string(),
                                "bitsandbytes " + (version.empty() ? "of unknown version" : version)};
}

}  // namespace assay::suites::nf4

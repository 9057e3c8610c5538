// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/bench/report.hpp"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <map>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/matmul.hpp"
#include "kernels/compile/device/op_work.hpp"

namespace assay::kernels::compile::bench {
namespace {

/// Times of one walk, summed over operations alike.
struct Sum {
  int count = 0;
  double ms = 0;
  OpWork work;

  void add(double time_ms, const OpWork& of_op) {
    ++count, ms += time_ms, work.flops += of_op.flops, work.bytes += of_op.bytes;
  }
  Json json() const {
    Json j = {{"count", count}, {"ms", ms}, {"gb_per_s", 1e-6 * work.bytes / ms}};
    if (work.flops > 0)
      j["tflop_per_s"] = 1e-9 * work.flops / ms;
    return j;
  }
};

}  // namespace

Json described(const BenchOptions& options, const MixCapacity& capacity) {
  cudaDeviceProp properties{};
  int device = 0, driver = 0, runtime = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  ASSAY_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  ASSAY_CUDA_CHECK(cudaDriverGetVersion(&driver));
  ASSAY_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  return {{"gpu", properties.name},
          {"cuda_driver", driver},
          {"cuda_runtime", runtime},
          {"shape", options.shape},
          {"packed", options.packed},
          {"keep", name_of(options.keep)},
          {"type", options.compute == ComputeType::kBfloat16 ? "bf16" : "f16"},
          {"base", options.packed_base ? "nf4" : "dense"},
          {"rank", options.rank},
          {"adapters_begin", options.adapters_begin},
          {"most_tokens", capacity.tokens},
          {"most_sequences", capacity.sequences},
          {"longest", capacity.longest}};
}

Json products() {
  Json all = Json::array();
  for (const MatmulSearch& s : matmul_winners())
    all.push_back({{"product", s.product},
                   {"proposals", s.proposals},
                   {"winner", s.winner},
                   {"first_us", s.first_us},
                   {"winner_us", s.winner_us},
                   {"kept", s.kept}});
  return all;
}

Json counted(const StepCounters& c) {
  return {{"steps", c.steps},       {"compilations", c.compilations}, {"programs_loaded", c.programs_loaded},
          {"searches", c.searches}, {"captures", c.captures},         {"waits", c.waits},
          {"reasons", c.reasons}};
}

void add_profile(DeviceStep& step, Json& result) {
  const Program& program = step.plan().program();
  std::map<std::string, Sum> kinds, shapes;
  Sum all;
  for (const auto& [index, ms] : step.profile()) {
    const Op& op = program.ops[index];
    const OpWork work = work_of(program, op, 2);
    all.add(ms, work);
    kinds[name_of(op.kind) + std::string(is_adapter_product(program, op) ? "_of_adapters" : "")].add(ms,
                                                                                                     work);
    if (op.kind == OpKind::kMatmul)
      shapes[shape_of(program, op)].add(ms, work);
  }
  kinds["total"] = all;
  for (const auto& [name, sum] : kinds) result["profile"][name] = sum.json();
  for (const auto& [name, sum] : shapes) result["profile_products"][name] = sum.json();
}

void print(const Json& r) {
  const auto number = [&](const char* name) { return r[name].get<double>(); };
  const auto gib = [&](const char* name) { return number(name) / (1 << 30); };
  std::printf("%s, %s, keep %s, %s, %s: %.3f ms a step (median of %zu), %.0f tokens/s\n",
              r["gpu"].get<std::string>().c_str(), r["shape"].get<std::string>().c_str(),
              r["keep"].get<std::string>().c_str(), r["base"].get<std::string>().c_str(),
              r["type"].get<std::string>().c_str(), number("step_ms_median"), r["step_ms"].size(),
              number("tokens_per_s"));
  std::printf("memory %.2f GiB (arena %.2f, weights %.2f), first step after %.1f s (%.1f without weights)\n",
              gib("device_bytes"), gib("arena_bytes"), gib("weight_bytes"), number("first_step_s"),
              number("first_step_without_weights_s"));
  std::printf("loss %.4f to %.4f, %lld graph nodes, counters %s\n", number("first_loss"), number("last_loss"),
              static_cast<long long>(number("graph_nodes")), r["counters"].dump().c_str());
  for (const char* part : {"profile", "profile_products"})
    if (r.contains(part))
      for (const auto& [name, sum] : r[part].items())
        std::printf("  %-34s %9.3f ms, %d times, %.0f GB/s, %.0f TFLOP/s\n", name.c_str(),
                    sum["ms"].get<double>(), sum["count"].get<int>(), sum["gb_per_s"].get<double>(),
                    sum.value("tflop_per_s", 0.0));
  for (const Json& p : r["products"])
    std::printf("  %s: %d of %d, %.1f µs against %.1f\n", p["product"].get<std::string>().c_str(),
                p["winner"].get<int>(), p["proposals"].get<int>(), p["winner_us"].get<double>(),
                p["first_us"].get<double>());
}

}  // namespace assay::kernels::compile::bench

// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/floor_check.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "harness/core/registry.hpp"
#include "harness/measure/measure.hpp"
#include "harness/memory/memory.hpp"
#include "harness/run/prepare.hpp"
#include "kernels/common/matmul.hpp"
#include "suites/backprop/case_tensors.hpp"
#include "suites/backprop/text.hpp"

namespace assay::suites::backprop {
namespace {

using at::Tensor;
using harness::DeviceKind;
using json = nlohmann::ordered_json;

constexpr double kMostOverFloor = 1.10;
constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kMostWorkspace = 600 * kMiB, kMostWorkspaceFrozen = 300 * kMiB;
constexpr std::int64_t kLimitedRows = 16384;

/// x·Wᵀ into [N, V], that times W, its transpose times x: what no exact implementation can leave out. With
/// torch's choice of cuBLAS kernels.
harness::Invocation torch_products(const BackpropCase& c, const CaseTensors& t) {
  Tensor logits = at::empty({c.rows, c.vocab}, t.hidden.options());
  Tensor dx = at::empty_like(t.hidden), dw = c.frozen ? Tensor() : at::empty_like(t.weight);
  return [t, logits, dx, dw](harness::Stream stream) mutable {
    const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromExternal(stream, 0));
    at::mm_out(logits, t.hidden, t.weight.t());
    at::mm_out(dx, logits, t.weight);
    if (dw.defined())
      at::mm_out(dw, logits.t(), t.hidden);
  };
}

/// The same with the fastest of cuBLASLt's proposals.
harness::Invocation timed_products(const BackpropCase& c, const CaseTensors& t) {
  Tensor logits = at::empty({c.rows, c.vocab}, t.hidden.options());
  Tensor dx = at::empty_like(t.hidden), dw = c.frozen ? Tensor() : at::empty_like(t.weight);
  const auto multiply = [](const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, Tensor& d,
                           harness::Stream stream) {
    kernels::matmul({.a = a.const_data_ptr(),
                     .b = b.const_data_ptr(),
                     .d = d.mutable_data_ptr(),
                     .m = d.size(0),
                     .n = d.size(1),
                     .k = a.size(transpose_a ? 0 : 1),
                     .transpose_a = transpose_a,
                     .transpose_b = transpose_b,
                     .choice = kernels::MatmulChoice::kTimed},
                    stream);
  };
  return [t, logits, dx, dw, multiply](harness::Stream stream) mutable {
    multiply(t.hidden, false, t.weight, true, logits, stream);
    multiply(logits, false, t.weight, false, dx, stream);
    if (dw.defined())
      multiply(logits, true, t.hidden, false, dw, stream);
  };
}

/// Beyond dX, dW and one f32 sum of dW.
std::int64_t workspace_of(const BackpropCase& c, std::int64_t peak_above_gradients) {
  return c.frozen ? peak_above_gradients
                  : std::max<std::int64_t>(peak_above_gradients - 4 * c.vocab * c.hidden, 0);
}

const harness::Challenge& cross_entropy() {
  const auto& all = harness::Registry::instance().challenges();
  return *std::find_if(all.begin(), all.end(), [](const harness::Challenge& challenge) {
    return challenge.name == challenge_name(LossKind::kCrossEntropy);
  });
}

/// The plain layer under torch.compile, timed in pairs with the fused path: the ratio of both to a third says
/// less.
json beside_torch_compile(const harness::Case& which, const harness::TensorSet& inputs,
                          harness::TensorSet& outputs,
                          const std::function<harness::Timing(const harness::Invocation&)>& beside) {
  const harness::Implementation& peer = harness::implementation_named(cross_entropy(), "torch_compile");
  harness::Invocation call;
  try {
    call = peer.prepare(which, inputs, outputs, harness::CallStyle::kAllocating);
  } catch (const harness::Skip& skip) {
    return {{"skipped", skip.what()}};
  }
  const harness::Timing timing = beside(call);
  return {{"ms", 1e-6 * timing.baseline_ns},
          {"speedup", timing.speedup->median},
          {"ci_low", timing.speedup->ci_low},
          {"ci_high", timing.speedup->ci_high},
          {"pairs", timing.speedup->pairs}};
}

json measured(const harness::Case& which) {
  const BackpropCase& c = parameters_of(which);
  const harness::Challenge& challenge = cross_entropy();
  const harness::DeviceInfo device = harness::describe(DeviceKind::kCuda);
  const harness::TensorSet inputs = challenge.make_inputs(which, which.seed).copy_to(DeviceKind::kCuda);
  harness::TensorSet outputs = harness::make_outputs(challenge, which, DeviceKind::kCuda);
  const CaseTensors tensors = tensors_of(c, inputs);
  const harness::Invocation fused = harness::implementation_named(challenge, "fused")
                                        .prepare(which, inputs, outputs, harness::CallStyle::kAllocating);
  const harness::Memory memory =
      harness::measure_memory(fused, DeviceKind::kCuda, static_cast<std::int64_t>(outputs.bytes()));
  harness::MeasureOptions options;
  options.budget_seconds = 8.0;
  options.graph_target_us = 1.0;  // one call a graph: each lasts long enough
  const auto beside = [&](const harness::Invocation& other) {
    const harness::Timing timing =
        harness::measure_pair(harness::TimeMode::kGraph, {.into = {fused}, .allocating = {}},
                              {.into = {other}, .allocating = {}}, device, options);
    if (!timing.speedup)
      throw std::runtime_error("the pair gave no interval");
    return timing;
  };
  json out{{"case", which.name}, {"workspace_bytes", workspace_of(c, memory.peak_bytes)}};
  // The faster products are the floor.
  harness::Timing timing = beside(torch_products(c, tensors));
  out["torch_products_ms"] = 1e-6 * timing.baseline_ns;
  c10::cuda::CUDACachingAllocator::emptyCache();
  if (harness::Timing timed = beside(timed_products(c, tensors));
      timed.speedup->median < timing.speedup->median) {
    timing = timed;
    out["floor"] = "timed choice";
  } else {
    out["floor"] = "torch's choice";
  }
  out["over_floor"] = 1.0 / timing.speedup->median;
  out["ci_low"] = 1.0 / timing.speedup->ci_high;
  out["ci_high"] = 1.0 / timing.speedup->ci_low;
  out["fused_ms"] = 1e-6 * timing.candidate_ns;
  out["products_ms"] = 1e-6 * timing.baseline_ns;
  out["pairs"] = timing.speedup->pairs;
  c10::cuda::CUDACachingAllocator::emptyCache();
  out["torch_compile"] = beside_torch_compile(which, inputs, outputs, beside);
  return out;
}

/// What the timed choices found, for whoever asks why one kernel ran and not another.
json searches() {
  json out = json::array();
  for (const kernels::MatmulSearch& search : kernels::matmul_searches())
    out.push_back({{"product", search.product},
                   {"proposals", search.proposals},
                   {"winner", search.winner},
                   {"first_us", search.first_us},
                   {"winner_us", search.winner_us}});
  return out;
}

/// What a size misses, empty where it keeps the limits.
std::string missed(const BackpropCase& c, const json& found) {
  std::string out;
  if (const auto ahead = found["torch_compile"].find("ci_low");
      ahead != found["torch_compile"].end() && !(ahead->get<double>() > 1.0))
    out +=
        text(found["case"].get<std::string>(), ": expected to be ahead of torch.compile, found ",
             found["torch_compile"]["speedup"].get<double>(), "x, lower bound ", ahead->get<double>(), "; ");
  if (c.rows != kLimitedRows)
    return out;
  if (!(found["over_floor"].get<double>() <= kMostOverFloor))
    out += text(found["case"].get<std::string>(), ": expected at most ", kMostOverFloor,
                " of the products' time, found ", found["over_floor"].get<double>(), "; ");
  const std::int64_t most = c.frozen ? kMostWorkspaceFrozen : kMostWorkspace;
  if (found["workspace_bytes"].get<std::int64_t>() > most)
    out += text(found["case"].get<std::string>(), ": expected at most ", most / kMiB,
                " MiB of workspace, found ", found["workspace_bytes"].get<std::int64_t>() / kMiB, "; ");
  return out;
}

std::string run_check(const harness::DeviceFacts& facts) {
  if (facts.kind != DeviceKind::kCuda)
    throw harness::Skip("needs a GPU: the sizes take minutes on a CPU");
  json evidence{{"most_over_floor", kMostOverFloor}, {"sizes", json::array()}};
  std::string faults;
  for (const harness::Case& which : cross_entropy().cases) {
    const BackpropCase& c = parameters_of(which);
    if (!which.measured || which.devices != std::vector{DeviceKind::kCuda} ||
        c.dtype != harness::Dtype::kBfloat16)
      continue;
    c10::cuda::CUDACachingAllocator::emptyCache();
    evidence["sizes"].push_back(measured(which));
    faults += missed(c, evidence["sizes"].back());
  }
  evidence["matmul_searches"] = searches();
  c10::cuda::CUDACachingAllocator::emptyCache();
  if (!faults.empty())
    throw std::runtime_error(faults + evidence.dump());
  return evidence.dump();
}

}  // namespace

harness::Challenge::SuiteCheck products_floor_check() {
  return {.name = "products_floor", .measures = true, .subject = "fused", .run = run_check};
}

}  // namespace assay::suites::backprop

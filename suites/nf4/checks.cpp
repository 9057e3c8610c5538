// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/checks.hpp"

#include <fmt/format.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <utility>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/inspect/inspect.hpp"
#include "harness/memory/memory.hpp"
#include "harness/run/prepare.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "reference/nf4/table.hpp"
#include "suites/nf4/bitsandbytes.hpp"
#include "suites/nf4/launch_count.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::DeviceFacts;
using harness::DeviceKind;
using json = nlohmann::ordered_json;

/// 4096x14336 in bf16: large enough that launches do not matter, and the shape of Llama-3-8B's MLP.
constexpr const char* kEffectCase = "4096x14336/bf16/seed1";

[[noreturn]] void wrong(const std::string& reason) {
  throw std::runtime_error(reason);
}

const harness::Challenge& challenge() {
  for (const harness::Challenge& c : harness::Registry::instance().challenges()) {
    if (c.name == kDequantize)
      return c;
  }
  wrong("nf4/dequantize is not registered");
}

void needs_gpu(const DeviceFacts& facts) {
  if (facts.kind != DeviceKind::kCuda)
    throw harness::Skip("needs a GPU: " + harness::cuda_unavailable_reason());
}

/// The kernels' tables and the reference's, typed twice on purpose, hold the same bits.
std::string tables_agree(const DeviceFacts&) {
  const std::pair<std::span<const float, 16>, const float*> pairs[] = {
      {kernels::nf4::code_table(kernels::nf4::Codebook::kNf4), reference::nf4::kNf4Code},
      {kernels::nf4::code_table(kernels::nf4::Codebook::kFp4), reference::nf4::kFp4Code}};
  for (const auto& [ours, theirs] : pairs) {
    for (std::size_t i = 0; i < 16; ++i) {
      if (std::bit_cast<std::uint32_t>(ours[i]) != std::bit_cast<std::uint32_t>(theirs[i])) {
        wrong(fmt::format("entry {} is {} in kernels and {} in reference", i, ours[i], theirs[i]));
      }
    }
  }
  return R"({"entries":32,"differences":0})";
}

std::string single_kernel_launch(const DeviceFacts& facts) {
  needs_gpu(facts);
  const harness::Case& which = harness::case_named(challenge(), "4096x1024/bf16/seed3409");
  const harness::Implementation& fused = harness::implementation_named(challenge(), "cuda_fused");
  const harness::TensorSet inputs = challenge().make_inputs(which, which.seed).copy_to(DeviceKind::kCuda);
  harness::TensorSet outputs = harness::make_outputs(challenge(), which, DeviceKind::kCuda);
  const auto call = fused.prepare(which, inputs, outputs, harness::CallStyle::kInto);
  const LaunchCount count = count_launches(call);
  const harness::Memory memory = harness::measure_memory(call, DeviceKind::kCuda);
  const std::int64_t allocated = memory.tensors + memory.outside_torch;
  const json evidence{{"graph_kernel_nodes", count.kernels},
                      {"graph_other_nodes", count.others},
                      {"bytes_allocated", allocated}};
  if (count.kernels != 1 || count.others != 0 || allocated != 0) {
    wrong("expected one kernel node and no allocation, found " + evidence.dump());
  }
  return evidence.dump();
}

/// Which of the three ways a kernel was built: the DequantizeVariant in its name; -1 for another kernel.
int variant_of(const harness::KernelCode& code) {
  const std::string marker = "DequantizeVariant)";
  const auto at = code.kernel.find(marker);
  if (code.kernel.find("nf4::dequantize_kernel") == std::string::npos || at == std::string::npos)
    return -1;
  return code.kernel[at + marker.size()] - '0';
}

/// Hints that say how long a line should stay; the read-only path and prefetch sizes are none.
bool is_policy(const std::string& hint) {
  return hint.find("CONSTANT") == std::string::npos && hint.find("LTC") == std::string::npos;
}

/// What the kernels of one architecture have in common, the worst of each figure, and the policies of two
/// variants.
struct ArchCode {
  json worst = json::object();
  std::map<std::string, int> fused_policies, plain_policies;

  void keep(const char* key, int value, bool larger_is_worse) {
    if (!worst.contains(key) || (value > worst[key].get<int>()) == larger_is_worse)
      worst[key] = value;
  }
  void add(const harness::KernelCode& code, int variant) {
    worst["kernels"] = worst.value("kernels", 0) + 1;
    keep("registers", code.registers, true);
    keep("spill_bytes", code.stack_bytes, true);
    keep("local_accesses", code.local_loads + code.local_stores, true);
    keep("store_bytes", code.widest_global_store(), false);
    keep("load_bytes", code.widest_global_load(), false);
    keep("fused_multiply_adds", code.fused_multiply_adds, true);
    const bool fused = variant == static_cast<int>(kernels::nf4::DequantizeVariant::kFused);
    const bool plain = variant == static_cast<int>(kernels::nf4::DequantizeVariant::kPlain);
    for (const auto& [hint, count] : code.cache_hints) {
      if (fused && is_policy(hint))
        fused_policies[hint] += count;
      if (plain && is_policy(hint))
        plain_policies[hint] += count;
    }
  }
  /// The policies come from PTX alone: the twin in C++ has the same arithmetic and none of them.
  json evidence() const {
    json out = worst;
    out["cache_hints"] = fused_policies;
    out["cache_hints_of_cpp_twin"] = plain_policies;
    out["inline_ptx"] = !fused_policies.empty() && plain_policies.empty();
    return out;
  }
};

/// Machine code as built, read without a GPU: no spills, no local memory, 16-byte stores, no fused
/// multiply-add, and a cache policy in the fused kernels.
std::string static_code(const DeviceFacts&) {
  std::map<std::string, ArchCode> archs;
  std::string faults;
  const auto fault = [&](const harness::KernelCode& code, const char* what) {
    faults += code.kernel + " on " + code.arch + " " + what + "; ";
  };
  for (const harness::KernelCode& code :
       harness::read_code(std::filesystem::read_symlink("/proc/self/exe"))) {
    const int variant = variant_of(code);
    if (variant < 0)
      continue;
    archs[code.arch].add(code, variant);
    if (!code.no_local_memory())
      fault(code, "uses local memory");
    if (code.widest_global_store() != 16)
      fault(code, "has no 16-byte store");
    if (code.fused_multiply_adds != 0)
      fault(code, "has an FFMA");
  }
  if (archs.empty())
    throw harness::Skip("this build holds PTX only, no machine code to read");
  json evidence = json::object();
  for (const auto& [arch, code] : archs) {
    evidence[arch] = code.evidence();
    if (code.fused_policies.empty())
      faults += "no cache policy in the fused kernels of " + arch + "; ";
  }
  if (!faults.empty())
    wrong(faults);
  return evidence.dump();
}

/// graph-mode ratio of two implementations on the effect case: `with` against `without`.
std::string effect(const DeviceFacts& facts, const std::string& with, const std::string& without) {
  needs_gpu(facts);
  const harness::DeviceInfo device = harness::describe(DeviceKind::kCuda);
  const harness::Case& which = harness::case_named(challenge(), kEffectCase);
  const auto inputs = harness::make_input_sets(challenge(), which, device,
                                               harness::sets_for_case(challenge(), which, device));
  const int sets = static_cast<int>(inputs.size());
  auto outputs_with = harness::make_output_sets(challenge(), which, device, sets);
  auto outputs_without = harness::make_output_sets(challenge(), which, device, sets);
  const auto a =
      harness::prepare_on_all(harness::implementation_named(challenge(), with), which, inputs, outputs_with);
  const auto b = harness::prepare_on_all(harness::implementation_named(challenge(), without), which, inputs,
                                         outputs_without);
  const harness::Timing timing = harness::measure_pair(harness::TimeMode::kGraph, a, b, device, {});
  if (!timing.speedup)
    wrong("the pair gave no interval");
  return json{{"case", kEffectCase},
              {"with", with},
              {"without", without},
              {"speedup_median", timing.speedup->median},
              {"ci_low", timing.speedup->ci_low},
              {"ci_high", timing.speedup->ci_high},
              {"with_ns", timing.candidate_ns},
              {"without_ns", timing.baseline_ns}}
      .dump();
}

/// How near our plain sequence is to the real library it stands for: its time over the library's.
std::string baseline_fidelity(const DeviceFacts& facts) {
  needs_gpu(facts);
  std::string why;
  if (bitsandbytes_cuda(&why) == nullptr)
    throw harness::Skip("no bitsandbytes CUDA library: " + why);
  return effect(facts, "unsloth_sequence_bitsandbytes", "unsloth_sequence");
}

/// Evidence written by tests/python/test_ops.py --evidence FILE, handed in with --evidence.
std::string torch_compile(const DeviceFacts&) {
  const std::string path = harness::Registry::instance().option("evidence");
  if (path.empty()) {
    throw harness::Skip(
        "no evidence given: run tests/python/test_ops.py --evidence FILE, then assay run --evidence FILE");
  }
  std::ifstream file(path);
  if (!file)
    throw harness::UsageError("--evidence: expected a readable file, found " + path);
  std::stringstream text;
  text << file.rdbuf();
  json evidence;
  try {
    evidence = json::parse(text.str());
  } catch (const json::exception& error) {
    throw harness::UsageError("--evidence: expected JSON in " + path + ": " + error.what());
  }
  if (evidence.value("graph_breaks", -1) != 0 || !evidence.value("bit_equal", false)) {
    wrong("expected 0 graph breaks and equal bits, found " + evidence.dump());
  }
  return evidence.dump();
}

}  // namespace

std::vector<harness::Challenge::SuiteCheck> dequantize_checks() {
  return {
      {"tables_agree", false, "cuda_fused", tables_agree},
      {"single_kernel_launch", false, "cuda_fused", single_kernel_launch},
      {"static_code", false, "cuda_fused", static_code},
      {"torch_compile", false, "cuda_fused", torch_compile},
      {"ptx_effect", true, "cuda_fused",
       [](const DeviceFacts& f) { return effect(f, "cuda_no_cache_policy", "cuda_plain"); }},
      {"cache_policy_effect", true, "cuda_fused",
       [](const DeviceFacts& f) { return effect(f, "cuda_fused", "cuda_no_cache_policy"); }},
      {"baseline_fidelity", true, "unsloth_sequence", baseline_fidelity},
  };
}

}  // namespace assay::suites::nf4

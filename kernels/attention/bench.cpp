// SPDX-License-Identifier: Apache-2.0
// attention_bench: rates of forward and backward on this GPU, by CUDA events, without the harness. One line a
// variant:
//   attention_bench [--cache FOLDER] [--filter TEXT] [--compile-only SM]
// Rates count the pairs that the mask shows (causal: half), 4·head_size FLOP each forward and 10·head_size
// backward, as FlashAttention's benchmark does.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention/attention.hpp"
#include "kernels/attention/example_mods.hpp"
#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::attention {
namespace {

constexpr int kQueryHeads = 32, kKeyHeads = 8, kHeadSize = 128, kTokens = 16384;

struct Options {
  std::string cache, filter;
  int compile_only = 0;
};

struct Point {
  const char* name;
  Mods mods;
  int length;               ///< of each of kTokens / length sequences
  double visible_fraction;  ///< of length² pairs
};

/// data[0] of each: cap, slopes, window or documents.
std::vector<std::uint32_t> buffer_of(const std::string& name, int length) {
  std::vector<std::uint32_t> words;
  const auto add_float = [&](float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, 4);
    words.push_back(bits);
  };
  if (name == "causal_softcap")
    add_float(30.0f);
  else if (name == "causal_alibi")
    for (int h = 0; h < kQueryHeads; ++h)
      add_float(std::exp2(-8.0f * static_cast<float>(h + 1) / kQueryHeads));
  else if (name == "sliding_window")
    words.push_back(1024);
  else if (name == "document")
    for (int i = 0; i < kTokens; ++i) words.push_back(static_cast<std::uint32_t>(i % length / 1024));
  else
    words.push_back(0);
  return words;
}

double window_fraction(int length, int window) {
  double pairs = 0;
  for (int q = 0; q < length; ++q) pairs += std::min(q, window) + 1;
  return pairs / length / length;
}

std::vector<Point> points() {
  std::vector<Point> all;
  for (const int length : {2048, 4096, 8192, 16384}) {
    const double half = window_fraction(length, length);
    all.push_back({"causal", causal(), length, half});
    all.push_back({"none", no_mods(), length, 1.0});
    all.push_back({"causal_softcap", causal_softcap(), length, half});
    all.push_back({"causal_alibi", causal_alibi(), length, half});
    all.push_back({"sliding_window", sliding_window(), length, window_fraction(length, 1024)});
    all.push_back({"document", document(), length, window_fraction(1024, 1024) * 1024 / length});
  }
  return all;
}

struct Variant {
  const char* name;
  Tilings tilings;
};

std::vector<Variant> variants(const Target& target) {
  const HeadType head{kHeadSize, ElementType::kBfloat16};
  const Tilings base = choose_tilings(head, target);
  std::vector<Variant> all = {{"default", base}};
  const auto add = [&](const char* name, Tiling forward, Tiling keys, Tiling queries) {
    const Tilings tilings{forward, keys, queries};
    try {
      validate(tilings, head, target);
      all.push_back({name, tilings});
    } catch (const std::invalid_argument&) {  // too large for this GPU
    }
  };
  const Tiling warpgroups{.tile_q = 128, .tile_k = 128, .warps = 12, .stages = 2, .hopper = true};
  const auto backward = [](int stages, bool turns) {
    return Tiling{
        .tile_q = 128, .tile_k = 128, .warps = 12, .stages = stages, .hopper = true, .turns = turns};
  };
  add("mma_backward_k32x64s2_q64x64s2", base.forward, {32, 64, 4, 2, 2}, {64, 64, 4, 2, 2});
  add("backward_k4_q4", base.forward, backward(4, false), backward(4, false));
  add("backward_k4turns_q4", base.forward, backward(4, true), backward(4, false));
  add("backward_k4_q4turns", base.forward, backward(4, false), backward(4, true));
  add("backward_k2turns_q3turns", base.forward, backward(2, true), backward(3, true));
  add("backward_k4turns_q5turns", base.forward, backward(4, true), backward(5, true));
  add("warpgroups_without_turns_k64x64s2_q64x32s2", warpgroups, {64, 64, 4, 2, 2}, {64, 32, 4, 2, 2});
  add("f128x32w4_k64x128w8s2_q128x64w8s2", {128, 32, 4, 1, 2}, {64, 128, 8, 2, 1}, {128, 64, 8, 2, 1});
  add("f128x64w8_k32x128w8s2_q64x64s1", {128, 64, 8, 1, 1}, {32, 128, 8, 2, 1}, {64, 64, 4, 1, 2});
  add("f64x64w4_k32x64s3_q128x32w8s2", {64, 64, 4, 1, 3}, {32, 64, 4, 3, 2}, {128, 32, 8, 2, 1});
  return all;
}

/// Device memory of one run.
class Memory {
 public:
  explicit Memory(std::size_t bytes) { ASSAY_CUDA_CHECK(cudaMalloc(&data_, bytes + 256)); }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
};

/// Median of 20 calls after 3, milliseconds.
template <class Call>
double median_ms(Call call) {
  cudaEvent_t begin{}, end{};
  ASSAY_CUDA_CHECK(cudaEventCreate(&begin));
  ASSAY_CUDA_CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 23; ++i) {
    ASSAY_CUDA_CHECK(cudaEventRecord(begin));
    call();
    ASSAY_CUDA_CHECK(cudaEventRecord(end));
    ASSAY_CUDA_CHECK(cudaEventSynchronize(end));
    float ms = 0;
    ASSAY_CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 3)
      times.push_back(ms);
  }
  ASSAY_CUDA_CHECK(cudaEventDestroy(begin));
  ASSAY_CUDA_CHECK(cudaEventDestroy(end));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// bf16 from N(0, 1), as random training inputs are.
void fill(const Memory& memory, std::size_t elements, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<std::uint16_t> bits(1 << 20);
  for (auto& x : bits) {
    const float f = normal(random);
    std::uint32_t word;
    std::memcpy(&word, &f, 4);
    x = static_cast<std::uint16_t>(word >> 16);
  }
  for (std::size_t at = 0; at < elements; at += bits.size())
    ASSAY_CUDA_CHECK(cudaMemcpy(static_cast<std::uint16_t*>(memory.get()) + at, bits.data(),
                                2 * std::min(bits.size(), elements - at), cudaMemcpyHostToDevice));
}

void run(const Point& point, const Variant& variant, const FlexAttention& base) {
  const std::size_t q_elements = std::size_t{kTokens} * kQueryHeads * kHeadSize, k_elements = q_elements / 4;
  const Memory q(2 * q_elements), o(2 * q_elements), d_o(2 * q_elements), d_q(2 * q_elements),
      k(2 * k_elements), v(2 * k_elements), d_k(2 * k_elements), d_v(2 * k_elements),
      lse(4 * std::size_t{kTokens} * kQueryHeads);
  fill(q, q_elements, 1), fill(k, k_elements, 2), fill(v, k_elements, 3), fill(d_o, q_elements, 4);
  const std::vector<std::uint32_t> words = buffer_of(point.name, point.length);
  const Memory buffer(words.size() * 4);
  ASSAY_CUDA_CHECK(cudaMemcpy(buffer.get(), words.data(), words.size() * 4, cudaMemcpyHostToDevice));

  const auto view = [&](const Memory& memory, int heads) {
    return View{memory.get(), static_cast<long long>(point.length) * heads * kHeadSize, heads * kHeadSize,
                kHeadSize};
  };
  ForwardArgs forward;
  Sequences& s = forward.sequences;
  s.sequences = kTokens / point.length, s.q_heads = kQueryHeads, s.kv_heads = kKeyHeads;
  s.q_length = s.k_length = point.length;
  s.scale = 1.0f / std::sqrt(static_cast<float>(kHeadSize));
  s.buffers.data[0] = buffer.get();
  forward.q = view(q, kQueryHeads), forward.o = view(o, kQueryHeads);
  forward.k = view(k, kKeyHeads), forward.v = view(v, kKeyHeads);
  forward.lse = static_cast<float*>(lse.get());
  const std::size_t mask_bytes = block_mask_bytes(point.mods, s);
  const Memory mask(mask_bytes);
  forward.mask = {mask.get(), mask_bytes};
  BackwardArgs backward;
  backward.sequences = s, backward.mask = forward.mask;
  backward.q = forward.q, backward.k = forward.k, backward.v = forward.v, backward.o = forward.o;
  backward.d_o = view(d_o, kQueryHeads), backward.d_q = view(d_q, kQueryHeads);
  backward.d_k = view(d_k, kKeyHeads), backward.d_v = view(d_v, kKeyHeads);
  backward.lse = forward.lse;
  backward.workspace_bytes = backward_workspace_bytes(backward);
  const Memory workspace(backward.workspace_bytes);
  backward.workspace = workspace.get();

  const FlexAttention attention = base.with(variant.tilings);
  const double mask_ms = median_ms([&] { attention.build_block_mask(s, forward.mask, nullptr); });
  const double forward_ms = median_ms([&] { attention.forward(forward, nullptr); });
  const double backward_ms = median_ms([&] { attention.backward(backward, nullptr); });
  const double pairs = point.visible_fraction * point.length * kTokens * kQueryHeads;
  std::printf("%-16s %6d  %-44s fwd %8.3f ms %6.1f TFLOP/s   bwd %8.3f ms %6.1f TFLOP/s   mask %6.3f ms\n",
              point.name, point.length, variant.name, forward_ms, 4e-9 * kHeadSize * pairs / forward_ms,
              backward_ms, 10e-9 * kHeadSize * pairs / backward_ms, mask_ms);
  std::fflush(stdout);
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; i += 2) {
    const std::string name = words[i];
    if (i + 1 == count)
      throw std::invalid_argument("expected a value behind " + name);
    if (name == "--cache")
      options.cache = words[i + 1];
    else if (name == "--filter")
      options.filter = words[i + 1];
    else if (name == "--compile-only")
      options.compile_only = std::stoi(words[i + 1]);
    else
      throw std::invalid_argument("expected --cache, --filter or --compile-only, found " + name);
  }
  return options;
}

void bench(const Options& options) {
  const auto compiler = std::make_shared<Compiler>(options.cache);
  const Target target = options.compile_only > 0 ? Target{options.compile_only, false} : current_target();
  bool any = false;
  for (const Variant& variant : variants(target)) {
    for (const Point& point : points()) {
      const std::string name =
          std::string(point.name) + "/" + std::to_string(point.length) + "/" + variant.name;
      if (name.find(options.filter) == std::string::npos)
        continue;
      any = true;
      const FlexAttention attention(compiler, point.mods, {kHeadSize, ElementType::kBfloat16}, target);
      if (options.compile_only > 0)
        attention.with(variant.tilings).prepare();
      else
        run(point, variant, attention);
    }
  }
  if (!any)
    throw std::invalid_argument(
        "expected a part of MODS/LENGTH/VARIANT as --filter, such as causal/4096/default, found '" +
        options.filter + "', which names none");
  const CompileCounters c = compiler->counters();
  std::printf("compiled %lld programs, loaded %lld from disk\n", static_cast<long long>(c.compilations),
              static_cast<long long>(c.disk_loads));
}

}  // namespace
}  // namespace assay::kernels::attention

int main(int count, char** words) {
  try {
    using namespace assay::kernels::attention;
    bench(parse(count, words));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

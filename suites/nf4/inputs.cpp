// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/inputs.hpp"

#include <algorithm>
#include <cstring>

#include "reference/nf4/dynamic_map.hpp"
#include "suites/nf4/host_weights.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::Dtype;
using harness::TensorSet;
using harness::TensorView;

/// SplitMix64 (Steele, Lea, Flood 2014): one multiply-xor chain a word, so that filling 100 MB takes 50 ms.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 0x243f6a8885a308d3ULL) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  float uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(next() >> 40) * 0x1p-24f;
  }

 private:
  std::uint64_t state_;
};

void fill_bytes(Random& random, const TensorView& view) {
  auto* to = view.as<std::uint8_t>();
  std::size_t left = view.bytes();
  for (; left > 0;) {
    const std::uint64_t word = random.next();
    const std::size_t n = std::min<std::size_t>(left, 8);
    std::memcpy(to, &word, n);
    to += n, left -= n;
  }
}

void fill_uniform(Random& random, const TensorView& view, float low, float high) {
  float* to = view.as<float>();
  for (std::int64_t i = 0; i < view.numel(); ++i) to[i] = random.uniform(low, high);
}

void add_tensors(const DequantizeCase& c, TensorSet& set) {
  const std::int64_t blocks = c.num_blocks();
  set.add({"packed", Dtype::kUint8, {(c.num_weights() + 1) / 2}});
  if (c.nested) {
    set.add({"absmax_codes", Dtype::kUint8, {blocks}});
    set.add({"nested_absmax", Dtype::kFloat32, {(blocks + 255) / 256}});
    set.add({"nested_code", Dtype::kFloat32, {256}});
    set.add({"nested_offset", Dtype::kFloat32, {1}});
  } else {
    set.add({"absmax", Dtype::kFloat32, {blocks}});
  }
}

void fill_random(const DequantizeCase& c, std::uint64_t seed, TensorSet& set) {
  Random random(seed);
  fill_bytes(random, set.at("packed"));
  if (!c.nested)
    return fill_uniform(random, set.at("absmax"), 0.01f, 0.1f);
  fill_bytes(random, set.at("absmax_codes"));
  fill_uniform(random, set.at("nested_absmax"), 0.005f, 0.015f);
  reference::nf4::dynamic_map(set.at("nested_code").as<float>());
  fill_uniform(random, set.at("nested_offset"), 0.03f, 0.06f);
}

/// Copies `from` rotated left by `shift` elements.
template <class T>
void copy_rotated(const std::vector<T>& from, const TensorView& to, std::int64_t shift) {
  T* out = to.as<T>();
  const auto n = static_cast<std::int64_t>(from.size());
  if (n == 0)
    return;
  shift %= n;
  std::copy(from.begin() + shift, from.end(), out);
  std::copy(from.begin(), from.begin() + shift, out + (n - shift));
}

void fill_real(const harness::Case& which, std::uint64_t seed, TensorSet& set) {
  const DequantizeCase& c = parameters_of(which);
  const HostWeights& w = c.weights->get();
  const auto step = seed == which.seed ? 0 : static_cast<std::int64_t>(Random(seed).next() % 1000003) + 1;
  copy_rotated(w.packed, set.at("packed"), step * c.block_size / 2);
  if (!c.nested)
    return copy_rotated(w.absmax, set.at("absmax"), step);
  copy_rotated(w.absmax_codes, set.at("absmax_codes"), step);
  copy_rotated(w.nested_absmax, set.at("nested_absmax"), step);
  copy_rotated(w.nested_code, set.at("nested_code"), 0);
  *set.at("nested_offset").as<float>() = w.nested_offset;
}

}  // namespace

TensorSet make_inputs(const harness::Case& which, std::uint64_t seed) {
  const DequantizeCase& c = parameters_of(which);
  TensorSet set(harness::DeviceKind::kCpu);
  add_tensors(c, set);
  if (c.weights) {
    fill_real(which, seed, set);
  } else {
    fill_random(c, seed, set);
  }
  return set;
}

}  // namespace assay::suites::nf4

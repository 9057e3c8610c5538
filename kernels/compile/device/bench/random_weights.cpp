// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/bench/random_weights.hpp"

#include <cmath>
#include <vector>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/device/bench/random_fill.hpp"
#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::compile::bench {
namespace {

constexpr std::int64_t kBlock = 64, kNestedBlock = 256, kCodes = 256;

/// Hands out pieces of one allocation; counts alone where there is none.
class Pieces {
 public:
  explicit Pieces(std::byte* memory) : memory_(memory) {}
  template <class T>
  T* take(std::int64_t count) {
    std::byte* const at = memory_ == nullptr ? nullptr : memory_ + bytes_;
    bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
    return reinterpret_cast<T*>(at);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  std::size_t bytes_ = 0;
};

/// One map and one offset serve all weights.
struct SharedStatistics {
  float* code = nullptr;
  float* offset = nullptr;
};

class Maker {
 public:
  Maker(DeviceStep& step, double rope_theta, std::byte* memory)
      : step_(step),
        theta_(rope_theta),
        pieces_(memory),
        makes_(memory != nullptr),
        seeds_(seeds_of(step.plan().program())) {
    shared_.code = pieces_.take<float>(kCodes);
    shared_.offset = pieces_.take<float>(1);
    if (!makes_)
      return;
    std::vector<float> map(kCodes);
    nf4::dynamic_map(map.data());
    upload(shared_.code, map);
    upload(shared_.offset, {kNestedOffset});
  }

  void make(const Buffer& buffer) {
    seed_ = seeds_.at(buffer.name);
    if (buffer.element == Element::kPacked)
      return packed(buffer);
    if (buffer.element == Element::kFloat32)
      return frequencies(buffer);
    const std::int64_t count = element_count(buffer);
    auto* const data = pieces_.take<std::uint16_t>(count);
    if (!makes_)
      return;
    const bool is_norm = buffer.rows == 1;
    fill_elements(data, step_.plan().options().compute, count,
                  seeded(is_norm ? kNormNumbers : kMatrixNumbers), step_.stream());
    step_.bind(buffer.name, data);
  }
  std::size_t bytes() const { return pieces_.bytes(); }

 private:
  static void upload(float* to, const std::vector<float>& values) {
    ASSAY_CUDA_CHECK(cudaMemcpy(to, values.data(), 4 * values.size(), cudaMemcpyHostToDevice));
  }

  Uniform seeded(Uniform numbers) const {
    numbers.seed = seed_;
    return numbers;
  }

  void packed(const Buffer& buffer) {
    const std::int64_t count = element_count(buffer), blocks = (count + kBlock - 1) / kBlock,
                       nested = (blocks + kNestedBlock - 1) / kNestedBlock;
    auto* const codes = pieces_.take<std::uint8_t>((count + 1) / 2);
    auto* const absmax = pieces_.take<std::uint8_t>(blocks);
    auto* const nested_absmax = pieces_.take<float>(nested);
    if (!makes_)
      return;
    fill_bytes(codes, (count + 1) / 2, seed_, step_.stream());
    fill_bytes(absmax, blocks, seed_ + kAbsmaxSeedStep, step_.stream());
    fill_floats(nested_absmax, nested, seeded(kNestedAbsmaxNumbers), step_.stream());
    nf4::PackedWeights weights;
    weights.packed = codes, weights.num_weights = count;
    weights.absmax_codes = absmax, weights.nested_absmax = nested_absmax;
    weights.nested_code = shared_.code, weights.nested_offset = shared_.offset;
    step_.bind(buffer.name, weights);
  }

  void frequencies(const Buffer& buffer) {
    auto* const data = pieces_.take<float>(buffer.rows);
    if (!makes_)
      return;
    std::vector<float> values;
    for (std::int64_t i = 0; i < buffer.rows; ++i)
      values.push_back(
          static_cast<float>(std::pow(theta_, -static_cast<double>(i) / static_cast<double>(buffer.rows))));
    upload(data, values);
    step_.bind(buffer.name, data);
  }

  DeviceStep& step_;
  double theta_;
  Pieces pieces_;
  bool makes_;
  std::map<std::string, std::uint32_t> seeds_;
  std::uint32_t seed_ = 0;
  SharedStatistics shared_;
};

template <class Visit>
void for_each(const Program& program, Role role, const Visit& visit) {
  for (const Buffer& buffer : program.buffers)
    if (buffer.role == role)
      visit(buffer);
}

}  // namespace

std::map<std::string, std::uint32_t> seeds_of(const Program& program) {
  constexpr std::uint32_t kFirstFrozen = 2, kFirstAdapter = 0x20000;
  std::map<std::string, std::uint32_t> seeds;
  std::uint32_t next = kFirstFrozen;
  for_each(program, Role::kFrozen, [&](const Buffer& buffer) { seeds.emplace(buffer.name, next++); });
  next = kFirstAdapter;
  for_each(program, Role::kAdapter, [&](const Buffer& buffer) { seeds.emplace(buffer.name, next++); });
  return seeds;
}

std::unique_ptr<DeviceMemory> bind_random_weights(DeviceStep& step, double rope_theta) {
  const Program& program = step.plan().program();
  Maker counter(step, rope_theta, nullptr);
  for_each(program, Role::kFrozen, [&](const Buffer& buffer) { counter.make(buffer); });
  auto memory = std::make_unique<DeviceMemory>(counter.bytes());
  Maker maker(step, rope_theta, memory->get());
  for_each(program, Role::kFrozen, [&](const Buffer& buffer) { maker.make(buffer); });
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());  // the step's stream does not wait for copies on the legacy one
  return memory;
}

std::vector<float> random_adapter(const Buffer& buffer, std::uint32_t seed) {
  std::vector<float> values(static_cast<std::size_t>(element_count(buffer)), 0.0f);
  if (buffer.name.ends_with("lora_A")) {
    const float bound = 1.0f / std::sqrt(static_cast<float>(buffer.columns));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = uniform_at(i, {-bound, bound, seed});
  }
  return values;
}

void set_random_adapters(DeviceStep& step) {
  const std::map<std::string, std::uint32_t> seeds = seeds_of(step.plan().program());
  for_each(step.plan().program(), Role::kAdapter, [&](const Buffer& buffer) {
    step.set(buffer.name, random_adapter(buffer, seeds.at(buffer.name)));
  });
}

}  // namespace assay::kernels::compile::bench

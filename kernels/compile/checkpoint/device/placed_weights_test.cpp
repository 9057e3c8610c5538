// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/device/placed_weights.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "kernels/compile/checkpoint/packed_memory.hpp"
#include "kernels/compile/device/tiny_step_test.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

/// Remembers what it is asked for.
class Owner final : public WeightOwner {
 public:
  std::byte* allocate(std::size_t bytes) override {
    sizes.push_back(bytes);
    memory.push_back(std::make_unique<std::byte[]>(bytes + 256));
    auto* const begin = memory.back().get();
    return begin + (256 - reinterpret_cast<std::uintptr_t>(begin) % 256) % 256;
  }
  void copy(std::byte* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void bind(const std::string& name, const void* data) override { dense[name] = data; }
  void bind(const std::string& name, const nf4::PackedWeights& weights) override { packed[name] = weights; }
  void set(const std::string& name, std::span<const float> adapter) override {
    adapters[name] = {adapter.begin(), adapter.end()};
  }

  std::vector<std::size_t> sizes;
  std::vector<std::unique_ptr<std::byte[]>> memory;
  std::map<std::string, const void*> dense;
  std::map<std::string, nf4::PackedWeights> packed;
  std::map<std::string, std::vector<float>> adapters;
};

PackedMemory some_weights(std::int64_t count, std::int32_t block_size) {
  PackedMemory w;
  w.count = count, w.block_size = block_size;
  const std::int64_t blocks = (count + block_size - 1) / block_size;
  w.packed.assign(static_cast<std::size_t>((count + 1) / 2), 0x5a);
  w.absmax_codes.assign(static_cast<std::size_t>(blocks), 0x17);
  w.nested_absmax.assign(static_cast<std::size_t>((blocks + 255) / 256), 0.5f);
  w.nested_code.assign(256, 0.25f);
  w.nested_offset = 0.125f;
  return w;
}

template <class T>
bool holds(const T* data, const std::vector<T>& values) {
  return std::equal(values.begin(), values.end(), data);
}

TEST(PlacedWeights, lie_in_one_allocation_and_are_bound_where_they_lie) {
  Owner owner;
  const Program program = compile::testing::tiny_program();
  PlacedWeights placed(program, owner);
  ASSERT_EQ(owner.sizes, std::vector<std::size_t>{placed.bytes()});
  std::byte value{1};
  std::map<std::string, std::vector<std::byte>> given;
  for (const Buffer& buffer : program.buffers) {
    if (buffer.role != Role::kFrozen)
      continue;
    const std::int64_t count = buffer.rows * buffer.columns;
    if (buffer.element == Element::kPacked) {
      placed.packed(buffer.name, some_weights(count, 64).view());
    } else {
      const std::size_t bytes =
          static_cast<std::size_t>(count) * (buffer.element == Element::kFloat32 ? 4 : 2);
      given[buffer.name].assign(bytes, value);
      placed.dense(buffer.name, given[buffer.name]);
      value = static_cast<std::byte>(static_cast<int>(value) + 1);
    }
  }
  EXPECT_EQ(owner.sizes.size(), 1u);
  for (const auto& [name, bytes] : given) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(owner.dense.at(name)) % 256, 0u) << name;
    EXPECT_TRUE(holds(static_cast<const std::byte*>(owner.dense.at(name)), bytes))
        << name << " was written over";
  }
  EXPECT_EQ(owner.packed.size(), 14u);
  for (const auto& [name, weights] : owner.packed) {
    const PackedMemory expected = some_weights(weights.num_weights, 64);
    EXPECT_NO_THROW(nf4::validate(weights));
    EXPECT_TRUE(holds(weights.packed, expected.packed) &&
                holds(weights.absmax_codes, expected.absmax_codes) &&
                holds(weights.nested_absmax, expected.nested_absmax) &&
                holds(weights.nested_code, expected.nested_code) && *weights.nested_offset == 0.125f)
        << name;
  }
  const std::vector<float> adapter = {1.0f, 2.0f};
  placed.adapter("layers.0.qkv.lora_A", adapter);
  EXPECT_EQ(owner.adapters.at("layers.0.qkv.lora_A"), adapter);
}

TEST(PlacedWeights, in_smaller_blocks_get_memory_of_their_own) {
  Owner owner;
  const Program program = compile::testing::tiny_program();
  PlacedWeights placed(program, owner);
  const Buffer& buffer = program.buffers[static_cast<std::size_t>(program.find("layers.0.down_proj"))];
  const PackedMemory weights = some_weights(buffer.rows * buffer.columns, 32);
  placed.packed(buffer.name, weights.view());
  EXPECT_EQ(owner.sizes.size(), 2u);
  EXPECT_EQ(owner.packed.at(buffer.name).block_size, 32);
  EXPECT_TRUE(holds(owner.packed.at(buffer.name).absmax_codes, weights.absmax_codes));
}

TEST(PlacedWeights, that_do_not_fit_are_refused) {
  Owner owner;
  PlacedWeights placed(compile::testing::tiny_program(), owner);
  EXPECT_THROW(placed.dense("norm", std::vector<std::byte>(7)), std::invalid_argument);
  EXPECT_THROW(placed.dense("no_such_buffer", {}), std::out_of_range);
}

}  // namespace
}  // namespace assay::kernels::compile::checkpoint

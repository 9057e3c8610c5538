// SPDX-License-Identifier: Apache-2.0
// Guarded tensor sets on both devices: the same tests run on the CPU and, as Gpu…, on the GPU.
#include "harness/core/tensor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <numeric>

#include "harness/core/outcome.hpp"
#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

using ::testing::HasSubstr;

/// Payload sizes around every boundary of word, line and alignment.
constexpr std::int64_t kLengths[] = {0, 1, 2, 7, 8, 9, 63, 64, 65, 255, 256, 257, 511, 4096, 100003};

void write_byte(const TensorView& view, std::int64_t offset, std::uint8_t value) {
  copy_bytes(view.as<std::byte>() + offset, view.device, &value, DeviceKind::kCpu, 1);
}

std::uint8_t read_byte(const TensorView& view, std::int64_t offset) {
  std::uint8_t value = 0;
  copy_bytes(&value, DeviceKind::kCpu, view.as<std::byte>() + offset, view.device, 1);
  return value;
}

/// Writes one changed byte at `offset` from the payload's begin and says whether the set noticed.
bool write_is_noticed(DeviceKind device, std::int64_t length, std::int64_t offset) {
  TensorSet set(device);
  set.add({"before", Dtype::kUint8, {5}});
  const TensorView target = set.add({"target", Dtype::kUint8, {length}});
  set.add({"after", Dtype::kUint8, {5}});
  write_byte(target, offset, static_cast<std::uint8_t>(read_byte(target, offset) ^ 1));
  std::string which = "unset";
  const bool intact = set.canaries_intact(&which);
  EXPECT_EQ(which, intact ? "unset" : "target");
  return !intact;
}

struct OnCpu {
  static constexpr DeviceKind kDevice = DeviceKind::kCpu;
};
struct OnGpu {
  static constexpr DeviceKind kDevice = DeviceKind::kCuda;
};
template <class Device>
class TensorSetOn : public ::testing::Test {
 protected:
  static constexpr DeviceKind kDevice = Device::kDevice;
  void SetUp() override {
    if (kDevice == DeviceKind::kCuda && !cuda_available()) {
      GTEST_SKIP() << cuda_unavailable_reason();
    }
  }
};
TYPED_TEST_SUITE_P(TensorSetOn);

TYPED_TEST_P(TensorSetOn, payloads_are_aligned_and_a_write_to_any_end_is_inside) {
  for (const std::int64_t length : kLengths) {
    TensorSet set(this->kDevice);
    const TensorView view = set.add({"t", Dtype::kUint8, {length}});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.data) % 256, 0u) << length;
    EXPECT_EQ(view.bytes(), static_cast<std::size_t>(length));
    if (length > 0) {
      write_byte(view, 0, 1);
      write_byte(view, length - 1, 2);
    }
    EXPECT_TRUE(set.canaries_intact()) << length;
  }
}

TYPED_TEST_P(TensorSetOn, a_write_outside_is_noticed_from_the_very_next_byte_on) {
  for (const std::int64_t length : kLengths) {
    for (const std::int64_t distance : {0, 1, 2, 63, 255, 4095}) {
      EXPECT_TRUE(write_is_noticed(this->kDevice, length, length + distance)) << length << "+" << distance;
      EXPECT_TRUE(write_is_noticed(this->kDevice, length, -1 - distance)) << length << ": " << -1 - distance;
    }
  }
}

TYPED_TEST_P(TensorSetOn, fill_reaches_every_byte_and_nothing_else) {
  TensorSet set(this->kDevice);
  set.add({"a", Dtype::kBfloat16, {3, 67}});
  set.add({"b", Dtype::kUint8, {1}});
  set.add({"empty", Dtype::kFloat32, {0, 8}});
  set.fill(0xFF);
  EXPECT_TRUE(set.canaries_intact());
  for (const TensorView& view : set.views()) {
    EXPECT_TRUE(all_bytes_are(view.data, view.device, 0xFF, view.bytes())) << view.name;
  }
  EXPECT_EQ(set.bytes(), 3u * 67 * 2 + 1);
}

TYPED_TEST_P(TensorSetOn, copies_keep_names_shapes_bytes_and_digest) {
  TensorSet host(DeviceKind::kCpu);
  const TensorView a = host.add({"a", Dtype::kInt32, {7, 11}});
  std::iota(a.as<std::int32_t>(), a.as<std::int32_t>() + a.numel(), -5);
  const TensorView b = host.add({"b", Dtype::kUint8, {13}});
  std::iota(b.as<std::uint8_t>(), b.as<std::uint8_t>() + b.numel(), 200);
  const TensorSet there = host.copy_to(this->kDevice);
  const TensorSet back = there.copy_to(DeviceKind::kCpu);
  EXPECT_EQ(there.device(), this->kDevice);
  EXPECT_EQ(back.at("a").shape, a.shape);
  EXPECT_EQ(std::memcmp(back.at("a").data, a.data, a.bytes()), 0);
  EXPECT_EQ(std::memcmp(back.at("b").data, b.data, b.bytes()), 0);
  EXPECT_EQ(there.digest(), host.digest());
  EXPECT_TRUE(there.canaries_intact());
}

TYPED_TEST_P(TensorSetOn, the_digest_sees_one_changed_bit_and_swapped_tensors) {
  TensorSet set(this->kDevice);
  const TensorView a = set.add({"a", Dtype::kUint8, {19}});
  const TensorView b = set.add({"b", Dtype::kUint8, {19}});
  set.fill(3);
  write_byte(a, 18, 4);
  const std::uint64_t before = set.digest();
  write_byte(a, 18, 5);
  EXPECT_NE(set.digest(), before);
  write_byte(a, 18, 3);
  write_byte(b, 18, 4);
  EXPECT_NE(set.digest(), before);
  write_byte(b, 18, 3);
  write_byte(a, 18, 4);
  EXPECT_EQ(set.digest(), before);
}

TYPED_TEST_P(TensorSetOn, more_than_the_machine_has_is_out_of_memory_and_the_set_stays_usable) {
  TensorSet set(this->kDevice);
  const auto twice = static_cast<std::int64_t>(2 * describe(this->kDevice).memory_bytes);
  EXPECT_THROW(set.add({"huge", Dtype::kUint8, {twice}}), OutOfMemory);
  EXPECT_FALSE(set.contains("huge"));
  set.add({"small", Dtype::kUint8, {8}});
  set.fill(1);
  EXPECT_TRUE(set.canaries_intact());
}

REGISTER_TYPED_TEST_SUITE_P(TensorSetOn, payloads_are_aligned_and_a_write_to_any_end_is_inside,
                            a_write_outside_is_noticed_from_the_very_next_byte_on,
                            fill_reaches_every_byte_and_nothing_else,
                            copies_keep_names_shapes_bytes_and_digest,
                            the_digest_sees_one_changed_bit_and_swapped_tensors,
                            more_than_the_machine_has_is_out_of_memory_and_the_set_stays_usable);
INSTANTIATE_TYPED_TEST_SUITE_P(Cpu, TensorSetOn, OnCpu);
INSTANTIATE_TYPED_TEST_SUITE_P(Gpu, TensorSetOn, OnGpu);

TEST(TensorSet, names_that_are_taken_and_impossible_extents_are_refused) {
  TensorSet set(DeviceKind::kCpu);
  set.add({"x", Dtype::kFloat32, {2}});
  EXPECT_THROW(set.add({"x", Dtype::kFloat32, {2}}), std::invalid_argument);
  EXPECT_THROW(set.add({"negative", Dtype::kFloat32, {4, -1}}), std::invalid_argument);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_THROW(set.add({"overflow", Dtype::kFloat32, {kMost / 2, 4}}), std::invalid_argument);
  EXPECT_THROW(set.add({"zones do not fit", Dtype::kUint8, {kMost}}), std::invalid_argument);
  EXPECT_EQ(set.views().size(), 1u);
}

TEST(TensorSet, an_unknown_name_is_refused_and_the_known_ones_are_listed) {
  TensorSet set(DeviceKind::kCpu);
  set.add({"packed", Dtype::kUint8, {2}});
  try {
    static_cast<void>(set.at("paked"));
    FAIL() << "accepted";
  } catch (const std::out_of_range& error) {
    EXPECT_THAT(error.what(), HasSubstr("'paked'"));
    EXPECT_THAT(error.what(), HasSubstr("packed"));
  }
}

TEST(TensorSet, moving_keeps_memory_in_place) {
  TensorSet set(DeviceKind::kCpu);
  void* const data = set.add({"x", Dtype::kFloat32, {2}}).data;
  TensorSet moved(std::move(set));
  EXPECT_EQ(moved.at("x").data, data);
  TensorSet assigned(DeviceKind::kCpu);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.at("x").data, data);
  EXPECT_TRUE(assigned.canaries_intact());
}

TEST(TensorView, a_shape_without_extents_is_one_element) {
  TensorView view;
  view.dtype = Dtype::kFloat64;
  EXPECT_EQ(view.numel(), 1);
  EXPECT_EQ(view.bytes(), sizeof(double));
}

TEST(TensorSetInGivenMemory, holds_what_lies_there_and_sees_damage_to_its_zones) {
  const TensorSpec spec{"x", Dtype::kUint8, {100}};
  TensorSet owner(DeviceKind::kCpu);
  owner.add(spec);
  owner.fill(7);
  EXPECT_EQ(owner.guarded("x").size(), TensorSet::guarded_bytes(spec));
  TensorSet guest(DeviceKind::kCpu);
  const TensorView view = guest.add_at(spec, owner.guarded("x").data());
  EXPECT_EQ(view.data, owner.at("x").data);
  EXPECT_TRUE(guest.canaries_intact());
  EXPECT_EQ(guest.digest(), owner.digest());
  write_byte(view, -1, 0);
  EXPECT_FALSE(guest.canaries_intact());
  EXPECT_THROW(guest.add_at(spec, owner.guarded("x").data()), std::invalid_argument);
  EXPECT_THROW(guest.guarded("y"), std::out_of_range);
}

}  // namespace
}  // namespace assay::harness

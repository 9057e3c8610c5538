// SPDX-License-Identifier: Apache-2.0
#include "harness/door/shared_set.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

namespace assay::harness::door {
namespace {

Specs some_specs() {
  return {{{"x", Dtype::kFloat32, {1000}}, {"empty", Dtype::kUint8, {0}}}, {{"y", Dtype::kFloat16, {77}}}};
}

TensorSet owned(const std::vector<TensorSpec>& specs, std::uint8_t value) {
  TensorSet set(DeviceKind::kCpu);
  for (const TensorSpec& spec : specs) set.add(spec);
  set.fill(value);
  return set;
}

TEST(SharedSet, allocations_do_not_overlap_and_payloads_are_aligned) {
  const Specs specs = some_specs();
  const Layout layout = layout_of(specs);
  ASSERT_EQ(layout.offsets.size(), 3u);
  EXPECT_GE(layout.offsets[1], layout.offsets[0] + TensorSet::guarded_bytes(specs.inputs[0]));
  EXPECT_GE(layout.offsets[2], layout.offsets[1] + TensorSet::guarded_bytes(specs.inputs[1]));
  EXPECT_EQ(layout.bytes, layout.offsets[2] + TensorSet::guarded_bytes(specs.outputs[0]));
  for (const std::size_t payload : layout.payloads) EXPECT_EQ(payload % 256, 0u);
}

TEST(SharedSet, another_mapping_of_the_file_sees_the_same_tensors) {
  const Specs specs = some_specs();
  SharedSet ours(specs);
  const Mapping mapping(ours.fd(), layout_of(specs).bytes);
  TensorSet inputs(DeviceKind::kCpu), outputs(DeviceKind::kCpu);
  add_tensors(specs, layout_of(specs), mapping.data(), inputs, outputs);
  inputs.at("x").as<float>()[999] = 4.5f;
  EXPECT_EQ(ours.inputs().at("x").as<float>()[999], 4.5f);
}

TEST(SharedSet, a_mirror_carries_payload_and_zones) {
  const Specs specs = some_specs();
  SharedSet shared(specs);
  const TensorSet from = owned(specs.outputs, 3);
  mirror(from, shared.outputs());
  EXPECT_EQ(from.digest(), shared.outputs().digest());
  EXPECT_TRUE(shared.outputs().canaries_intact());
  const TensorView& y = shared.outputs().at("y");
  y.as<std::byte>()[y.bytes()] = std::byte{0};  // what a write past the end does
  mirror(shared.outputs(), from);
  EXPECT_FALSE(from.canaries_intact());
}

TEST(SharedSet, nobody_can_cut_the_memory_from_under_its_reader) {
  SharedSet shared(some_specs());
  EXPECT_NE(::ftruncate(shared.fd(), 0), 0);
  shared.outputs().fill(1);
}

}  // namespace
}  // namespace assay::harness::door

// SPDX-License-Identifier: Apache-2.0
// What was built ahead of time, and which image a call chooses; no GPU needed.
#include "kernels/nf4/dequantize_triton.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>
#include <string>

namespace assay::kernels::nf4 {
namespace {

constexpr ScalarType kTypes[] = {ScalarType::kFloat16, ScalarType::kBfloat16, ScalarType::kFloat32};

template <class T>
T* at_address(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

DequantizeArgs arguments(ScalarType type, bool nested, std::uintptr_t packed, std::uintptr_t out) {
  DequantizeArgs args;
  args.weights.packed = at_address<const std::uint8_t>(packed);
  args.weights.absmax_codes = nested ? at_address<const std::uint8_t>(4096) : nullptr;
  args.out = at_address<void>(out);
  args.out_type = type;
  return args;
}

TEST(DequantizeTriton, every_architecture_has_an_image_for_every_kind_of_arguments) {
  const auto& images = dequantize_triton_images();
  if (images.empty())
    GTEST_SKIP() << "built with ASSAY_TRITON=OFF";
  std::set<std::pair<int, TritonImage::Format>> targets;
  for (const TritonImage& image : images) targets.insert({image.arch, image.format});
  std::set<std::string_view> names;
  for (const ScalarType type : kTypes) {
    for (const bool nested : {true, false}) {
      for (const std::uintptr_t out : {1024, 1028})
        names.insert(dequantize_triton_image_name(arguments(type, nested, 1024, out)));
    }
  }
  EXPECT_EQ(names.size(), 12u);
  EXPECT_EQ(images.size(), targets.size() * names.size());
  for (const auto& [arch, format] : targets) {
    for (const std::string_view name : names) {
      const auto matches = [&](const TritonImage& i) {
        return i.arch == arch && i.format == format && i.name == name;
      };
      EXPECT_EQ(std::count_if(images.begin(), images.end(), matches), 1) << name << " for sm_" << arch;
    }
  }
}

TEST(DequantizeTriton, images_are_elf_or_ptx_and_launch_as_the_kernel_expects) {
  for (const TritonImage& image : dequantize_triton_images()) {
    const auto* bytes = reinterpret_cast<const char*>(image.data);
    ASSERT_GT(image.num_bytes, 1000);
    if (image.format == TritonImage::Format::kCubin) {
      EXPECT_EQ(std::string_view(bytes, 4),
                "\x7f"
                "ELF")
          << image.name;
    } else {
      EXPECT_EQ(std::string_view(bytes, 8), ".version") << image.name;
      EXPECT_EQ(static_cast<std::int64_t>(std::strlen(bytes)) + 1, image.num_bytes) << image.name;
    }
    EXPECT_NE(std::string_view(bytes, static_cast<std::size_t>(image.num_bytes)).find(image.entry),
              std::string_view::npos);
    EXPECT_EQ(image.num_parameters, 27);  // 6 pointers, 3 sizes, 16 codes, Triton's 2 scratch pointers
    const int weights_per_thread = image.weights_per_program / (32 * image.num_warps);
    EXPECT_EQ(weights_per_thread, image.name.starts_with("f32") ? 8 : 16) << image.name;
  }
}

TEST(DequantizeTriton, pointers_off_their_vectors_choose_the_unaligned_image) {
  const auto name = [](ScalarType type, std::uintptr_t packed, std::uintptr_t out) {
    return dequantize_triton_image_name(arguments(type, true, packed, out));
  };
  EXPECT_EQ(name(ScalarType::kBfloat16, 1028, 1024), "bf16_nested_aligned");
  EXPECT_EQ(name(ScalarType::kBfloat16, 1026, 1024), "bf16_nested_unaligned");
  EXPECT_EQ(name(ScalarType::kBfloat16, 1024, 1026), "bf16_nested_unaligned");
  EXPECT_EQ(name(ScalarType::kFloat32, 1026, 1024), "f32_nested_aligned");
  EXPECT_EQ(name(ScalarType::kFloat32, 1025, 1024), "f32_nested_unaligned");
  EXPECT_EQ(name(ScalarType::kFloat32, 1024, 1028), "f32_nested_unaligned");
}

TEST(DequantizeTriton, bad_output_is_refused_before_any_launch) {
  const std::uint8_t byte = 0;
  const float absmax = 1;
  DequantizeArgs args;
  args.weights = {.packed = &byte, .num_weights = 2, .absmax = &absmax};
  EXPECT_THROW(dequantize_triton(args, nullptr), std::invalid_argument);
  args.out = at_address<void>(1025);
  EXPECT_THROW(dequantize_triton(args, nullptr), std::invalid_argument);
  args.out = at_address<void>(1024);
  args.weights.block_size = 48;
  EXPECT_THROW(dequantize_triton(args, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::nf4

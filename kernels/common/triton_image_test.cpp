// SPDX-License-Identifier: Apache-2.0
// Which image fits which GPU; no GPU needed.
#include "kernels/common/triton_image.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::kernels {
namespace {

using Format = TritonImage::Format;

TritonImage image(int arch, Format format, std::string_view name = "a") {
  return {name, "entry", arch, format, 4, 64, 2048, 27, nullptr, 0};
}

TEST(TritonImage, cubin_before_sm_90_runs_on_later_minor_versions_only) {
  EXPECT_TRUE(runs_on(image(80, Format::kCubin), 80));
  EXPECT_TRUE(runs_on(image(80, Format::kCubin), 89));
  EXPECT_FALSE(runs_on(image(86, Format::kCubin), 80));
  EXPECT_FALSE(runs_on(image(80, Format::kCubin), 90));
  EXPECT_FALSE(runs_on(image(75, Format::kCubin), 80));
}

TEST(TritonImage, cubin_from_sm_90_on_runs_on_its_own_architecture_only) {
  EXPECT_TRUE(runs_on(image(90, Format::kCubin), 90));
  EXPECT_TRUE(runs_on(image(120, Format::kCubin), 120));
  EXPECT_FALSE(runs_on(image(100, Format::kCubin), 103));
  EXPECT_FALSE(runs_on(image(120, Format::kCubin), 121));
}

TEST(TritonImage, ptx_before_sm_90_runs_on_every_later_gpu) {
  EXPECT_TRUE(runs_on(image(75, Format::kPtx), 75));
  EXPECT_TRUE(runs_on(image(75, Format::kPtx), 121));
  EXPECT_FALSE(runs_on(image(80, Format::kPtx), 75));
  EXPECT_FALSE(runs_on(image(90, Format::kPtx), 100));
}

TEST(ChooseImage, machine_code_comes_before_ptx_and_the_closest_architecture_first) {
  const std::vector<TritonImage> images{image(75, Format::kPtx), image(80, Format::kCubin),
                                        image(86, Format::kCubin), image(80, Format::kPtx),
                                        image(89, Format::kCubin, "b")};
  EXPECT_EQ(&choose_image(images, "a", 80), &images[1]);
  EXPECT_EQ(&choose_image(images, "a", 89), &images[2]);
  EXPECT_EQ(&choose_image(images, "a", 90), &images[3]);
  EXPECT_EQ(&choose_image(images, "a", 75), &images[0]);
}

TEST(ChooseImage, error_names_what_was_built_and_what_to_do) {
  const std::vector<TritonImage> images{image(80, Format::kPtx), image(90, Format::kCubin)};
  try {
    choose_image(images, "a", 75);
    FAIL() << "nothing runs on sm_75";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("sm_75"), ::testing::HasSubstr("sm_80 (PTX), sm_90"),
                                 ::testing::HasSubstr("CMAKE_CUDA_ARCHITECTURES")));
  }
  EXPECT_THROW(choose_image({}, "a", 90), std::runtime_error);
}

TEST(LaunchImage, wrong_number_of_arguments_or_programs_is_refused) {
  EXPECT_THROW(launch_image(image(90, Format::kCubin), 1, {}, nullptr), std::runtime_error);
  EXPECT_THROW(launch_image(image(90, Format::kCubin), 0, std::vector<void*>(25), nullptr),
               std::runtime_error);
  EXPECT_THROW(
      launch_image(image(90, Format::kCubin), std::int64_t{1} << 31, std::vector<void*>(25), nullptr),
      std::runtime_error);
}

}  // namespace
}  // namespace assay::kernels

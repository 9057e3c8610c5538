// SPDX-License-Identifier: Apache-2.0
// Buckets and the choice of a winner, without a GPU; the search itself on one.
#include "kernels/common/matmul_search.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "kernels/common/device_bytes_test.hpp"

namespace assay::kernels {
namespace {

TEST(MatmulBuckets, sizes_round_up_to_four_steps_an_octave) {
  for (const std::int64_t own : {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 4096, 5120, 6144, 7168, 8192})
    EXPECT_EQ(bucket_size(own), own);
  EXPECT_EQ(bucket_size(9), 10);
  EXPECT_EQ(bucket_size(4097), 5120);
  EXPECT_EQ(bucket_size(128256), 131072);
  EXPECT_EQ(bucket_size((std::int64_t{1} << 40) + 1), std::int64_t{5} << 38);
}

alignas(256) char memory[1024];

MatmulArgs product(std::int64_t m) {
  return {.a = memory, .b = memory, .d = memory, .m = m, .n = 64, .k = 64, .lda = 64, .ldb = 64, .ldd = 64};
}

TEST(MatmulBuckets, near_sizes_share_one_and_layouts_do_not) {
  EXPECT_EQ(bucket_of(product(4097)), bucket_of(product(5120)));
  EXPECT_NE(bucket_of(product(4096)), bucket_of(product(4097)));
  MatmulArgs other = product(4096);
  other.transpose_a = true;
  EXPECT_NE(bucket_of(other), bucket_of(product(4096)));
  other = product(4096);
  other.b = memory + 2;
  EXPECT_NE(bucket_of(other), bucket_of(product(4096)));
  other = product(4096);
  other.lda = 65;
  EXPECT_NE(bucket_of(other), bucket_of(product(4096)));
  other = product(4096);
  other.out_type = MatmulType::kFloat32;
  EXPECT_NE(bucket_of(other), bucket_of(product(4096)));
}

TEST(MatmulWinners, the_first_stays_unless_another_is_more_than_a_hundredth_faster) {
  EXPECT_EQ(fastest({{100, 100, 100}}), 0u);
  EXPECT_EQ(fastest({{100, 100, 100}, {99.5, 99.5, 99.5}}), 0u);
  EXPECT_EQ(fastest({{100, 100, 100}, {98, 98, 98}, {97, 97, 97}, {97.5, 97.5, 97.5}}), 2u);
}

TEST(MatmulWinners, one_slow_sample_decides_nothing) {
  EXPECT_EQ(fastest({{100, 100, 100}, {90, 500, 90}}), 1u);
  EXPECT_EQ(fastest({{100, 100, 100}, {10, 110, 110}}), 0u);
}

class GpuMatmulSearch : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
    std::mt19937 random(3);
    for (std::vector<std::byte>* operand : {&a_, &b_})
      for (std::size_t i = 0; i < operand->size(); i += 2) {  // bf16 of sizes around 1, of both signs
        const auto bits = static_cast<std::uint16_t>(0x3f00 + random() % 256 + ((random() % 2) << 15));
        std::memcpy(operand->data() + i, &bits, 2);
      }
  }
  static constexpr std::int64_t kM = 512, kN = 1000, kK = 768;
  std::vector<std::byte> a_ = std::vector<std::byte>(kM * kK * 2), b_ = std::vector<std::byte>(kN * kK * 2);

  std::vector<float> result(const MatmulArgs& args, const testing::DeviceBytes& d) {
    matmul(args, nullptr);
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    std::vector<float> out(kM * kN);
    d.copy_to(out.data());
    return out;
  }
};

TEST_F(GpuMatmulSearch, a_timed_choice_is_made_once_and_gives_the_product) {
  const testing::DeviceBytes a(a_), b(b_), d(nullptr, kM * kN * 4);
  MatmulArgs args{.a = a.get(), .b = b.get(), .d = d.get(), .m = kM, .n = kN, .k = kK};
  args.transpose_b = true;
  args.out_type = MatmulType::kFloat32;
  const std::vector<float> wanted = result(args, d);
  args.choice = MatmulChoice::kTimed;
  args.beta = 1.0f;  // must not search: it would add the product some forty times
  std::vector<float> twice = result(args, d);
  const std::size_t before = matmul_searches().size();
  args.beta = 0.0f;
  const std::vector<float> timed = result(args, d), again = result(args, d);
  ASSERT_EQ(matmul_searches().size(), before + 1);
  EXPECT_EQ(timed, again);
  const MatmulSearch log = matmul_searches().back();
  EXPECT_GE(log.proposals, 1);
  EXPECT_GT(log.first_us, 0.0);
  EXPECT_LE(log.winner_us, log.first_us);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_NEAR(timed[i], wanted[i], 1e-3) << i;
    ASSERT_NEAR(twice[i], 2.0f * wanted[i], 2e-3) << i;
  }
}

TEST_F(GpuMatmulSearch, a_product_that_begins_a_sum_times_sums_too) {
  const testing::DeviceBytes a(a_), b(b_), d(nullptr, kM * kN * 4);
  MatmulArgs args{.a = a.get(), .b = b.get(), .d = d.get(), .m = kM, .n = kN, .k = kK};
  args.transpose_b = true;
  args.out_type = MatmulType::kFloat32;
  const std::vector<float> wanted = result(args, d);
  args.choice = MatmulChoice::kTimed;
  result(args, d);  // as without sums: perhaps timed already, by the test before
  const std::size_t before = matmul_searches().size();
  args.adds_follow = true;
  const std::vector<float> begun = result(args, d);
  ASSERT_EQ(matmul_searches().size(), before + 1);
  EXPECT_NE(matmul_searches().back().product.find("added to d"), std::string::npos);
  result(args, d);
  args.adds_follow = false;
  args.beta = 1.0f;
  const std::vector<float> twice = result(args, d);
  EXPECT_EQ(matmul_searches().size(), before + 1);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_NEAR(begun[i], wanted[i], 1e-3) << i;
    ASSERT_NEAR(twice[i], 2.0f * wanted[i], 2e-3) << i;
  }
}

TEST_F(GpuMatmulSearch, a_capture_is_not_disturbed_and_not_searched_in) {
  const testing::DeviceBytes a(a_), b(b_), d(nullptr, kM * kN * 2);
  MatmulArgs args{.a = a.get(), .b = b.get(), .d = d.get(), .m = kM, .n = kN, .k = kK};
  args.transpose_b = true;
  args.choice = MatmulChoice::kTimed;
  const std::size_t before = matmul_searches().size();
  cudaStream_t stream{};
  cudaGraph_t graph{};
  ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  matmul(args, stream);
  ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  EXPECT_EQ(matmul_searches().size(), before);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

}  // namespace
}  // namespace assay::kernels

// SPDX-License-Identifier: Apache-2.0
// The table of winners as a file, without a GPU; a product that finds its winner there, on one.
#include "kernels/common/matmul_winners.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

#include "kernels/common/device_bytes_test.hpp"

namespace assay::kernels {
namespace {

namespace fs = std::filesystem;

MatmulBucket bucket(std::int64_t m) {
  return {.sizes = {m, 4096, 14336},
          .layout = {0, 1, 1, 2},
          .alignment = {256, 256, 16, 256, 256, 2},
          .workspace_bytes = std::size_t{32} << 20,
          .adds = m % 2 == 1};
}

MatmulWinner winner(std::uint64_t number) {
  MatmulWinner out{};
  for (std::uint64_t& word : out.algorithm.data) word = 0xfedcba9876543210ULL + number++;
  out.log = {.product = "m=5120 n=4096 k=14336",
             .proposals = 9,
             .winner = 3,
             .first_us = 812.5,
             .winner_us = 790.25};
  return out;
}

bool same(const MatmulWinner& a, const MatmulWinner& b) {
  return std::memcmp(&a.algorithm, &b.algorithm, sizeof a.algorithm) == 0 && a.log.product == b.log.product &&
         a.log.proposals == b.log.proposals && a.log.winner == b.log.winner &&
         a.log.first_us == b.log.first_us && a.log.winner_us == b.log.winner_us;
}

class MatmulWinnersFile : public ::testing::Test {
 protected:
  MatmulWinnersFile()
      : folder_(fs::temp_directory_path() /
                ("assay_winners_" + std::to_string(::getpid()) + "_" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())),
        file_(folder_ / "deeper" / "winners.txt") {
    fs::remove_all(folder_);
  }
  ~MatmulWinnersFile() override { fs::remove_all(folder_); }
  std::string text() const {
    std::ostringstream out;
    out << std::ifstream(file_).rdbuf();
    return out.str();
  }
  void write(const std::string& text) const { std::ofstream(file_) << text; }

  fs::path folder_, file_;
};

TEST(MatmulWinnerLine, says_all_of_a_winner) {
  for (const std::int64_t m : {1, 2, 8192}) {
    const auto read = parse_winner_line(winner_line(bucket(m), winner(7)));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->first, bucket(m));
    EXPECT_TRUE(same(read->second, winner(7)));
  }
}

TEST(MatmulWinnerLine, is_refused_where_any_character_is_changed_or_missing) {
  const std::string line = winner_line(bucket(2), winner(0));
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string other = line;
    other[i] = other[i] == '1' ? '2' : '1';
    EXPECT_FALSE(parse_winner_line(other)) << other;
    EXPECT_FALSE(parse_winner_line(line.substr(0, i))) << i;
  }
  EXPECT_FALSE(parse_winner_line(line + "0"));
}

TEST_F(MatmulWinnersFile, serves_the_next_process_and_says_so) {
  MatmulWinners first;
  first.keep_in(file_);
  first.add(bucket(2), winner(1));
  MatmulWinners second;
  EXPECT_EQ(second.find(bucket(2)), nullptr);
  second.keep_in(file_);
  ASSERT_NE(second.find(bucket(2)), nullptr);
  EXPECT_TRUE(same(*second.find(bucket(2)), winner(1)));
  EXPECT_EQ(second.find(bucket(4)), nullptr);
  ASSERT_EQ(second.table().size(), 1U);
  EXPECT_TRUE(second.table().front().kept);
  EXPECT_FALSE(first.table().front().kept);
  second.forget();
  EXPECT_EQ(second.find(bucket(2)), nullptr);
}

TEST_F(MatmulWinnersFile, keeps_what_two_processes_found_at_once) {
  MatmulWinners one, two;
  one.keep_in(file_);
  two.keep_in(file_);
  one.add(bucket(2), winner(1));
  two.add(bucket(4), winner(2));
  two.add(bucket(2), winner(3));  // both timed it: each goes on with its own
  EXPECT_TRUE(same(*one.find(bucket(2)), winner(1)));
  MatmulWinners later;
  later.keep_in(file_);
  EXPECT_TRUE(same(*later.find(bucket(2)), winner(3)));
  EXPECT_TRUE(same(*later.find(bucket(4)), winner(2)));
}

TEST_F(MatmulWinnersFile, loses_damaged_lines_alone) {
  MatmulWinners first;
  first.keep_in(file_);
  first.add(bucket(2), winner(1));
  first.add(bucket(4), winner(2));
  std::string damaged = text();
  damaged[damaged.find("fedcba")] = '0';
  write("of another version\n" + damaged + "cut of");
  MatmulWinners second;
  second.keep_in(file_);
  EXPECT_EQ(second.table().size(), 1U);
  EXPECT_EQ(std::ranges::count(text(), '\n'), 1);
}

TEST_F(MatmulWinnersFile, that_cannot_be_written_is_refused) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "deeper") << "a file where the folder should be";
  MatmulWinners winners;
  EXPECT_THROW(winners.keep_in(file_), std::runtime_error);
}

using GpuMatmulWinners = MatmulWinnersFile;

TEST_F(GpuMatmulWinners, a_fresh_process_searches_nothing_that_is_kept) {
  if (!testing::has_gpu())
    GTEST_SKIP() << "no GPU";
  constexpr std::int64_t kSize = 512;
  const testing::DeviceBytes a(nullptr, kSize * kSize * 2), b(nullptr, kSize * kSize * 2),
      d(nullptr, kSize * kSize * 2);
  ASSAY_CUDA_CHECK(cudaMemset(a.get(), 0, kSize * kSize * 2));
  ASSAY_CUDA_CHECK(cudaMemset(b.get(), 0, kSize * kSize * 2));
  const MatmulArgs args{.a = a.get(),
                        .b = b.get(),
                        .d = d.get(),
                        .m = kSize,
                        .n = kSize,
                        .k = kSize,
                        .choice = MatmulChoice::kTimed};
  forget_matmul_winners();
  keep_matmul_winners(folder_);
  const std::size_t before = matmul_searches().size();
  matmul(args, nullptr);
  EXPECT_EQ(matmul_searches().size(), before + 1);
  forget_matmul_winners();
  EXPECT_TRUE(matmul_winners().empty());
  keep_matmul_winners(folder_);
  matmul(args, nullptr);
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  EXPECT_EQ(matmul_searches().size(), before + 1);
  ASSERT_EQ(matmul_winners().size(), 1U);
  EXPECT_TRUE(matmul_winners().front().kept);
  forget_matmul_winners();
}

}  // namespace
}  // namespace assay::kernels

// SPDX-License-Identifier: Apache-2.0
// Byte operations: the GPU must agree with the CPU at every length and alignment, and both with first
// principles.
#include "harness/device/bytes.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

std::vector<std::uint8_t> random_bytes(std::size_t count) {
  std::mt19937_64 random(count);
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) {
    byte = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

std::uint64_t host_digest(const std::vector<std::uint8_t>& bytes) {
  return digest_bytes(bytes.data(), DeviceKind::kCpu, bytes.size());
}

TEST(Digest, every_single_bit_counts) {
  std::vector<std::uint8_t> bytes = random_bytes(37);
  std::set<std::uint64_t> digests = {host_digest(bytes)};
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    digests.insert(host_digest(bytes));
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  EXPECT_EQ(digests.size(), 8 * bytes.size() + 1);
}

TEST(Digest, the_order_of_words_counts) {
  std::vector<std::uint8_t> bytes = random_bytes(64);
  const std::uint64_t before = host_digest(bytes);
  std::rotate(bytes.begin(), bytes.begin() + 8, bytes.end());
  EXPECT_NE(host_digest(bytes), before);
}

TEST(Digest, zeros_behind_the_end_count_as_length) {
  std::set<std::uint64_t> digests;
  for (std::size_t length = 0; length < 40; ++length) {
    digests.insert(host_digest(std::vector<std::uint8_t>(length, 0)));
  }
  EXPECT_EQ(digests.size(), 40u);
}

TEST(Digest, is_the_sum_of_mixed_words_that_the_header_promises) {
  const std::vector<std::uint64_t> words = {1, 2, 3};
  const std::uint64_t empty_of_that_length =
      digest_bytes(words.data(), DeviceKind::kCpu, 24) - mix_word(1, 0) - mix_word(2, 1) - mix_word(3, 2);
  const std::vector<std::uint64_t> others = {9, 8, 7};
  EXPECT_EQ(digest_bytes(others.data(), DeviceKind::kCpu, 24),
            empty_of_that_length + mix_word(9, 0) + mix_word(8, 1) + mix_word(7, 2));
}

TEST(AllBytesAre, one_other_byte_anywhere_is_seen) {
  for (const std::size_t length : {1, 2, 7, 8, 9, 64, 1000}) {
    std::vector<std::uint8_t> bytes(length, 0xAB);
    EXPECT_TRUE(all_bytes_are(bytes.data(), DeviceKind::kCpu, 0xAB, length));
    EXPECT_FALSE(all_bytes_are(bytes.data(), DeviceKind::kCpu, 0xAC, length));
    for (std::size_t i = 0; i < length; ++i) {
      bytes[i] ^= 0x10;
      EXPECT_FALSE(all_bytes_are(bytes.data(), DeviceKind::kCpu, 0xAB, length)) << length << " at " << i;
      bytes[i] ^= 0x10;
    }
  }
  EXPECT_TRUE(all_bytes_are(nullptr, DeviceKind::kCpu, 0xAB, 0));
}

TEST(GpuDigest, equals_the_digest_on_the_cpu_at_every_length_and_alignment) {
  if (!cuda_available()) {
    GTEST_SKIP() << cuda_unavailable_reason();
  }
  for (const std::size_t length : {0, 1, 7, 8, 9, 31, 255, 4097, 1000003, 40000001}) {
    const std::vector<std::uint8_t> bytes = random_bytes(length);
    const DeviceBuffer there(length + 8, DeviceKind::kCuda);
    for (const std::size_t offset : {0, 1, 4, 7}) {
      copy_bytes(there.data() + offset, DeviceKind::kCuda, bytes.data(), DeviceKind::kCpu, length);
      EXPECT_EQ(digest_bytes(there.data() + offset, DeviceKind::kCuda, length), host_digest(bytes))
          << length << " bytes at offset " << offset;
    }
  }
}

TEST(GpuAllBytesAre, one_other_byte_anywhere_is_seen_and_neighbours_are_not_read) {
  if (!cuda_available()) {
    GTEST_SKIP() << cuda_unavailable_reason();
  }
  for (const std::size_t length : {1, 7, 8, 9, 65}) {
    const DeviceBuffer there(length + 16, DeviceKind::kCuda);
    for (const std::size_t offset : {0, 3, 8}) {
      fill_bytes(there.data(), DeviceKind::kCuda, 0x11, there.bytes());
      fill_bytes(there.data() + offset, DeviceKind::kCuda, 0xAB, length);
      EXPECT_TRUE(all_bytes_are(there.data() + offset, DeviceKind::kCuda, 0xAB, length)) << length;
      for (std::size_t i = 0; i < length; ++i) {
        fill_bytes(there.data() + offset + i, DeviceKind::kCuda, 0xAA, 1);
        EXPECT_FALSE(all_bytes_are(there.data() + offset, DeviceKind::kCuda, 0xAB, length))
            << length << " at " << i;
        fill_bytes(there.data() + offset + i, DeviceKind::kCuda, 0xAB, 1);
      }
    }
  }
}

}  // namespace
}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/adapter_layout.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

std::vector<AdapterTensor> adapters() {
  return {{"q.lora_A", 3, 48}, {"q.lora_B", 48, 3}, {"k.lora_A", 3, 7}, {"k.lora_B", 5, 3}};
}

TEST(AdapterLayout, every_element_is_owned_once_for_any_world) {
  for (int world = 1; world <= 8; ++world) {
    const AdapterLayout layout(adapters(), world);
    std::vector<std::vector<int>> owners;
    for (const AdapterTensor& tensor : layout.tensors())
      owners.emplace_back(static_cast<std::size_t>(tensor.elements()));
    for (int rank = 0; rank < world; ++rank) {
      std::int64_t next = 0;
      for (const AdapterPiece& piece : layout.owned(rank)) {
        EXPECT_EQ(piece.local, next);
        next += piece.elements;
        for (std::int64_t i = piece.first; i < piece.first + piece.elements; ++i)
          ++owners.at(piece.tensor).at(static_cast<std::size_t>(i));
        EXPECT_EQ(rank * layout.split().chunk() + piece.local, layout.offset(piece.tensor) + piece.first)
            << "the gathered bucket is the tensors one behind the other";
      }
      EXPECT_LE(next, layout.split().chunk());
    }
    for (const auto& tensor : owners)
      for (const int times : tensor) ASSERT_EQ(times, 1);
  }
}

TEST(AdapterLayout, chunks_stay_aligned) {
  for (int world = 1; world <= 8; ++world)
    EXPECT_EQ(AdapterLayout(adapters(), world).split().chunk() % 16, 0);
}

TEST(AdapterLayout, nothing_to_train_is_refused) {
  EXPECT_THROW(AdapterLayout({}, 2), std::invalid_argument);
  EXPECT_THROW(AdapterLayout({{"a", 0, 3}}, 2), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp

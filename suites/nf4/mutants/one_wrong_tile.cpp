// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "One corner of the matrix has its neighbours' scales; the mean error looks fine."
#include <algorithm>

#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

/// The tile at the end of the matrix takes the absmax of the block before.
void spoil_last_tile(const PackedWeights& w, const harness::TensorView& out) {
  constexpr std::int64_t kTile = 128;
  const std::int64_t rows = out.shape[0], cols = out.shape[1];
  for (std::int64_t row = std::max<std::int64_t>(0, rows - kTile); row < rows; ++row) {
    for (std::int64_t col = std::max<std::int64_t>(0, cols - kTile); col < cols; ++col) {
      const std::int64_t i = row * cols + col, block = std::max<std::int64_t>(1, i / w.block_size) - 1;
      store(out, i, PlainSteps::code(PlainSteps::nibble(w, i)) * PlainSteps::absmax(w, block));
    }
  }
}

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("one_wrong_tile_cpu", harness::DeviceKind::kCpu, harness::checks::kParity,
                "the last 128x128 tile has the scales of the blocks before", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
                    dequantize_plain<PlainSteps>(w, out, 0, w.num_weights);
                    spoil_last_tile(w, out);
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants

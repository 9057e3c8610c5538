// SPDX-License-Identifier: Apache-2.0
// The case tables of the pointwise kernels' tests, and how a result is judged: by the formulas in f64 and by
// every byte that may not have changed. A machine is the CPU with some instruction set, a GPU, or the
// emulated one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/llama/rms_norm.hpp"
#include "kernels/llama/rope.hpp"
#include "kernels/llama/swiglu.hpp"

namespace assay::kernels::llama::cases {

inline constexpr ElementType kTypes[] = {ElementType::kFloat16, ElementType::kBfloat16,
                                         ElementType::kFloat32};

/// A matrix in an arena.
struct Matrix {
  std::size_t offset = 0;
  ElementType type = ElementType::kFloat32;
  std::int64_t rows = 0, columns = 0, stride = 0;

  std::size_t byte_of(std::int64_t row, std::int64_t column) const;
  InputRows in(std::byte* base) const { return {base + offset, stride}; }
  OutputRows out(std::byte* base) const { return {base + offset, stride}; }
};

/// All memory of one call, starting at a multiple of 256 bytes. What is in no matrix is 0xa5.
class Arena {
 public:
  /// At a multiple of 256 bytes plus `shift` elements.
  Matrix add(ElementType type, std::int64_t rows, std::int64_t columns, std::int64_t stride = 0,
             int shift = 0);
  std::byte* data() { return reinterpret_cast<std::byte*>(lines_.data()); }
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(lines_.data()); }
  std::size_t size() const { return lines_.size() * sizeof(Line); }

  double get(const Matrix& m, std::int64_t row, std::int64_t column) const;
  void set(const Matrix& m, std::int64_t row, std::int64_t column, double value);
  /// Normal with the deviation; the same numbers in every run.
  void fill(const Matrix& m, double deviation, unsigned seed);

 private:
  struct alignas(256) Line {
    std::byte bytes[256];
  };
  std::vector<Line> lines_;
};

struct Machine {
  /// Calls `body` with where the arena lies on the machine, and brings it back.
  std::function<void(Arena&, const std::function<void(std::byte* base)>& body)> on;
  std::function<void(const RmsNormForward&)> rms_norm;
  std::function<void(const RmsNormBackward&)> rms_norm_backward;
  std::function<void(const Rope&)> rope;
  std::function<void(const SwigluForward&)> swiglu;
  std::function<void(const SwigluBackward&)> swiglu_backward;
};

struct NormCase {
  ElementType type = ElementType::kBfloat16;
  std::int64_t rows = 3, hidden = 256;
  bool residual = false, in_place = false, trains_weight = false;
  int padding = 0, shift = 0;  ///< elements behind each row, before the first
};
struct RopeCase {
  ElementType type = ElementType::kBfloat16;
  std::int64_t batches = 1, length = 5, q_heads = 4, k_heads = 2, head_dim = 64;
  int position_bytes = 0;  ///< 0: none given
  bool head_major = false, in_place = false, backward = false;
  int shift = 0;
};
struct SwigluCase {
  ElementType type = ElementType::kBfloat16;
  std::int64_t rows = 3, columns = 256;
  bool halves = false, in_place = false, again = false;
  int padding = 0, shift = 0;
};

/// Each option, each way of being odd. `large`: also sizes that an emulator takes too long for.
std::vector<NormCase> norm_cases(bool large);
std::vector<RopeCase> rope_cases(bool large);
std::vector<SwigluCase> swiglu_cases(bool large);

/// Forward and backward of one case.
void expect_norm(const NormCase& c, const Machine& machine);
void expect_rope(const RopeCase& c, const Machine& machine);
void expect_swiglu(const SwigluCase& c, const Machine& machine);

/// Infinities and NaN stay in their rows or elements.
void expect_extremes(ElementType type, const Machine& machine);
/// Angles far out: positions up to 2^24 − 1 with the frequencies of theta 500000.
void expect_exact_angles(const Machine& machine);

/// One call of everything on the same numbers: all output bytes, to compare machines or runs.
std::vector<std::byte> outputs_of_everything(const Machine& machine);

}  // namespace assay::kernels::llama::cases

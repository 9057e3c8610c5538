// SPDX-License-Identifier: Apache-2.0
// How tests of the pointwise kernels judge a call: outputs against truth, every other byte against what it
// was. What a result may be off by: half a unit of its own type, and 2^-20 of the terms it was summed from
// for the f32 arithmetic before.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/llama/pointwise_cases_test.hpp"

namespace assay::kernels::llama::cases {

inline constexpr double kArithmetic = 0x1p-20;

inline double half_unit(ElementType type, double value) {
  const int mantissa = type == ElementType::kFloat32 ? 23 : type == ElementType::kFloat16 ? 10 : 7;
  const int least = type == ElementType::kFloat16 ? -14 : -126;
  const int exponent = value == 0.0 ? least : std::max(std::ilogb(value), least);
  return std::ldexp(0.5, exponent - mantissa);
}

/// Runs, then compares outputs with truth and everything else with before.
class Judge {
 public:
  Judge(Arena& arena, const Machine& machine, const std::function<void(std::byte*)>& call, std::string what)
      : before(arena), after_(arena), what_(std::move(what)), writable_(arena.size(), false) {
    machine.on(arena, call);
  }
  ~Judge() {
    for (std::size_t i = 0; i < writable_.size(); ++i) {
      if (!writable_[i] && before.data()[i] != after_.data()[i]) {
        ADD_FAILURE() << what_ << ": byte " << i << " changed and belongs to no output";
        return;
      }
    }
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  /// `value_and_terms(row, column)`: truth, and the sum of the magnitudes that it was summed from.
  template <class Truth>
  void output(const Matrix& m, const char* name, Truth value_and_terms) {
    int bad = 0;
    for (std::int64_t r = 0; r < m.rows && bad < 3; ++r) {
      for (std::int64_t c = 0; c < m.columns && bad < 3; ++c) {
        const auto [truth, terms] = value_and_terms(r, c);
        const double found = after_.get(m, r, c), limit = half_unit(m.type, truth) + kArithmetic * terms;
        // Positive form: NaN fails.
        if (!(std::fabs(found - truth) <= limit)) {
          ++bad;
          ADD_FAILURE() << what_ << ": " << name << " [" << r << ", " << c << "] expected " << truth
                        << " within " << limit << ", found " << found;
        }
      }
    }
    may_be_written(m);
  }
  void may_be_written(const Matrix& m) {
    for (std::int64_t r = 0; r < m.rows; ++r)
      std::fill(writable_.begin() + static_cast<std::ptrdiff_t>(m.byte_of(r, 0)),
                writable_.begin() + static_cast<std::ptrdiff_t>(m.byte_of(r, m.columns)), true);
  }

  const Arena before;

 private:
  const Arena& after_;
  std::string what_;
  std::vector<bool> writable_;
};

inline const char* name_of(ElementType type) {
  return type == ElementType::kFloat16 ? "f16" : type == ElementType::kBfloat16 ? "bf16" : "f32";
}
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  ((out << parts << ' '), ...);
  return out.str();
}

}  // namespace assay::kernels::llama::cases

// SPDX-License-Identifier: Apache-2.0
// For tests of the comparison: truth as f64 vectors, outputs as values rounded into a format, figures as
// vectors.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "harness/verify/ulp.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Truths = std::map<std::string, std::vector<double>, std::less<>>;

inline Oracle oracle_of(const Truths& truths) {
  Oracle oracle;
  oracle.truth = [truths](std::string_view output, std::int64_t begin, std::span<double> out) {
    const std::vector<double>& truth = truths.find(output)->second;
    std::copy_n(truth.begin() + begin, out.size(), out.begin());
  };
  return oracle;
}

/// Exact parity on top: the expected bits are the correctly rounded truth.
template <class F>
Oracle exact_oracle_of(const Truths& truths) {
  Oracle oracle = oracle_of(truths);
  oracle.exact = [truths](std::string_view output, std::int64_t begin, std::int64_t count, std::byte* out) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto bits = encode<F>(truths.find(output)->second[begin + i]);
      std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
    }
  };
  return oracle;
}

template <class F>
void put(TensorSet& set, const std::string& name, Dtype dtype, std::vector<std::int64_t> shape,
         const std::vector<double>& values) {
  const TensorView& view = set.add({name, dtype, std::move(shape)});
  for (std::size_t i = 0; i < values.size(); ++i) {
    view.as<typename F::Bits>()[i] = encode<F>(values[i]);
  }
}

inline std::vector<double> ramp(std::int64_t count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<double>(i % 97 + 1);  // exact in every format
  }
  return values;
}

inline BaselineErrors uniform_baseline(const std::string& output, double rel_err, std::vector<double> rms,
                                       std::vector<double> max) {
  return {{{output, rel_err, std::move(rms), std::move(max)}}};
}

inline std::vector<std::int64_t> histogram(std::map<int, std::int64_t> filled) {
  std::vector<std::int64_t> buckets(kUlpBuckets);
  for (const auto& [bucket, count] : filled) {
    buckets[bucket] = count;
  }
  return buckets;
}

inline const ParityRule kExact{.exact = true};

}  // namespace assay::harness

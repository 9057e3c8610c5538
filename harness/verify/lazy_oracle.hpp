// SPDX-License-Identifier: Apache-2.0
// Truth that cannot be made piece by piece.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// All of it is made by `make()` at the first question and kept. `elements(made, output)` is where that
/// output's f64 numbers begin; null where it is none, for which asking throws std::out_of_range.
template <class Make, class Elements>
Oracle lazy_oracle(Make make, Elements elements) {
  struct Kept {
    std::once_flag once;
    std::invoke_result_t<Make> made;
  };
  Oracle oracle;
  oracle.truth = [make = std::move(make), elements = std::move(elements), kept = std::make_shared<Kept>()](
                     std::string_view output, std::int64_t begin, std::span<double> out) {
    std::call_once(kept->once, [&] { kept->made = make(); });
    const double* const from = elements(kept->made, output);
    if (from == nullptr)
      throw std::out_of_range("the oracle knows no output '" + std::string(output) + "'");
    std::copy_n(from + begin, out.size(), out.begin());
  };
  return oracle;
}

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
// Random inputs of a pointwise case, and what they imply: rstd of a backward case, transformers' cos and sin.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "reference/backprop/matrix.hpp"
#include "reference/compile/pointwise.hpp"
#include "suites/compile/common/elements.hpp"
#include "suites/compile/common/random.hpp"
#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {
namespace {

using harness::TensorSet;
using harness::TensorView;

/// A fifth of the rows lies so low that eps is as large as their mean square.
double row_scale(std::int64_t row) {
  return row % 5 == 2 ? std::sqrt(kEps) : 1.0 + 0.5 * static_cast<double>(row % 3);
}

/// Documents of different lengths, or one.
std::int64_t position_of(const PointwiseCase& c, std::int64_t token) {
  if (!c.packed)
    return token;
  const std::int64_t longest = std::max<std::int64_t>(c.tokens / 3, 1);
  return token < longest ? token : (token - longest) % std::max<std::int64_t>(longest / 2, 1);
}

void make_rstd(const PointwiseCase& c, const TensorSet& set) {
  const TensorView &h = set.at("h"), &rstd = set.at("rstd");
  reference::backprop::for_each_row(c.tokens, [&](std::int64_t row) {
    std::vector<double> values(static_cast<std::size_t>(c.width));
    for (std::int64_t i = 0; i < c.width; ++i) values[i] = load(h, row * c.width + i);
    store(rstd, row, reference::compile::inverse_rms(values, kEps));
  });
}

/// As LlamaRotaryEmbedding.forward: the angle in f32, cos and sin of it rounded to the element type.
void make_angles(const PointwiseCase& c, const TensorSet& set) {
  const auto* const frequency = set.at("inverse_frequency").as<float>();
  const std::int64_t half = c.head_dim / 2;
  for (const bool sine : {false, true}) {
    fill(set.at(sine ? "sin" : "cos"), [&](std::int64_t i) {
      const auto position = static_cast<float>(position_of(c, i / c.head_dim));
      const float angle = position * frequency[i % c.head_dim % half];
      return sine ? std::sin(static_cast<double>(angle)) : std::cos(static_cast<double>(angle));
    });
  }
}

}  // namespace

harness::TensorSet make_inputs(const harness::Case& which, std::uint64_t seed) {
  const PointwiseCase& c = parameters_of(which);
  TensorSet set(harness::DeviceKind::kCpu);
  for (const harness::TensorSpec& spec : inputs_of(c)) set.add(spec);
  for (const TensorView& view : set.views()) {
    const std::string_view name = view.name;
    const std::uint64_t stream = stream_of(name, seed);
    if (name == "positions") {
      for (std::int64_t t = 0; t < c.tokens; ++t) view.as<std::int64_t>()[t] = position_of(c, t);
    } else if (name == "inverse_frequency") {
      fill(view, [&](std::int64_t i) {
        return std::pow(kTheta, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim));
      });
    } else if (name == "weight") {
      fill(view, [=](std::int64_t i) { return 1.0 + 0.3 * normal_at(stream, i); });
    } else if (name == "gate" || name == "gate_up") {
      fill(view, [=](std::int64_t i) { return 2.0 * normal_at(stream, i); });
    } else if (name == "x" || name == "h" || name == "residual") {
      fill(view,
           [=, width = c.width](std::int64_t i) { return row_scale(i / width) * normal_at(stream, i); });
    } else if (name != "rstd" && name != "cos" && name != "sin") {
      fill(view, [=](std::int64_t i) { return 0.8 * normal_at(stream, i); });
    }
  }
  if (set.contains("rstd"))
    make_rstd(c, set);
  if (set.contains("cos"))
    make_angles(c, set);
  return set;
}

}  // namespace assay::suites::compile

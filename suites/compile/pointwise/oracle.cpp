// SPDX-License-Identifier: Apache-2.0
// The case's rows as reference/compile takes them.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "reference/compile/pointwise.hpp"
#include "suites/compile/common/elements.hpp"
#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {
namespace {

using harness::TensorSet;
using harness::TensorView;
namespace ref = reference::compile;
using Row = std::vector<double>;
using Rows = std::map<std::string, Row, std::less<>>;

Row row_of(const TensorView& view, std::int64_t row, std::int64_t width) {
  Row values(static_cast<std::size_t>(width));
  for (std::int64_t i = 0; i < width; ++i) values[i] = load(view, row * width + i);
  return values;
}

/// x + residual, or h.
Row normed_row(const PointwiseCase& c, const TensorSet& in, std::int64_t row) {
  Row h = row_of(in.at(c.backward ? "h" : "x"), row, c.width);
  if (c.residual && !c.backward) {
    for (std::int64_t i = 0; i < c.width; ++i) h[i] += load(in.at("residual"), row * c.width + i);
  }
  return h;
}

Rows norm_row(const PointwiseCase& c, const TensorSet& in, std::int64_t row) {
  Rows out;
  const Row w = row_of(in.at("weight"), 0, c.width);
  out["sum"] = normed_row(c, in, row);
  if (!c.backward) {
    out["rstd"] = {ref::inverse_rms(out["sum"], kEps)};
    out["y"].resize(w.size());
    ref::rms_norm(out["sum"], w, kEps, out["y"]);
    return out;
  }
  Row dw(w.size());
  out["dh"].resize(w.size());
  ref::rms_norm_backward(out["sum"], w, kEps, row_of(in.at("dy"), row, c.width), out["dh"], dw);
  if (c.residual) {
    for (std::int64_t i = 0; i < c.width; ++i) out["dh"][i] += load(in.at("dsum"), row * c.width + i);
  }
  return out;
}

Rows rope_row(const PointwiseCase& c, const TensorSet& in, std::string_view output, std::int64_t row) {
  const std::string side(output.substr(0, 1));
  const auto turn = c.backward ? ref::rotate_backward : ref::rotate;
  const auto position = static_cast<double>(in.at("positions").as<std::int64_t>()[row]);
  const Row frequency = row_of(in.at("inverse_frequency"), 0, c.head_dim / 2);
  const Row x = row_of(in.at(side), row, (side == "q" ? c.heads : c.kv_heads) * c.head_dim);
  Rows out;
  Row& turned = out[side + "_out"];
  turned.resize(x.size());
  const auto d = static_cast<std::size_t>(c.head_dim);
  for (std::size_t head = 0; head < x.size(); head += d)
    turn(std::span(x).subspan(head, d), position, frequency, std::span(turned).subspan(head, d));
  return out;
}

Rows swiglu_row(const PointwiseCase& c, const TensorSet& in, std::int64_t row) {
  Row gate, up;
  if (c.halves) {
    gate = row_of(in.at("gate_up"), row, 2 * c.width);
    up.assign(gate.begin() + c.width, gate.end());
  } else {
    gate = row_of(in.at("gate"), row, c.width), up = row_of(in.at("up"), row, c.width);
  }
  Rows out;
  for (std::int64_t i = 0; i < c.width; ++i) {
    out["y"].push_back(ref::swiglu(gate[i], up[i]));
    if (!c.backward)
      continue;
    const ref::SwigluGradient g = ref::swiglu_backward(gate[i], up[i], load(in.at("dy"), row * c.width + i));
    out["dgate"].push_back(g.gate), out["dup"].push_back(g.up);
  }
  out["dgate_up"] = out["dgate"];
  out["dgate_up"].insert(out["dgate_up"].end(), out["dup"].begin(), out["dup"].end());
  return out;
}

Row truth_of_row(const PointwiseCase& c, const TensorSet& in, std::string_view output, std::int64_t row) {
  const Rows rows = c.piece == Piece::kRmsNorm ? norm_row(c, in, row)
                    : c.piece == Piece::kRope  ? rope_row(c, in, output, row)
                                               : swiglu_row(c, in, row);
  return rows.find(output)->second;
}

/// Over all rows, so kept.
struct WeightGradient {
  std::once_flag once;
  Row values;

  void make(const PointwiseCase& c, const TensorSet& in) {
    const Row w = row_of(in.at("weight"), 0, c.width);
    values.assign(w.size(), 0.0);
    Row dh(w.size());
    for (std::int64_t row = 0; row < c.tokens; ++row)
      ref::rms_norm_backward(normed_row(c, in, row), w, kEps, row_of(in.at("dy"), row, c.width), dh, values);
  }
};

}  // namespace

harness::Oracle oracle_of(const harness::Case& which, const TensorSet& inputs) {
  harness::Oracle oracle;
  oracle.truth = [c = parameters_of(which), &inputs, dw = std::make_shared<WeightGradient>()](
                     std::string_view output, std::int64_t begin, std::span<double> out) {
    if (output == "dw") {
      std::call_once(dw->once, [&] { dw->make(c, inputs); });
      std::copy_n(dw->values.begin() + begin, out.size(), out.begin());
      return;
    }
    std::size_t done = 0;
    while (done < out.size()) {
      const std::int64_t at = begin + static_cast<std::int64_t>(done);
      std::int64_t width = 1;  // of a row of this output
      for (const harness::TensorSpec& spec : outputs_of(c)) {
        if (spec.name == output)
          width = spec.shape.size() > 1 ? spec.shape[1] : 1;
      }
      const Row row = truth_of_row(c, inputs, output, at / width);
      const auto count = std::min(out.size() - done, static_cast<std::size_t>(width - at % width));
      std::copy_n(row.begin() + at % width, count, out.begin() + static_cast<std::ptrdiff_t>(done));
      done += count;
    }
  };
  return oracle;
}

}  // namespace assay::suites::compile

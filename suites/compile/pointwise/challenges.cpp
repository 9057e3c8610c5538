// SPDX-License-Identifier: Apache-2.0
// The three challenges as the harness sees them. Implementations register themselves, one file each.
#include <stdexcept>

#include "harness/core/registry.hpp"
#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {
namespace {

using harness::Case;
using harness::Dtype;
using harness::TensorSpec;

struct Word {
  const char *name, *about;
};
Word word_of(Piece piece) {
  switch (piece) {
    case Piece::kRmsNorm:
      return {"rms_norm", "RMSNorm with the residual sum before it, forward and backward"};
    case Piece::kRope:
      return {"rope", "rotary position embedding of queries and keys, forward and backward"};
    case Piece::kSwiglu:
      return {"swiglu", "silu(gate) * up, forward and backward"};
  }
  throw std::invalid_argument("compile: unknown piece");
}

/// k holds tile by tile and for the whole; per element three times that, as the largest error of a tile is a
/// matter of luck. rstd is one f32 a row, so its error is one of a few units.
harness::ParityRule rule() {
  return {.exact = false, .k = 1.5, .floor_ulp = 0.25, .element_slack = 3.0, .floor_ulp_of = {{"rstd", 2.0}}};
}

harness::Challenge make_challenge(Piece piece) {
  harness::Challenge challenge;
  challenge.suite = "compile";
  challenge.name = challenge_name(piece);
  challenge.about = word_of(piece).about;
  challenge.parity = rule();
  challenge.cases = cases_of(piece);
  challenge.make_inputs = make_inputs;
  challenge.outputs = [](const Case& which) { return outputs_of(parameters_of(which)); };
  challenge.oracle = oracle_of;
  challenge.work = work_of;
  return challenge;
}

const bool kRegistered = [] {
  for (const Piece piece : kPieces) {
    const harness::RegisterChallenge add([piece] { return make_challenge(piece); });
  }
  return true;
}();

std::vector<TensorSpec> norm_inputs(const PointwiseCase& c) {
  const std::vector<std::int64_t> rows = {c.tokens, c.width};
  std::vector<TensorSpec> specs = {{c.backward ? "h" : "x", c.dtype, rows}, {"weight", c.dtype, {c.width}}};
  if (c.backward)
    specs.insert(specs.end(), {{"rstd", Dtype::kFloat32, {c.tokens}}, {"dy", c.dtype, rows}});
  if (c.residual)
    specs.push_back({c.backward ? "dsum" : "residual", c.dtype, rows});
  return specs;
}
std::vector<TensorSpec> norm_outputs(const PointwiseCase& c) {
  const std::vector<std::int64_t> rows = {c.tokens, c.width};
  std::vector<TensorSpec> specs;
  if (c.backward) {
    specs.push_back({"dh", c.dtype, rows});
    if (c.trains_weight)
      specs.push_back({"dw", c.dtype, {c.width}});
    return specs;
  }
  specs = {{"y", c.dtype, rows}, {"rstd", Dtype::kFloat32, {c.tokens}}};
  if (c.residual)
    specs.push_back({"sum", c.dtype, rows});
  return specs;
}

std::vector<TensorSpec> swiglu_inputs(const PointwiseCase& c) {
  const std::vector<std::int64_t> rows = {c.tokens, c.width}, both = {c.tokens, 2 * c.width};
  std::vector<TensorSpec> specs;
  if (c.halves)
    specs.push_back({"gate_up", c.dtype, both});
  else
    specs = {{"gate", c.dtype, rows}, {"up", c.dtype, rows}};
  if (c.backward)
    specs.push_back({"dy", c.dtype, rows});
  return specs;
}
std::vector<TensorSpec> swiglu_outputs(const PointwiseCase& c) {
  const std::vector<std::int64_t> rows = {c.tokens, c.width}, both = {c.tokens, 2 * c.width};
  if (!c.backward)
    return {{"y", c.dtype, rows}};
  std::vector<TensorSpec> specs;
  if (c.halves)
    specs.push_back({"dgate_up", c.dtype, both});
  else
    specs = {{"dgate", c.dtype, rows}, {"dup", c.dtype, rows}};
  if (c.again)
    specs.push_back({"y", c.dtype, rows});
  return specs;
}

}  // namespace

std::string challenge_name(Piece piece) {
  return std::string("compile/") + word_of(piece).name;
}

const PointwiseCase& parameters_of(const Case& which) {
  return std::any_cast<const PointwiseCase&>(which.parameters);
}

std::vector<TensorSpec> inputs_of(const PointwiseCase& c) {
  switch (c.piece) {
    case Piece::kRmsNorm:
      return norm_inputs(c);
    case Piece::kSwiglu:
      return swiglu_inputs(c);
    case Piece::kRope:
      return {{"q", c.dtype, {c.tokens, c.heads * c.head_dim}},
              {"k", c.dtype, {c.tokens, c.kv_heads * c.head_dim}},
              {"positions", Dtype::kInt64, {c.tokens}},
              {"inverse_frequency", Dtype::kFloat32, {c.head_dim / 2}},
              {"cos", c.dtype, {c.tokens, c.head_dim}},
              {"sin", c.dtype, {c.tokens, c.head_dim}}};
  }
  throw std::invalid_argument("compile: unknown piece");
}

std::vector<TensorSpec> outputs_of(const PointwiseCase& c) {
  switch (c.piece) {
    case Piece::kRmsNorm:
      return norm_outputs(c);
    case Piece::kSwiglu:
      return swiglu_outputs(c);
    case Piece::kRope:
      return {{"q_out", c.dtype, {c.tokens, c.heads * c.head_dim}},
              {"k_out", c.dtype, {c.tokens, c.kv_heads * c.head_dim}}};
  }
  throw std::invalid_argument("compile: unknown piece");
}

harness::Work work_of(const Case& which) {
  const PointwiseCase& c = parameters_of(which);
  harness::Work work;
  std::int64_t elements_of_results = 0;
  const auto add = [&](const std::vector<TensorSpec>& specs, bool results) {
    for (const TensorSpec& spec : specs) {
      std::int64_t elements = 1;
      for (const std::int64_t extent : spec.shape) elements *= extent;
      if (spec.name != "cos" && spec.name != "sin")  // angles can be made where they are needed
        work.bytes += elements * static_cast<std::int64_t>(harness::size_of(spec.dtype));
      elements_of_results += results ? elements : 0;
    }
  };
  add(inputs_of(c), false);
  add(outputs_of(c), true);
  // Multiplications and additions of the formulas for one result, an exponential or a root counted as one.
  const std::int64_t flops = c.piece == Piece::kRmsNorm ? 5 : c.piece == Piece::kRope ? 3 : 6;
  work.flops = flops * elements_of_results;
  work.ceiling = "copy_gbps";
  return work;
}

}  // namespace assay::suites::compile

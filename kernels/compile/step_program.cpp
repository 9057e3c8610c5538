// SPDX-License-Identifier: Apache-2.0
// A linear with an adapter: y = x·Wᵀ + s·(x·Aᵀ)·Bᵀ, and with u = x·Aᵀ
//   du = s·dy·B,  dB = s·dyᵀ·u,  dA = duᵀ·x,  dx = dy·W + du·A.
// Linears that read the same x share one u (their A lie one below the other), so A costs one product.
#include "kernels/compile/step_program.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/compile/program_builder.hpp"

namespace assay::kernels::compile {
namespace {

/// What forward leaves of a layer. Empty ids: not there.
struct LayerValues {
  Id state, norm1, rstd1, u_qkv, q, k, v, o, lse, u_o, middle, norm2, rstd2, u_gate_up, gate, up, product,
      u_down;
};

class StepBuilder {
 public:
  explicit StepBuilder(const StepOptions& options)
      : options_(options), shape_(options.shape), build_(options) {}

  Program program() {
    forward();
    backward();
    build_.optimizer();
    return build_.take();
  }

 private:
  void forward() {
    Id state = build_.value("x", shape_.hidden);
    build_.op(OpKind::kEmbed, {build_.tokens, build_.embedding}, {state});
    Id branch;  // what the last layer adds to the state
    for (std::int64_t i = 0; i < shape_.layers; ++i) {
      LayerValues values;
      if (i == 0) {
        values.state = state;
        norm(values.state, build_.layer(i).norm1, values.norm1, values.rstd1);
      } else {
        add_norm(state, branch, build_.layer(i).norm1, values.state, values.norm1, values.rstd1);
      }
      attention(i, values);
      mlp(i, values);
      branch = down(i, values);
      state = values.middle;
      layers_.push_back(values);
    }
    Id last, normed, rstd;
    add_norm(state, branch, build_.norm, last, normed, rstd);
    const Id gradient = build_.value("dh", shape_.hidden);
    build_.op(OpKind::kHeadLoss, {normed, build_.head, build_.labels}, {build_.loss, gradient});
    gradient_ = build_.value("dx", shape_.hidden);
    build_.op(OpKind::kRmsNormBackward, {gradient, last, rstd, build_.norm}, {gradient_});
  }

  void norm(Id x, Id weight, Id& y, Id& rstd) {
    y = build_.value("norm", shape_.hidden);
    rstd = build_.statistic("rstd", 1);
    build_.op(OpKind::kRmsNorm, {x, weight}, {y, rstd});
  }
  void add_norm(Id x, Id branch, Id weight, Id& sum, Id& y, Id& rstd) {
    sum = build_.value("x", shape_.hidden);
    y = build_.value("norm", shape_.hidden);
    rstd = build_.statistic("rstd", 1);
    build_.op(OpKind::kAddRmsNorm, {x, branch, weight}, {sum, y, rstd});
  }

  void queries_keys_values(std::int64_t i, LayerValues& values) {
    const LayerBuffers& layer = build_.layer(i);
    values.u_qkv = build_.low_rank(layer.qkv, values.norm1);
    values.q = build_.linear(layer.qkv, 0, values.norm1, values.u_qkv);
    values.k = build_.linear(layer.qkv, 1, values.norm1, values.u_qkv);
    values.v = build_.linear(layer.qkv, 2, values.norm1, values.u_qkv);
    for (const Id turned : {values.q, values.k}) build_.rope(turned, false);
    values.o = build_.value("o", shape_.heads * shape_.head_dim);
    values.lse = build_.statistic("lse", shape_.heads);
    build_.op(OpKind::kAttention, {values.q, values.k, values.v, build_.boundaries}, {values.o, values.lse});
  }

  /// Up to the norm behind attention.
  void attention(std::int64_t i, LayerValues& values) {
    const LayerBuffers& layer = build_.layer(i);
    queries_keys_values(i, values);
    values.u_o = build_.low_rank(layer.o, values.o);
    const Id branch = build_.linear(layer.o, 0, values.o, values.u_o);
    add_norm(values.state, branch, layer.norm2, values.middle, values.norm2, values.rstd2);
  }

  void gate_and_up(std::int64_t i, LayerValues& values) {
    const LayerBuffers& layer = build_.layer(i);
    values.gate = build_.linear(layer.gate_up, 0, values.norm2, values.u_gate_up);
    values.up = build_.linear(layer.gate_up, 1, values.norm2, values.u_gate_up);
  }
  void swiglu(LayerValues& values) {
    values.product = build_.value("swiglu", shape_.intermediate);
    build_.op(OpKind::kSwiglu, {values.gate, values.up}, {values.product});
  }
  void mlp(std::int64_t i, LayerValues& values) {
    values.u_gate_up = build_.low_rank(build_.layer(i).gate_up, values.norm2);
    gate_and_up(i, values);
    swiglu(values);
  }
  Id down(std::int64_t i, LayerValues& values) {
    values.u_down = build_.low_rank(build_.layer(i).down, values.product);
    return build_.linear(build_.layer(i).down, 0, values.product, values.u_down);
  }

  /// The layer's values for backward: those the policy keeps, the others made again.
  LayerValues available(std::int64_t i) {
    LayerValues values = layers_[static_cast<std::size_t>(i)];
    const LayerBuffers& layer = build_.layer(i);
    const bool by_layer = !options_.keep_by_layer.empty();
    switch (by_layer ? options_.keep_by_layer[static_cast<std::size_t>(i)] : options_.keep) {
      case Keep::kEverything:
        return values;
      case Keep::kProducts:
        norm(values.state, layer.norm1, values.norm1, values.rstd1);
        norm(values.middle, layer.norm2, values.norm2, values.rstd2);
        swiglu(values);
        return values;
      case Keep::kAttention:
        norm(values.state, layer.norm1, values.norm1, values.rstd1);
        norm(values.middle, layer.norm2, values.norm2, values.rstd2);
        gate_and_up(i, values);
        swiglu(values);
        return values;
      case Keep::kInput: {
        LayerValues again;
        again.state = values.state;
        norm(again.state, layer.norm1, again.norm1, again.rstd1);
        attention(i, again);
        mlp(i, again);
        again.u_down = build_.low_rank(layer.down, again.product);
        return again;
      }
    }
    throw std::invalid_argument("step program: unknown policy");
  }

  void backward() {
    for (std::int64_t i = shape_.layers - 1; i >= 0; --i) {
      const LayerValues values = available(i);
      const Id middle = mlp_backward(i, values);
      attention_backward(i, values, middle);
    }
  }

  /// From the gradient of the layer's output to that of the state between attention and MLP.
  Id mlp_backward(std::int64_t i, const LayerValues& values) {
    const LayerBuffers& layer = build_.layer(i);
    const Id du_down = build_.adapter_backward(layer.down, {gradient_}, values.product, values.u_down);
    const Id dproduct = build_.input_gradient(layer.down, {gradient_}, du_down);
    const Id dgate = build_.value("dgate", shape_.intermediate),
             dup = build_.value("dup", shape_.intermediate);
    build_.op(OpKind::kSwigluBackward, {values.gate, values.up, dproduct}, {dgate, dup});
    const Id du = build_.adapter_backward(layer.gate_up, {dgate, dup}, values.norm2, values.u_gate_up);
    const Id dnorm = build_.input_gradient(layer.gate_up, {dgate, dup}, du);
    const Id dmiddle = build_.value("dmiddle", shape_.hidden);
    build_.op(OpKind::kRmsNormBackward, {dnorm, values.middle, values.rstd2, layer.norm2, gradient_},
              {dmiddle});
    return dmiddle;
  }

  void attention_backward(std::int64_t i, const LayerValues& values, Id dmiddle) {
    const LayerBuffers& layer = build_.layer(i);
    const Id du_o = build_.adapter_backward(layer.o, {dmiddle}, values.o, values.u_o);
    const Id d_o = build_.input_gradient(layer.o, {dmiddle}, du_o);
    const std::int64_t query = shape_.heads * shape_.head_dim, key = shape_.kv_heads * shape_.head_dim;
    const Id dq = build_.value("dq", query), dk = build_.value("dk", key), dv = build_.value("dv", key);
    build_.op(OpKind::kAttentionBackward,
              {values.q, values.k, values.v, values.o, values.lse, d_o, build_.boundaries}, {dq, dk, dv});
    for (const Id turned : {dq, dk}) build_.rope(turned, true);
    const Id du = build_.adapter_backward(layer.qkv, {dq, dk, dv}, values.norm1, values.u_qkv);
    if (i == 0)
      return;  // the embedding is frozen
    const Id dnorm = build_.input_gradient(layer.qkv, {dq, dk, dv}, du);
    gradient_ = build_.value("dx", shape_.hidden);
    build_.op(OpKind::kRmsNormBackward, {dnorm, values.state, values.rstd1, layer.norm1, dmiddle},
              {gradient_});
  }

  const StepOptions& options_;
  const LlamaShape& shape_;
  ProgramBuilder build_;
  std::vector<LayerValues> layers_;
  Id gradient_;  ///< of the state behind the layer that is next
};

}  // namespace

Program step_program(const StepOptions& options) {
  if (options.sequences < 1)
    throw std::invalid_argument("step program: expected at least one sequence, found " +
                                std::to_string(options.sequences));
  // Refuses shapes that do not fit, and no tokens.
  estimate_step(options.shape, {.count = options.tokens, .sequence = options.tokens}, options.keep, 1);
  if (!options.keep_by_layer.empty() && std::ssize(options.keep_by_layer) != options.shape.layers)
    throw std::invalid_argument("step program: expected a policy for each of " +
                                std::to_string(options.shape.layers) + " layers, found " +
                                std::to_string(options.keep_by_layer.size()));
  if (options.shape.head_dim % 2 != 0)
    throw std::invalid_argument("step program: expected an even head size, found " +
                                std::to_string(options.shape.head_dim));
  return StepBuilder(options).program();
}

std::vector<Keep> keep_less_first(std::int64_t layers, std::int64_t count, Keep lean, Keep rest) {
  if (count < 0 || count > layers)
    throw std::invalid_argument("keep_less_first: expected 0 to " + std::to_string(layers) +
                                " layers that keep less, found " + std::to_string(count));
  std::vector<Keep> keep(static_cast<std::size_t>(layers), rest);
  std::fill_n(keep.begin(), count, lean);
  return keep;
}

}  // namespace assay::kernels::compile

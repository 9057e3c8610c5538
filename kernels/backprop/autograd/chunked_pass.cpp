// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/chunked_pass.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/ceil.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/log2.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/backprop/autograd/flat_rows.hpp"
#include "kernels/backprop/autograd/free_memory.hpp"
#include "kernels/backprop/autograd/products.hpp"
#include "kernels/backprop/autograd/rounding.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

/// The power of two at or above x (of either sign's magnitude); multiplying by it rounds nothing.
Tensor power_of_two(const Tensor& x) {
  return at::exp2(at::ceil(at::log2(x.to(at::kDouble).abs())));
}

LinearHead head_of(at::TensorList tensors, const LinearHead& frozen) {
  LinearHead head = frozen;
  head.weight = tensors[1];
  head.bias = tensors[2];
  head.lora_a = tensors[3];
  head.lora_b = tensors[4];
  return head;
}

}  // namespace

at::Tensor GradientLayout::finished(const Tensor& sum, std::size_t index, const Tensor& factor) const {
  return sum.defined() ? scaled(sum, factor, like[index].type).view(like[index].shape) : Tensor();
}

struct ChunkedCall::Run {
  Tensor hidden;  ///< [N, H]
  ReadyHead head;
  struct ReadyTeacher {
    Tensor hidden;
    ReadyHead head;
  };
  std::vector<ReadyTeacher> teachers;

  Run(const ChunkedCall& call, at::TensorList tensors)
      : hidden(tensors[0].reshape({call.num_rows_, call.width_})),
        head(head_of(tensors, call.frozen_), hidden.scalar_type()) {
    for (const Teacher& teacher : call.teachers_)
      teachers.push_back({teacher.hidden, ReadyHead(teacher.head, teacher.hidden.scalar_type())});
  }
};

ChunkedCall::ChunkedCall(const Tensor& hidden, const LinearHead& head,
                         std::shared_ptr<const ChunkDerivative> derivative, std::vector<Tensor> row_arguments,
                         std::vector<Teacher> teachers, MemoryEfficientOptions options, const Wanted& wanted)
    : derivative_(std::move(derivative)),
      teachers_(std::move(teachers)),
      options_(std::move(options)),
      wanted_(wanted),
      num_rows_(flat_hidden(hidden).size(0)),
      width_(hidden.size(-1)),
      vocab_(check_head(flat_hidden(hidden), head)),
      sum_type_(accumulation_type(hidden.scalar_type())),
      sums_(at::TensorOptions().device(hidden.device()).dtype(sum_type_)),
      rows_(options_.counts, options_.wait_for_count, num_rows_, hidden.device()) {
  frozen_.packed = head.packed;
  frozen_.lora_scale = head.lora_scale;
  leading_ = hidden.sizes().slice(0, hidden.dim() - 1).vec();
  const Tensor* tensors[kTensors] = {&hidden, &head.weight, &head.bias, &head.lora_a, &head.lora_b};
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (tensors[i]->defined())
      layout_.like[i] = {tensors[i]->scalar_type(), tensors[i]->sizes().vec()};
  }
  for (std::size_t i = 0; i < row_arguments.size(); ++i)
    row_arguments_.push_back(flat_row_argument(row_arguments[i], i, hidden));
  for (Teacher& teacher : teachers_) prepare(teacher);
}

void ChunkedCall::prepare(Teacher& teacher) const {
  teacher.hidden = flat_hidden(teacher.hidden.detach());
  TORCH_CHECK_VALUE(teacher.hidden.size(0) == num_rows_ && teacher.hidden.device() == sums_.device(),
                    "expected a teacher's hidden states with ", num_rows_, " rows on ", sums_.device(),
                    ", found ", teacher.hidden.sizes(), " on ", teacher.hidden.device());
  const std::int64_t vocab = check_head(teacher.hidden, teacher.head);
  TORCH_CHECK_VALUE(vocab == vocab_, "expected a teacher with the student's vocabulary of ", vocab_,
                    ", found ", vocab);
}

/// Rows of logits at a time, and rows whose 16-bit gradients wait for the products with them.
struct ChunkedCall::Plan {
  std::int64_t rows = 1, batch = 1;
};

ChunkedCall::Plan ChunkedCall::plan() const {
  const bool given = options_.chunks.rows || options_.chunks.bytes;  // asking the driver takes time
  const bool narrow = layout_.like[0].type == at::kHalf || layout_.like[0].type == at::kBFloat16;
  const bool batched = !given && narrow && wanted_.weight;
  const std::int64_t chunks = batched ? derivative_->chunks_a_product() : 1;
  const ChunkNeeds needs{.num_rows = rows_.count(),
                         .vocab = vocab_,
                         .bytes_per_logit = derivative_->bytes_per_logit() + (chunks > 1 ? 2 * chunks : 0),
                         .free_bytes = given ? 0 : free_memory(sums_.device()),
                         .most_rows = derivative_->most_rows(wanted_.weight),
                         .least_chunks = derivative_->least_chunks()};
  const std::int64_t rows = chunk_rows(options_.chunks, needs);
  return {.rows = rows, .batch = rows * std::clamp<std::int64_t>(rows_.count() / 4 / rows, 1, chunks)};
}

/// body(chunk, begin): the chunk's logits and the first row's position.
template <class Body>
void ChunkedCall::for_each_chunk(const Run& run, const Body& body) const {
  const at::AutoGradMode no_gradients(false);
  const std::int64_t step = plan().rows;
  for (std::int64_t begin = 0; begin < rows_.count(); begin += step) {
    const Tensor x = rows_.take(run.hidden, begin, std::min(step, rows_.count() - begin));
    MaskedChunk chunk = chunk_of(run, x, begin);
    body(chunk, begin);
  }
}

void ChunkedCall::put_hidden_gradient(const HeadGradients& gradients, const Tensor& gradient,
                                      std::int64_t begin, Tensor& to) const {
  const std::int64_t length = gradient.size(0);
  if (rows_.drops() || !gradients.write_hidden_gradient(gradient, to.narrow(0, begin, length)))
    rows_.put(to, gradients.hidden_gradient(gradient), begin, length);
}

/// Sums the gradients; derive(chunk, begin) gives those of a chunk's logits. Products with them wait for a
/// whole batch: that of dX over few rows leaves most of a GPU idle, that of dW is bound by its f32 sum.
template <class Derive>
void ChunkedCall::add_gradients(const Run& run, const Derive& derive, PassResult& out) const {
  const at::AutoGradMode no_gradients(false);
  const Plan plan = this->plan();
  HeadGradients gradients(run.head, wanted_);
  for (std::int64_t first = 0; first < rows_.count(); first += plan.batch) {
    const std::int64_t length = std::min(plan.batch, rows_.count() - first);
    const Tensor batch = rows_.take(run.hidden, first, length);
    Tensor gradient;  // of the batch's logits
    if (length > plan.rows)
      gradient = at::empty({length, vocab_}, sums_.dtype(layout_.like[0].type));
    for (std::int64_t begin = 0; begin < length; begin += plan.rows) {
      const Tensor x = batch.narrow(0, begin, std::min(plan.rows, length - begin));
      MaskedChunk chunk = chunk_of(run, x, first + begin);
      if (gradient.defined())
        chunk.gradient_place = gradient.narrow(0, begin, x.size(0));
      const Tensor of_chunk = derive(chunk, first + begin);
      if (length <= plan.rows)
        gradient = of_chunk;
    }
    gradients.add(batch, gradient);
    if (wanted_.hidden)
      put_hidden_gradient(gradients, gradient, first, out.sums[0]);
    gradients.add_to_weight(batch, gradient);
  }
  gradients.move_to(out.sums);
}

MaskedChunk ChunkedCall::chunk_of(const Run& run, const Tensor& x, std::int64_t begin) const {
  const std::int64_t length = x.size(0);
  MaskedChunk chunk;
  const bool rounded = derivative_->takes_rounded_logits() && run.head.can_round_logits();
  chunk.logits = rounded ? run.head.rounded_logits(x) : run.head.logits(x);
  for (const Tensor& rows : row_arguments_) chunk.rows.push_back(rows_.take(rows, begin, length));
  for (const Run::ReadyTeacher& teacher : run.teachers)
    chunk.teachers.push_back(teacher.head.logits(rows_.take(teacher.hidden, begin, length)));
  if (rows_.masks())
    chunk.mask = rows_.mask(begin, length);
  chunk.gradient_type = x.scalar_type();
  return chunk;
}

double ChunkedCall::gradient_scale() const {
  if (options_.gradient_scale != 0.0)
    return options_.gradient_scale;
  return layout_.like[0].type == at::kHalf ? kHalfScale : 1.0;
}

/// No row that counts: 1, so that loss and gradients are 0.
Tensor ChunkedCall::divisor() const {
  if (options_.reduction != Reduction::kMean)
    return at::full({}, 1.0, sums_);
  const Tensor number = options_.divisor.defined() ? options_.divisor.detach().to(sums_.device(), sum_type_)
                                                   : rows_.number(sum_type_);
  return at::where(number.eq(0), at::ones_like(number), number);
}

PassResult ChunkedCall::begin_result() const {
  PassResult out;
  const at::ScalarType type = derivative_->rounds_hidden_gradient() ? layout_.like[0].type : sum_type_;
  if (wanted_.hidden)
    out.sums[0] = rows_.drops() ? at::zeros({num_rows_, width_}, sums_.dtype(type))
                                : at::empty({num_rows_, width_}, sums_.dtype(type));
  return out;
}

PassResult ChunkedCall::sum_with_gradients(at::TensorList tensors) const {
  const at::AutoGradMode no_gradients(false);
  const Run run(*this, tensors);
  PassResult out = begin_result();
  Tensor total = at::zeros({}, sums_.dtype(at::kDouble));
  const Tensor number = divisor().to(at::kDouble);
  const Tensor undo = power_of_two(number).mul(gradient_scale()).reciprocal();
  const Tensor scale = number.mul(undo).reciprocal();  // of order gradient_scale()
  const auto sum = [&](MaskedChunk& chunk, std::int64_t) {
    const auto [value, gradient] = derivative_->sum(chunk, scale, wanted_.any());
    total.add_(value);
    return gradient;
  };
  if (wanted_.any()) {
    add_gradients(run, sum, out);
  } else {
    for_each_chunk(run, sum);
  }
  out.value = total.div(number).to(sum_type_);
  out.undo = undo.to(sum_type_);
  return out;
}

Tensor ChunkedCall::values(at::TensorList tensors) const {
  const at::AutoGradMode no_gradients(false);
  const Run run(*this, tensors);
  Tensor out;
  const auto put = [&](MaskedChunk& chunk, std::int64_t begin) {
    const Tensor value = derivative_->values(chunk);
    if (!out.defined()) {
      std::vector<std::int64_t> shape = value.sizes().vec();
      shape[0] = num_rows_;
      out = at::zeros(shape, sums_);
    }
    rows_.put(out, value, begin, value.size(0));
  };
  for_each_chunk(run, put);
  if (!out.defined()) {  // no row counts: an empty chunk tells the shape
    const Tensor none = run.hidden.narrow(0, 0, 0);
    MaskedChunk chunk = chunk_of(run, none, 0);
    put(chunk, 0);
  }
  std::vector<std::int64_t> shape = leading_;
  if (out.dim() == 2)
    shape.push_back(out.size(1));
  return out.view(shape);
}

/// The factor that makes the largest upstream gradient gradient_scale(), whatever loss scale it carries; f16
/// only.
Tensor ChunkedCall::scale_for(const Tensor& upstream) const {
  const Tensor one = at::full({}, 1.0, sums_);
  if (layout_.like[0].type != at::kHalf || upstream.numel() == 0)
    return one;
  const Tensor largest = at::amax(upstream.abs()).to(sum_type_);
  const Tensor usable = at::isfinite(largest).logical_and(largest.gt(0));
  return at::where(usable, power_of_two(largest.reciprocal().mul(gradient_scale())).to(sum_type_), one);
}

PassResult ChunkedCall::gradients_of_values(at::TensorList tensors, const Tensor& upstream,
                                            const Tensor& known) const {
  const at::AutoGradMode no_gradients(false);
  const Run run(*this, tensors);
  PassResult out = begin_result();
  const auto leading = static_cast<std::int64_t>(leading_.size());
  const Tensor flat = flat_rows(upstream, leading), flat_known = flat_rows(known, leading);
  const Tensor scale = scale_for(flat);
  const auto gradient = [&](MaskedChunk& chunk, std::int64_t begin) {
    const std::int64_t length = chunk.logits.size(0);
    const Tensor part = rows_.take(flat, begin, length).to(sum_type_).mul(scale);
    return derivative_->gradient(chunk, part, rows_.take(flat_known, begin, length));
  };
  add_gradients(run, gradient, out);
  out.undo = scale.reciprocal();
  return out;
}

}  // namespace assay::kernels::backprop

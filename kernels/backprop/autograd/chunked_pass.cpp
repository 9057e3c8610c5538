// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/chunked_pass.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <utility>

#include "kernels/backprop/autograd/flat_rows.hpp"
#include "kernels/backprop/autograd/free_memory.hpp"
#include "kernels/backprop/autograd/products.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

// Gradients of logits are about one a row (softmax minus one-hot), probabilities about 1/V = 8e-6: times 256
// they are normal f16 numbers (6e-5 and up), and there is room for gradients of up to 255.
constexpr double kHalfScale = 256.0;
// Beside a chunk's f32 logits a function like cross entropy keeps three more such tensors while it is
// differentiated.
constexpr std::int64_t kBytesPerLogit = 16, kBytesPerTeacherLogit = 12;
// 1024: the peak of cross entropy stays under a fifth of the plain version's at 16384 rows; estimated, not
// yet measured.
constexpr std::int64_t kMostRows = 1024;

LinearHead head_of(at::TensorList tensors, const LinearHead& frozen) {
  LinearHead head = frozen;
  head.weight = tensors[1];
  head.bias = tensors[2];
  head.lora_a = tensors[3];
  head.lora_b = tensors[4];
  return head;
}

/// The chunk's logits as a leaf that autograd differentiates.
Tensor leaf(const Tensor& logits) {
  return logits.detach().requires_grad_(true);
}

void check_sum_type(const Tensor& value) {
  TORCH_CHECK_TYPE(value.scalar_type() == at::kFloat || value.scalar_type() == at::kDouble,
                   "expected the row function to return f32 (f64) values, found ", value.scalar_type(),
                   "; the logits it gets are f32 so that nothing is rounded to 16 bits on the way");
}

}  // namespace

at::Tensor GradientLayout::finished(const Tensor& sum, std::size_t index, const Tensor& factor) const {
  if (!sum.defined())
    return {};
  Tensor out = at::empty(sum.sizes(), sum.options().dtype(like[index].type));
  at::mul_out(out, sum, factor);
  return out.view(like[index].shape);
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

ChunkedCall::ChunkedCall(const Tensor& hidden, const LinearHead& head, RowFunction function,
                         std::vector<Tensor> row_arguments, std::vector<Teacher> teachers,
                         MemoryEfficientOptions options, const Wanted& wanted)
    : function_(std::move(function)),
      teachers_(std::move(teachers)),
      options_(std::move(options)),
      wanted_(wanted),
      num_rows_(flat_hidden(hidden).size(0)),
      width_(hidden.size(-1)),
      vocab_(check_head(flat_hidden(hidden), head)),
      sum_type_(accumulation_type(hidden.scalar_type())),
      sums_(at::TensorOptions().device(hidden.device()).dtype(sum_type_)),
      rows_(options_.counts, options_.wait_for_count, num_rows_, hidden.device()) {
  TORCH_CHECK_VALUE(function_ != nullptr, "expected a function of a chunk of logits, found an empty one");
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

std::int64_t ChunkedCall::rows_a_chunk() const {
  const auto teachers = static_cast<std::int64_t>(teachers_.size());
  const ChunkNeeds needs{.num_rows = rows_.count(),
                         .vocab = vocab_,
                         .bytes_per_logit = kBytesPerLogit + kBytesPerTeacherLogit * teachers,
                         .free_bytes = free_memory(sums_.device()),
                         .most_rows = kMostRows};
  return chunk_rows(options_.chunks, needs);
}

/// body(x, logits, begin, length): rows and their logits.
template <class Body>
void ChunkedCall::for_each_chunk(Run& run, const Body& body) const {
  const at::AutoGradMode no_gradients(false);
  const std::int64_t step = rows_a_chunk();
  for (std::int64_t begin = 0; begin < rows_.count(); begin += step) {
    const std::int64_t length = std::min(step, rows_.count() - begin);
    const Tensor x = rows_.take(run.hidden, begin, length);
    body(x, run.head.logits(x), begin, length);
  }
}

Chunk ChunkedCall::chunk_of(const Run& run, const Tensor& logits, std::int64_t begin,
                            std::int64_t length) const {
  Chunk chunk;
  chunk.logits = logits;
  for (const Tensor& rows : row_arguments_) chunk.rows.push_back(rows_.take(rows, begin, length));
  const at::AutoGradMode no_gradients(false);
  for (const Run::ReadyTeacher& teacher : run.teachers)
    chunk.teachers.push_back(teacher.head.logits(rows_.take(teacher.hidden, begin, length)));
  return chunk;
}

/// The function's values of a chunk, rows that do not count set to zero.
Tensor ChunkedCall::value_of(const Chunk& chunk, std::int64_t begin) const {
  const Tensor value = function_(chunk);
  const std::int64_t length = chunk.logits.size(0);
  TORCH_CHECK_VALUE(value.defined(), "expected the row function to return a tensor, found an undefined one");
  check_sum_type(value);
  const bool per_row = value.dim() >= 1 && value.size(0) == length && value.dim() <= 2;
  const bool rows_asked = options_.reduction == Reduction::kRows;
  TORCH_CHECK_VALUE(per_row || (value.dim() == 0 && !rows_asked && !rows_.masks()),
                    "expected the row function to return one value (or k) for each of ", length, " rows",
                    rows_asked      ? ""
                    : rows_.masks() ? " (the rows that count are known to the GPU alone)"
                                    : ", or a scalar sum",
                    ", found ", value.sizes());
  if (!rows_.masks())
    return value;
  const Tensor mask = rows_.mask(begin, length);
  return at::where(value.dim() == 2 ? mask.unsqueeze(1) : mask, value, at::zeros_like(value));
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

/// Differentiates a chunk's value for `upstream` and adds its part to the sums.
void ChunkedCall::add_gradients(const Tensor& x, const Chunk& chunk, const Tensor& value,
                                const Tensor& upstream, std::int64_t begin, HeadGradients& gradients,
                                PassResult& out) const {
  const std::int64_t length = x.size(0);
  Tensor gradient = ::torch::autograd::grad({value}, {chunk.logits}, {upstream})[0];
  const at::AutoGradMode no_gradients(false);
  if (rows_.masks())
    gradient = gradient.masked_fill(rows_.mask(begin, length).logical_not().unsqueeze(1), 0.0);
  const Tensor dx = gradients.add(x, gradient);
  if (dx.defined())
    rows_.put(out.sums[0], dx, begin, length);
}

PassResult ChunkedCall::begin_result() const {
  PassResult out;
  if (wanted_.hidden)
    out.sums[0] = at::zeros({num_rows_, width_}, sums_);
  return out;
}

PassResult ChunkedCall::sum_with_gradients(at::TensorList tensors) const {
  Run run(*this, tensors);
  HeadGradients gradients(run.head, wanted_);
  PassResult out = begin_result();
  Tensor total = at::zeros({}, sums_.dtype(at::kDouble));
  const Tensor scale = at::full({}, gradient_scale(), total.options());
  for_each_chunk(run, [&](const Tensor& x, const Tensor& raw, std::int64_t begin, std::int64_t length) {
    const at::AutoGradMode differentiate(wanted_.any());
    const Chunk chunk = chunk_of(run, wanted_.any() ? leaf(raw) : raw, begin, length);
    const Tensor sum = at::sum(value_of(chunk, begin), at::kDouble);
    total.add_(sum.detach());
    if (wanted_.any())
      add_gradients(x, chunk, sum, scale, begin, gradients, out);
  });
  const Tensor number = divisor();
  out.value = total.div(number).to(sum_type_);
  out.undo = number.mul(gradient_scale()).reciprocal();
  gradients.move_to(out.sums);
  return out;
}

Tensor ChunkedCall::values(at::TensorList tensors) const {
  Run run(*this, tensors);
  Tensor out;
  for_each_chunk(run, [&](const Tensor&, const Tensor& logits, std::int64_t begin, std::int64_t length) {
    const Tensor value = value_of(chunk_of(run, logits, begin, length), begin);
    if (!out.defined()) {
      std::vector<std::int64_t> shape = value.sizes().vec();
      shape[0] = num_rows_;
      out = at::zeros(shape, sums_);
    }
    rows_.put(out, value, begin, length);
  });
  TORCH_CHECK_VALUE(out.defined(),
                    "expected at least one row that counts where values of rows are asked for, found none");
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
  return at::where(usable, largest.reciprocal().mul(gradient_scale()), one);
}

PassResult ChunkedCall::gradients_of_values(at::TensorList tensors, const Tensor& upstream) const {
  Run run(*this, tensors);
  HeadGradients gradients(run.head, wanted_);
  PassResult out = begin_result();
  const Tensor flat = flat_rows(upstream, static_cast<std::int64_t>(leading_.size()));
  const Tensor scale = scale_for(flat);
  for_each_chunk(run, [&](const Tensor& x, const Tensor& raw, std::int64_t begin, std::int64_t length) {
    const at::AutoGradMode differentiate(true);
    const Chunk chunk = chunk_of(run, leaf(raw), begin, length);
    const Tensor value = value_of(chunk, begin);
    const Tensor part = rows_.take(flat, begin, length).to(value.scalar_type()).mul(scale);
    add_gradients(x, chunk, value, part.detach(), begin, gradients, out);
  });
  out.undo = scale.reciprocal();
  gradients.move_to(out.sums);
  return out;
}

}  // namespace assay::kernels::backprop

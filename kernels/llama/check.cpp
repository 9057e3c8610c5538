// SPDX-License-Identifier: Apache-2.0
#include "kernels/llama/check.hpp"

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace assay::kernels::llama {
namespace {

/// Column and vector numbers of a row are 32 bits wide on the GPU.
constexpr std::int64_t kMaxHidden = std::int64_t{1} << 30;
constexpr std::int64_t kMaxHeadDim = 1024;
constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMaxElements = std::numeric_limits<std::int64_t>::max() / 8;

/// Words of one operation's refusals.
class Refusal {
 public:
  explicit Refusal(const char* operation) : operation_(operation) {}

  template <class... Parts>
  [[noreturn]] void operator()(const Parts&... parts) const {
    std::ostringstream text;
    text << operation_ << ": expected ";
    (text << ... << parts);
    throw std::invalid_argument(text.str());
  }
  void pointer(const char* name, const void* p, std::size_t alignment) const {
    if (p == nullptr)
      (*this)(name, ", found null");
    if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0)
      (*this)(name, " aligned to ", alignment, " bytes, found an address that is not");
  }
  template <class Rows>
  void matrix(const char* name, const Rows& rows, std::int64_t columns, ElementType type) const {
    pointer(name, rows.data, size_of(type));
    if (rows.stride != 0 && rows.stride < columns)
      (*this)("a stride of ", name, " of at least a row of ", columns, " elements (or 0: packed), found ",
              rows.stride);
  }
  template <class Rows>
  void optional_matrix(const char* name, const Rows& rows, std::int64_t columns, ElementType type) const {
    if (rows.data != nullptr)
      matrix(name, rows, columns, type);
  }
  /// False where there is nothing to do.
  bool sizes(std::int64_t rows, std::int64_t columns, std::int64_t most_columns) const {
    if (rows < 0 || columns < 0 || columns > most_columns)
      (*this)("0 or more rows and up to ", most_columns, " columns, found ", rows, " rows of ", columns);
    if (columns > 0 && rows > kMaxElements / columns)
      (*this)("fewer bytes than 2^63, found ", rows, " rows of ", columns);
    return rows > 0 && columns > 0;
  }

 private:
  const char* operation_;
};

template <class Rows>
void fill(Rows& rows, std::int64_t columns) {
  if (rows.stride == 0)
    rows.stride = columns;
}

bool starts_aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}

/// Of matrices that are there.
template <class... Rows>
bool all_aligned(ElementType type, const Rows&... rows) {
  const auto elements = static_cast<std::int64_t>(16 / size_of(type));
  return ((rows.data == nullptr || (starts_aligned(rows.data) && rows.stride % elements == 0)) && ...);
}

void check_tensor(const Refusal& refuse, const char* name, const RopeTensor& tensor, ElementType type) {
  if (tensor.heads < 0)
    refuse("0 or more heads of ", name, ", found ", tensor.heads);
  if (tensor.heads == 0)
    return;
  refuse.pointer(name, tensor.in, size_of(type));
  refuse.pointer(name, tensor.out, size_of(type));
  for (const auto& s : {tensor.in_strides, tensor.out_strides}) {
    if (s.batch < 0 || s.token < 0 || s.head < 0)
      refuse("strides of ", name, " of 0 or more, found ", s.batch, ", ", s.token, ", ", s.head);
  }
}

/// Two tokens or heads in one place would be rotated over each other.
void check_output_strides(const Refusal& refuse, const char* name, const Rope& args,
                          const RopeTensor& tensor) {
  const RopeTensor::Strides& s = tensor.out_strides;
  const auto apart = [&](std::int64_t count, std::int64_t stride) {
    return count <= 1 || stride >= args.head_dim;
  };
  if (tensor.heads > 0 &&
      !(apart(args.batches, s.batch) && apart(args.length, s.token) && apart(tensor.heads, s.head)))
    refuse("output strides of ", name, " of at least a head of ", args.head_dim, " elements, found ", s.batch,
           ", ", s.token, ", ", s.head);
}

bool tensor_is_aligned(const RopeTensor& tensor, ElementType type) {
  const auto elements = static_cast<std::int64_t>(16 / size_of(type));
  const auto whole = [&](const RopeTensor::Strides& s) {
    return s.batch % elements == 0 && s.token % elements == 0 && s.head % elements == 0;
  };
  return tensor.heads == 0 || (starts_aligned(tensor.in) && starts_aligned(tensor.out) &&
                               whole(tensor.in_strides) && whole(tensor.out_strides));
}

}  // namespace

std::size_t size_of(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
    case ElementType::kBfloat16:
      return 2;
    case ElementType::kFloat32:
      return 4;
  }
  throw std::invalid_argument("expected kFloat16, kBfloat16 or kFloat32, found element type " +
                              std::to_string(static_cast<int>(type)));
}

void check(const RmsNormForward& a) {
  const Refusal refuse("rms_norm");
  size_of(a.type);
  if (!(std::isfinite(a.eps) && a.eps >= 0.0f))
    refuse("a finite eps of 0 or more, found ", a.eps);
  if ((a.residual.data == nullptr) != (a.sum.data == nullptr))
    refuse("residual and sum, or neither, found one of them");
  if (!refuse.sizes(a.rows, a.hidden, kMaxHidden))
    return;
  refuse.matrix("x", a.x, a.hidden, a.type);
  refuse.optional_matrix("residual", a.residual, a.hidden, a.type);
  refuse.optional_matrix("sum", a.sum, a.hidden, a.type);
  refuse.matrix("y", a.y, a.hidden, a.type);
  refuse.pointer("weight", a.weight, size_of(a.type));
  if (a.rstd != nullptr)
    refuse.pointer("rstd", a.rstd, alignof(float));
}

void check(const RmsNormBackward& a) {
  const Refusal refuse("rms_norm_backward");
  size_of(a.type);
  const bool works = refuse.sizes(a.rows, a.hidden, kMaxHidden);
  if (a.dw != nullptr && a.hidden > 0) {
    refuse.pointer("dw", a.dw, size_of(a.type));
    if (a.rows > 0)
      refuse.pointer("workspace (dw needs one)", a.workspace, 16);
  }
  if (!works)
    return;
  refuse.matrix("h", a.h, a.hidden, a.type);
  refuse.matrix("dy", a.dy, a.hidden, a.type);
  refuse.optional_matrix("dsum", a.dsum, a.hidden, a.type);
  refuse.matrix("dh", a.dh, a.hidden, a.type);
  refuse.pointer("weight", a.weight, size_of(a.type));
  refuse.pointer("rstd", a.rstd, alignof(float));
}

void check(const Rope& a) {
  const Refusal refuse("rope");
  size_of(a.type);
  if (a.head_dim < 2 || a.head_dim % 2 != 0 || a.head_dim > kMaxHeadDim)
    refuse("an even head_dim of 2 to ", kMaxHeadDim, ", found ", a.head_dim);
  if (a.batches < 0 || a.length < 0 || (a.batches > 0 && a.length > kMaxTokens / a.batches))
    refuse("fewer than 2^31 tokens, found ", a.batches, " batches of ", a.length, "; split the batch");
  check_tensor(refuse, "q", a.q, a.type);
  check_tensor(refuse, "k", a.k, a.type);
  if (a.q.heads + a.k.heads > kMaxTokens)
    refuse("fewer than 2^31 heads, found ", a.q.heads + a.k.heads);
  check_output_strides(refuse, "q", a, a.q);
  check_output_strides(refuse, "k", a, a.k);
  if (a.batches == 0 || a.length == 0 || a.q.heads + a.k.heads == 0)
    return;
  refuse.pointer("inverse_frequency", a.inverse_frequency, alignof(float));
  switch (a.position_type) {
    case PositionType::kInt32:
    case PositionType::kInt64:
      break;
    default:
      refuse("positions of int32 or int64, found type ", static_cast<int>(a.position_type));
  }
  if (a.positions != nullptr)
    refuse.pointer("positions", a.positions, a.position_type == PositionType::kInt32 ? 4 : 8);
}

void check(const SwigluForward& a) {
  const Refusal refuse("swiglu");
  size_of(a.type);
  if (!refuse.sizes(a.rows, a.columns, kMaxElements))
    return;
  refuse.matrix("gate", a.gate, a.columns, a.type);
  refuse.matrix("up", a.up, a.columns, a.type);
  refuse.matrix("y", a.y, a.columns, a.type);
}

void check(const SwigluBackward& a) {
  const Refusal refuse("swiglu_backward");
  size_of(a.type);
  if (!refuse.sizes(a.rows, a.columns, kMaxElements))
    return;
  refuse.matrix("gate", a.gate, a.columns, a.type);
  refuse.matrix("up", a.up, a.columns, a.type);
  refuse.matrix("dy", a.dy, a.columns, a.type);
  refuse.matrix("dgate", a.dgate, a.columns, a.type);
  refuse.matrix("dup", a.dup, a.columns, a.type);
  refuse.optional_matrix("y", a.y, a.columns, a.type);
}

RmsNormForward with_strides(RmsNormForward a) {
  fill(a.x, a.hidden), fill(a.residual, a.hidden), fill(a.sum, a.hidden), fill(a.y, a.hidden);
  return a;
}
RmsNormBackward with_strides(RmsNormBackward a) {
  fill(a.h, a.hidden), fill(a.dy, a.hidden), fill(a.dsum, a.hidden), fill(a.dh, a.hidden);
  return a;
}
SwigluForward with_strides(SwigluForward a) {
  fill(a.gate, a.columns), fill(a.up, a.columns), fill(a.y, a.columns);
  return a;
}
SwigluBackward with_strides(SwigluBackward a) {
  fill(a.gate, a.columns), fill(a.up, a.columns), fill(a.dy, a.columns);
  fill(a.dgate, a.columns), fill(a.dup, a.columns), fill(a.y, a.columns);
  return a;
}

bool is_aligned(const RmsNormForward& a) {
  return all_aligned(a.type, a.x, a.residual, a.sum, a.y) && starts_aligned(a.weight);
}
bool is_aligned(const RmsNormBackward& a) {
  return all_aligned(a.type, a.h, a.dy, a.dsum, a.dh) && starts_aligned(a.weight);
}
bool is_aligned(const Rope& a) {
  const auto half_bytes = static_cast<std::size_t>(a.head_dim / 2) * size_of(a.type);
  return half_bytes % 16 == 0 && tensor_is_aligned(a.q, a.type) && tensor_is_aligned(a.k, a.type);
}
bool is_aligned(const SwigluForward& a) {
  return all_aligned(a.type, a.gate, a.up, a.y);
}
bool is_aligned(const SwigluBackward& a) {
  return all_aligned(a.type, a.gate, a.up, a.dy, a.dgate, a.dup, a.y);
}

RopeTensor::Strides token_major(std::int64_t length, std::int64_t heads, std::int64_t head_dim) {
  return {.batch = length * heads * head_dim, .token = heads * head_dim, .head = head_dim};
}
RopeTensor::Strides head_major(std::int64_t length, std::int64_t heads, std::int64_t head_dim) {
  return {.batch = heads * length * head_dim, .token = head_dim, .head = length * head_dim};
}

}  // namespace assay::kernels::llama

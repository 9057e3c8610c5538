// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/softmax_pass_check.hpp"

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace assay::kernels::backprop {
namespace {

/// Vector indices of a row are 32 bits wide on the GPU.
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 30;

template <class... Parts>
std::invalid_argument refuse(const Parts&... parts) {
  std::ostringstream text;
  text << "softmax pass: ";
  (text << ... << parts);
  return std::invalid_argument(text.str());
}

void check_pointer(const char* name, const void* pointer, std::size_t alignment) {
  if (pointer == nullptr)
    throw refuse("expected ", name, ", found null");
  if (reinterpret_cast<std::uintptr_t>(pointer) % alignment != 0)
    throw refuse("expected ", name, " aligned to its element of ", alignment,
                 " bytes, found an address that is not");
}

void check_optional(const char* name, const void* pointer, std::size_t alignment) {
  if (pointer != nullptr)
    check_pointer(name, pointer, alignment);
}

void check_transform(const LogitTransform& t) {
  if (!(std::isfinite(t.softcap) && t.softcap >= 0.0))
    throw refuse("expected a softcap of 0 (none) or above, found ", t.softcap);
  if (!(std::isfinite(t.temperature) && t.temperature > 0.0))
    throw refuse("expected a temperature above 0, found ", t.temperature);
}

/// False where there is nothing to do.
bool check_rows(const LogitRows& logits) {
  const std::size_t size = size_of(logits.type);
  check_transform(logits.transform);
  if (logits.rows < 0)
    throw refuse("expected at least 0 rows, found ", logits.rows);
  if (logits.rows == 0)
    return false;
  if (logits.vocab < 1 || logits.vocab > kMaxVocab)
    throw refuse("expected a vocabulary of 1 to 2^30, found ", logits.vocab);
  if (logits.stride < logits.vocab)
    throw refuse("expected a stride of at least the vocabulary of ", logits.vocab, " elements, found ",
                 logits.stride);
  if (logits.stride > std::numeric_limits<std::int64_t>::max() / 4 / logits.rows)
    throw refuse("expected fewer bytes than 2^63, found ", logits.rows, " rows with a stride of ",
                 logits.stride);
  check_pointer("logits", logits.data, size);
  check_optional("bias", logits.bias, size);
  return true;
}

}  // namespace

std::size_t size_of(LogitType type) {
  switch (type) {
    case LogitType::kFloat16:
    case LogitType::kBfloat16:
      return 2;
    case LogitType::kFloat32:
      return 4;
  }
  throw refuse("expected kFloat16, kBfloat16 or kFloat32, found type ", static_cast<int>(type));
}

void check(const CrossEntropyPass& pass) {
  if (!(pass.label_smoothing >= 0.0f && pass.label_smoothing <= 1.0f))
    throw refuse("expected a label smoothing from 0 to 1, found ", pass.label_smoothing);
  if (!std::isfinite(pass.z_loss))
    throw refuse("expected a finite z-loss weight, found ", pass.z_loss);
  if (!check_rows(pass.logits))
    return;
  check_pointer("labels", pass.labels, alignof(std::int64_t));
  check_pointer("loss", pass.loss, alignof(float));
  check_optional("lse", pass.lse, alignof(float));
  check_optional("class_weight", pass.class_weight, alignof(float));
  check_optional("gradient_scale", pass.gradient_scale, alignof(float));
}

void check(const TokenStatisticsPass& pass) {
  if (!check_rows(pass.logits))
    return;
  check_pointer("tokens", pass.tokens, alignof(std::int64_t));
  check_pointer("statistics", pass.statistics, alignof(float));
}

void check(const TokenStatisticsGradientPass& pass) {
  if (!check_rows(pass.logits))
    return;
  check_pointer("tokens", pass.tokens, alignof(std::int64_t));
  check_pointer("statistics", pass.statistics, alignof(float));
  check_pointer("upstream", pass.upstream, alignof(float));
  check_optional("gradient_scale", pass.gradient_scale, alignof(float));
}

}  // namespace assay::kernels::backprop

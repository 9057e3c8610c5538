// SPDX-License-Identifier: Apache-2.0
#include "reference/nf4/matmul.hpp"

#include <cstring>
#include <stdexcept>
#include <vector>

#include "reference/nf4/rounding.hpp"

namespace assay::reference::nf4 {
namespace {

float element(const void* data, Scalar type, std::int64_t i) {
  switch (type) {
    case Scalar::kFloat16:
      return from_f16(static_cast<const std::uint16_t*>(data)[i]);
    case Scalar::kBfloat16:
      return from_bf16(static_cast<const std::uint16_t*>(data)[i]);
    case Scalar::kFloat32:
      return static_cast<const float*>(data)[i];
  }
  throw std::invalid_argument("nf4 product: unknown type");
}

void put(void* data, Scalar type, std::int64_t i, float value) {
  switch (type) {
    case Scalar::kFloat16:
      static_cast<std::uint16_t*>(data)[i] = to_f16(value);
      return;
    case Scalar::kBfloat16:
      static_cast<std::uint16_t*>(data)[i] = to_bf16(value);
      return;
    case Scalar::kFloat32:
      static_cast<float*>(data)[i] = value;
      return;
  }
  throw std::invalid_argument("nf4 product: unknown type");
}

void check(const Product& p, std::int64_t begin, std::int64_t end) {
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.weights.count != p.n * p.k)
    throw std::invalid_argument("nf4 product: expected n · k weights");
  if (begin < 0 || begin > end || end > p.columns())
    throw std::invalid_argument("nf4 product: the columns lie outside the result");
  if (p.bias != nullptr && p.direction == Direction::kBackward)
    throw std::invalid_argument("nf4 product: a gradient has no bias");
}

void weights_as(const Product& p, std::int64_t first, std::vector<double>& out) {
  truth(p.weights, first, out);
}

/// Rounded to the product's type.
void weights_as(const Product& p, std::int64_t first, std::vector<float>& out) {
  std::vector<std::uint32_t> bits(out.size());
  exact(p.weights, p.type, first, static_cast<std::int64_t>(out.size()),
        reinterpret_cast<std::byte*>(bits.data()));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = element(bits.data(), p.type, static_cast<std::int64_t>(i));
}

/// Sums of Number, weights as weights_as() gives them, in order of the depth: sums [m, end - begin].
template <class Number>
std::vector<Number> sums_of(const Product& p, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = end - begin, depth = p.depth();
  std::vector<Number> sums(static_cast<std::size_t>(p.m * width));
  std::vector<Number> left(static_cast<std::size_t>(p.m * depth));
  for (std::int64_t i = 0; i < p.m * depth; ++i)
    left[static_cast<std::size_t>(i)] = static_cast<Number>(element(p.left, p.type, i));
  if (p.direction == Direction::kForward) {
    std::vector<Number> row(static_cast<std::size_t>(p.k));
    for (std::int64_t r = begin; r < end; ++r) {
      weights_as(p, r * p.k, row);
      for (std::int64_t i = 0; i < p.m; ++i) {
        Number sum = 0;
        for (std::int64_t c = 0; c < p.k; ++c)
          sum += left[static_cast<std::size_t>(i * p.k + c)] * row[static_cast<std::size_t>(c)];
        sums[static_cast<std::size_t>(i * width + r - begin)] = sum;
      }
    }
  } else {
    std::vector<Number> part(static_cast<std::size_t>(width));
    for (std::int64_t r = 0; r < p.n; ++r) {
      weights_as(p, r * p.k + begin, part);
      for (std::int64_t i = 0; i < p.m; ++i)
        for (std::int64_t c = 0; c < width; ++c)
          sums[static_cast<std::size_t>(i * width + c)] +=
              left[static_cast<std::size_t>(i * p.n + r)] * part[static_cast<std::size_t>(c)];
    }
  }
  if (p.bias != nullptr)
    for (std::int64_t i = 0; i < p.m; ++i)
      for (std::int64_t r = begin; r < end; ++r)
        sums[static_cast<std::size_t>(i * width + r - begin)] +=
            static_cast<Number>(element(p.bias, p.type, r));
  return sums;
}

}  // namespace

void truth(const Product& product, std::int64_t begin, std::int64_t end, std::span<double> out) {
  check(product, begin, end);
  const std::vector<double> sums = sums_of<double>(product, begin, end);
  if (out.size() != sums.size())
    throw std::invalid_argument("nf4 product: expected room for m rows of the columns asked for");
  std::memcpy(out.data(), sums.data(), sums.size() * sizeof(double));
}

void dequantize_then_multiply(const Product& product, std::int64_t begin, std::int64_t end, void* out) {
  check(product, begin, end);
  const std::vector<float> sums = sums_of<float>(product, begin, end);
  for (std::size_t i = 0; i < sums.size(); ++i) put(out, product.type, static_cast<std::int64_t>(i), sums[i]);
}

}  // namespace assay::reference::nf4

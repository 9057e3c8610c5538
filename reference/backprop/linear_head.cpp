// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/linear_head.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace assay::reference::backprop {
namespace {

/// c[m, n] += scale · Σ_k a[m, k]·b[k, n]: rows of b are added up, so the inner loop runs along memory.
void add_product(const Matrix& a, const Matrix& b, double scale, Matrix& c) {
  for_each_row(c.rows, [&](std::int64_t m) {
    const auto to = c.row(m);
    for (std::int64_t k = 0; k < a.cols; ++k) {
      const double factor = scale * a.row(m)[k];
      const auto from = b.row(k);
      for (std::int64_t n = 0; n < c.cols; ++n) to[n] += factor * from[n];
    }
  });
}

Matrix transposed(const Matrix& a) {
  Matrix t(a.cols, a.rows);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t c = 0; c < a.cols; ++c) t.row(c)[r] = a.row(r)[c];
  }
  return t;
}

void require(bool holds, const char* what) {
  if (!holds)
    throw std::invalid_argument(std::string("backprop oracle: ") + what);
}

void require_shapes(const Matrix& hidden, const Head& head) {
  require(head.weight.cols == hidden.cols, "weight [V, H] and hidden [N, H] differ in H");
  require(head.bias.empty() || static_cast<std::int64_t>(head.bias.size()) == head.weight.rows,
          "bias is not [V]");
  require(head.lora_a.empty() == head.lora_b.empty(), "lora_a and lora_b come together");
  require(head.lora_a.empty() || (head.lora_a.cols == hidden.cols && head.lora_b.rows == head.weight.rows &&
                                  head.lora_a.rows == head.lora_b.cols),
          "lora_a is not [rank, H] or lora_b not [V, rank]");
}

}  // namespace

void for_each_row(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::atomic<std::int64_t> next = 0;
  std::exception_ptr failed;
  std::mutex guard;
  const auto work = [&] {
    for (std::int64_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!failed)
          failed = std::current_exception();
      }
    }
  };
  const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> others;
  for (std::int64_t i = 1; i < std::min(cores, count); ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (failed)
    std::rethrow_exception(failed);
}

Matrix logits_of(const Matrix& hidden, const Head& head) {
  require_shapes(hidden, head);
  Matrix x(hidden.rows, head.weight.rows);
  add_product(hidden, transposed(head.weight), 1.0, x);
  if (!head.bias.empty()) {
    for (std::int64_t n = 0; n < x.rows; ++n) {
      for (std::int64_t v = 0; v < x.cols; ++v) x.row(n)[v] += head.bias[v];
    }
  }
  if (!head.lora_a.empty()) {
    Matrix inner(hidden.rows, head.lora_a.rows);
    add_product(hidden, transposed(head.lora_a), 1.0, inner);
    add_product(inner, transposed(head.lora_b), head.lora_scale, x);
  }
  return x;
}

Gradients backward(const Matrix& hidden, const Head& head, const Matrix& dlogits, double upstream) {
  require_shapes(hidden, head);
  require(dlogits.rows == hidden.rows && dlogits.cols == head.weight.rows, "dlogits is not [N, V]");
  const Matrix dlogits_t = transposed(dlogits);
  Gradients out;
  out.hidden = Matrix(hidden.rows, hidden.cols);
  add_product(dlogits, head.weight, upstream, out.hidden);
  out.weight = Matrix(head.weight.rows, head.weight.cols);
  add_product(dlogits_t, hidden, upstream, out.weight);
  if (!head.bias.empty()) {
    out.bias.assign(head.bias.size(), 0.0);
    for (std::int64_t v = 0; v < dlogits.cols; ++v) {
      for (const double g : dlogits_t.row(v)) out.bias[v] += upstream * g;
    }
  }
  if (!head.lora_a.empty()) {
    const double scale = upstream * head.lora_scale;
    Matrix inner(hidden.rows, head.lora_a.rows);  // hidden·aᵀ
    add_product(hidden, transposed(head.lora_a), 1.0, inner);
    out.lora_b = Matrix(head.lora_b.rows, head.lora_b.cols);
    add_product(dlogits_t, inner, scale, out.lora_b);
    Matrix dinner(hidden.rows, head.lora_a.rows);  // scale · dlogits·b
    add_product(dlogits, head.lora_b, scale, dinner);
    out.lora_a = Matrix(head.lora_a.rows, head.lora_a.cols);
    add_product(transposed(dinner), hidden, 1.0, out.lora_a);
    add_product(dinner, head.lora_a, 1.0, out.hidden);
  }
  return out;
}

}  // namespace assay::reference::backprop

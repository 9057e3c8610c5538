// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/softmax_pass_cases_test.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstring>
#include <random>
#include <sstream>

namespace assay::kernels::backprop::cases {

std::size_t bytes_of(LogitType type) {
  return type == LogitType::kFloat32 ? 4 : 2;
}

double decode(const void* at, LogitType type) {
  if (type == LogitType::kFloat16) {
    __half h;
    std::memcpy(&h, at, 2);
    return static_cast<double>(__half2float(h));
  }
  if (type == LogitType::kBfloat16) {
    __nv_bfloat16 h;
    std::memcpy(&h, at, 2);
    return static_cast<double>(__bfloat162float(h));
  }
  float f;
  std::memcpy(&f, at, 4);
  return static_cast<double>(f);
}

void encode(double value, void* at, LogitType type) {
  const auto f = static_cast<float>(value);
  if (type == LogitType::kFloat16) {
    const __half h = __float2half_rn(f);
    std::memcpy(at, &h, 2);
  } else if (type == LogitType::kBfloat16) {
    const __nv_bfloat16 h = __float2bfloat16_rn(f);
    std::memcpy(at, &h, 2);
  } else {
    std::memcpy(at, &f, 4);
  }
}

std::string text_of(const Case& c) {
  constexpr const char* kNames[] = {"f16", "bf16", "f32"};
  std::ostringstream text;
  text << kNames[static_cast<int>(c.type)] << " " << c.rows << "x" << c.vocab << "+" << c.padding
       << " softcap " << c.softcap << " temperature " << c.temperature << " smoothing " << c.label_smoothing
       << " z_loss " << c.z_loss << " weights " << c.class_weight << " bias " << c.bias << " ignores "
       << c.ignores_second_row << " scale " << c.gradient_scale << " spread " << c.spread << " misaligned "
       << c.misalignment;
  return text.str();
}

std::vector<Case> option_cases() {
  const std::vector<Case> options = {{},
                                     {.ignores_second_row = true},
                                     {.gradient_scale = 0.125f},
                                     {.temperature = 0.7},
                                     {.softcap = 30.0},
                                     {.softcap = 5.0, .temperature = 1.3, .spread = 8.0},
                                     {.label_smoothing = 0.1f},
                                     {.label_smoothing = 1.0f},
                                     {.z_loss = 1e-3f},
                                     {.class_weight = true},
                                     {.bias = true},
                                     {.label_smoothing = 0.2f, .class_weight = true},
                                     {.padding = 24,
                                      .softcap = 20.0,
                                      .temperature = 0.9,
                                      .label_smoothing = 0.05f,
                                      .z_loss = 1e-2f,
                                      .class_weight = true,
                                      .bias = true,
                                      .ignores_second_row = true,
                                      .gradient_scale = -3.5f}};
  std::vector<Case> all;
  for (const LogitType type : kTypes) {
    for (Case c : options) {
      c.type = type;
      all.push_back(c);
      c.vocab = 1001;  // rows start at every alignment
      all.push_back(c);
    }
  }
  return all;
}

std::vector<Case> size_cases() {
  std::vector<Case> all;
  for (const LogitType type : kTypes) {
    for (const std::int64_t vocab : {1, 2, 3, 7, 8, 9, 15, 16, 31, 63, 64, 127, 255, 1000, 4097, 32001}) {
      all.push_back({.type = type, .rows = vocab > 10000 ? 3 : 9, .vocab = vocab});
      all.push_back(
          {.type = type, .rows = 3, .vocab = vocab, .padding = 5, .label_smoothing = 0.1f, .bias = true});
    }
    for (const std::size_t elements : {1, 3, 7})
      all.push_back({.type = type, .vocab = 2048, .misalignment = elements * bytes_of(type)});
    all.push_back({.type = type, .rows = 300, .vocab = 40});
  }
  return all;
}

Sample::Sample(const Case& given) : c(given) {
  const std::size_t size = bytes_of(c.type);
  const auto count = static_cast<std::size_t>(c.rows * (c.vocab + c.padding));
  offset = 256 + c.misalignment;
  allocation.assign(offset + count * size + 256, std::byte{0xa5});
  std::mt19937 random(c.seed + static_cast<unsigned>(c.vocab));
  std::normal_distribution<double> normal(0.0, c.spread);
  std::uniform_real_distribution<float> positive(0.25f, 2.0f), real(-1.0f, 1.0f);
  for (std::int64_t r = 0; r < c.rows; ++r)
    for (std::int64_t v = 0; v < c.vocab; ++v) set(r, v, normal(random));
  if (c.bias) {
    bias.resize(static_cast<std::size_t>(c.vocab) * size);
    for (std::size_t v = 0; v < static_cast<std::size_t>(c.vocab); ++v)
      encode(normal(random) / 3.0, bias.data() + v * size, c.type);
  }
  if (c.class_weight) {
    class_weight.resize(static_cast<std::size_t>(c.vocab));
    for (float& w : class_weight) w = positive(random);
  }
  if (c.gradient_scale != 0.0f)
    gradient_scale = {c.gradient_scale};
  for (std::int64_t r = 0; r < c.rows; ++r) {
    // First, last and any label, so that heads and tails of rows have one.
    const auto any = static_cast<std::int64_t>(random() % static_cast<unsigned>(c.vocab));
    labels.push_back(r % 3 == 0 ? any : r % 3 == 1 ? c.vocab - 1 : 0);
    for (int i = 0; i < 3; ++i) upstream.push_back(real(random));
  }
  if (c.ignores_second_row && c.rows > 1)
    labels[1] = -100;
}

std::byte* Sample::row(std::int64_t r) {
  return allocation.data() + offset + static_cast<std::size_t>(r * (c.vocab + c.padding)) * bytes_of(c.type);
}

double Sample::logit(std::int64_t r, std::int64_t v) const {
  return decode(const_cast<Sample*>(this)->row(r) + static_cast<std::size_t>(v) * bytes_of(c.type), c.type);
}

void Sample::set(std::int64_t r, std::int64_t v, double value) {
  encode(value, row(r) + static_cast<std::size_t>(v) * bytes_of(c.type), c.type);
}

LogitRows Sample::logits() {
  return {.data = row(0),
          .type = c.type,
          .rows = c.rows,
          .vocab = c.vocab,
          .stride = c.vocab + c.padding,
          .bias = c.bias ? bias.data() : nullptr,
          .transform = {.softcap = c.softcap, .temperature = c.temperature}};
}

CrossEntropyPass Sample::cross_entropy(float* loss, float* lse) {
  return {.logits = logits(),
          .labels = labels.data(),
          .label_smoothing = c.label_smoothing,
          .z_loss = c.z_loss,
          .class_weight = c.class_weight ? class_weight.data() : nullptr,
          .gradient_scale = gradient_scale.empty() ? nullptr : gradient_scale.data(),
          .loss = loss,
          .lse = lse};
}

}  // namespace assay::kernels::backprop::cases

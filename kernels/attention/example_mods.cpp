// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/example_mods.hpp"

namespace assay::kernels::attention {
namespace {

constexpr const char* kCausal = R"(
bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) {
  return k <= q;
})";

Mods with_causal(const char* score_mod) {
  return {.score_mod = score_mod, .mask_mod = kCausal, .mask_by_head = false, .mask_by_sequence = false};
}

}  // namespace

Mods no_mods() {
  return {};
}

Mods causal() {
  return with_causal("");
}

Mods causal_softcap() {
  return with_causal(R"(
template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {
  const float cap = buffers.get<float>(0, 0);
  return cap * tanh_approx(score * reciprocal(cap));
})");
}

Mods causal_softcap_exact() {
  return with_causal(R"(
template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {
  const float cap = buffers.get<float>(0, 0);
  return cap * tanh(score * reciprocal(cap));
})");
}

Mods causal_alibi() {
  return with_causal(R"(
template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {
  return score + buffers.get<float>(0, h) * float(k - q);
})");
}

Mods sliding_window() {
  return {.mask_mod = R"(
bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) {
  return (k <= q) & (q - k <= buffers.get<int>(0, 0));
})",
          .mask_by_head = false,
          .mask_by_sequence = false};
}

Mods head_windows() {
  return {.mask_mod = R"(
bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) {
  return (k <= q) & (q - k <= buffers.get<int>(0, h));
})",
          .mask_by_sequence = false};
}

Mods document() {
  return {.mask_mod = R"(
bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) {
  const long long first = (long long)b * buffers.q_length;
  return (k <= q) & (buffers.get<int>(0, first + q) == buffers.get<int>(0, first + k));
})",
          .mask_by_head = false};
}

Mods prefix_lm() {
  return {.mask_mod = R"(
bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) {
  return (k <= q) | (k < buffers.get<int>(0, b));
})",
          .mask_by_head = false};
}

Mods relative_bias() {
  Mods mods = with_causal(R"(
template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {
  const int reach = buffers.integer(0);
  const int distance = min(max(q - k, 0), reach);
  return score + buffers.learnable<S>(0, (long long)h * (reach + 1) + distance);
})");
  mods.learnable = 1;
  return mods;
}

Mods full_bias() {
  return {.score_mod = R"(
template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {
  return score + buffers.learnable<S>(0, ((long long)h * buffers.q_length + q) * buffers.k_length + k);
})",
          .learnable = 1};
}

Mods learnable_alibi() {
  Mods mods = with_causal(R"(
template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {
  return score + buffers.learnable<S>(0, h) * float(k - q);
})");
  mods.learnable = 1;
  return mods;
}

Mods softcap_with_derivative() {
  Mods mods = causal_softcap();
  mods.score_mod_derivative = R"(
float score_mod_derivative(float score, float modified, int b, int h, int q, int k, const Buffers& buffers) {
  const float t = modified * reciprocal(buffers.get<float>(0, 0));
  return 1.0f - t * t;
})";
  return mods;
}

std::vector<NamedMods> example_mods() {
  return {{"none", no_mods()},
          {"causal", causal()},
          {"causal_softcap", causal_softcap()},
          {"causal_softcap_exact", causal_softcap_exact()},
          {"causal_alibi", causal_alibi()},
          {"sliding_window", sliding_window()},
          {"head_windows", head_windows()},
          {"document", document()},
          {"prefix_lm", prefix_lm()},
          {"relative_bias", relative_bias()},
          {"full_bias", full_bias()},
          {"learnable_alibi", learnable_alibi()},
          {"softcap_with_derivative", softcap_with_derivative()}};
}

}  // namespace assay::kernels::attention

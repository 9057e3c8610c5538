// SPDX-License-Identifier: Apache-2.0
// Rope on the CPU: a token's angles in f64, then its heads, compiled for every instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/llama/rope_cpu.cpp"
// clang-format off: once per target, in this order
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/llama/cpu_rows-inl.hpp"
// clang-format on

#include <numbers>

#include "kernels/llama/rope.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::llama::HWY_NAMESPACE {

inline constexpr std::size_t kMaxHalf = 512;
/// Room for a vector behind the last angle.
struct Angles {
  HWY_ALIGN float cosines[kMaxHalf + HWY_MAX_BYTES];
  HWY_ALIGN float sines[kMaxHalf + HWY_MAX_BYTES];
};

/// Whole turns leave in f64, where the product of two f32 is exact.
inline void make_angles(double position, const float* frequency, std::size_t half, bool backward,
                        Angles& to) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const std::size_t lanes = hn::Lanes(dd);
  for (std::size_t i = 0; i < half; i += lanes) {
    HWY_ALIGN float buffer[hn::MaxLanes(dd)] = {};
    for (std::size_t k = 0; k < std::min(lanes, half - i); ++k) buffer[k] = frequency[i + k];
    const auto angle = hn::Mul(hn::PromoteTo(dd, hn::Load(df, buffer)), hn::Set(dd, position));
    const auto turns = hn::Mul(angle, hn::Set(dd, 0.5 / std::numbers::pi));
    const auto radians = hn::Mul(hn::Sub(turns, hn::Round(turns)), hn::Set(dd, 2.0 * std::numbers::pi));
    const auto sine = hn::Sin(dd, radians);
    hn::StoreU(hn::DemoteTo(df, hn::Cos(dd, radians)), df, to.cosines + i);
    hn::StoreU(hn::DemoteTo(df, backward ? hn::Neg(sine) : sine), df, to.sines + i);
  }
}

template <ElementType kType>
HWY_INLINE void turn_head(const void* in, void* out, std::size_t half, const Angles& angles) {
  const auto* const from = static_cast<const Element<kType>*>(in);
  auto* const to = static_cast<Element<kType>*>(out);
  for_each_vector(half, [&](std::size_t i, std::size_t n) HWY_ATTR {
    const auto a = load<kType>(from + i, n), b = load<kType>(from + half + i, n);
    const auto c = load(angles.cosines + i, n), s = load(angles.sines + i, n);
    store<kType>(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), to + i, n);
    store<kType>(hn::Add(hn::Mul(b, c), hn::Mul(a, s)), to + half + i, n);
  });
}

inline double position_of(const Rope& args, std::int64_t token) {
  if (args.positions == nullptr)
    return static_cast<double>(token % args.length);
  return args.position_type == PositionType::kInt64
             ? static_cast<double>(static_cast<const std::int64_t*>(args.positions)[token])
             : static_cast<double>(static_cast<const std::int32_t*>(args.positions)[token]);
}

template <ElementType kType>
void turn_tokens(const Rope& args, std::int64_t first, std::int64_t last) {
  const auto half = static_cast<std::size_t>(args.head_dim / 2);
  Angles angles;
  for (std::int64_t token = first; token < last; ++token) {
    make_angles(position_of(args, token), args.inverse_frequency, half, args.backward, angles);
    const std::int64_t batch = token / args.length, t = token % args.length;
    for (const RopeTensor* tensor : {&args.q, &args.k}) {
      const RopeTensor::Strides &in = tensor->in_strides, &out = tensor->out_strides;
      for (std::int64_t head = 0; head < tensor->heads; ++head)
        turn_head<kType>(
            static_cast<const Element<kType>*>(tensor->in) + batch * in.batch + t * in.token + head * in.head,
            static_cast<Element<kType>*>(tensor->out) + batch * out.batch + t * out.token + head * out.head,
            half, angles);
    }
  }
}

void turn(const Rope& args, std::int64_t first, std::int64_t last) {
  ASSAY_LLAMA_OF_EVERY_TYPE(args.type, turn_tokens)
}

}  // namespace assay::kernels::llama::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include "kernels/common/instruction_sets.hpp"
#include "kernels/common/parallel_for.hpp"
#include "kernels/llama/check.hpp"
#include "kernels/llama/pointwise_cpu.hpp"

namespace assay::kernels::llama {
HWY_EXPORT(turn);
namespace {

constexpr std::int64_t kElementsPerRange = 1 << 15;

template <class Turn>
void run(Turn turn, const Rope& args, int num_threads) {
  check(args);
  const std::int64_t elements = (args.q.heads + args.k.heads) * args.head_dim;
  if (elements == 0)
    return;
  parallel_for(args.batches * args.length, std::max<std::int64_t>(1, kElementsPerRange / elements),
               num_threads, [&](std::int64_t first, std::int64_t last) { turn(args, first, last); });
}

}  // namespace

void rope_cpu(const Rope& args, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(turn), args, num_threads);
}
void rope_cpu_on(const std::string& instruction_set, const Rope& args, int num_threads) {
  hwy::ChosenTarget chosen;
  chosen.Update(instruction_set_from_name(instruction_set, HWY_TARGETS));
  run(HWY_DISPATCH_TABLE(turn)[chosen.GetIndex()], args, num_threads);
}

}  // namespace assay::kernels::llama

#endif  // HWY_ONCE

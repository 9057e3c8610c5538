// SPDX-License-Identifier: Apache-2.0
// The source of the attention kernels, run on a CPU over the same cases as on a GPU. The mods are those of
// example_mods, written out: the text itself is for NVRTC.
#include <gtest/gtest.h>

#include "kernels/attention/block_mask.hpp"
#include "kernels/attention/cases_test.hpp"
#include "kernels/attention/device/backward_delta.cuh"
#include "kernels/attention/device/backward_keys.cuh"
#include "kernels/attention/device/backward_queries.cuh"
#include "kernels/attention/device/block_mask.cuh"
#include "kernels/attention/device/forward.cuh"

namespace assay::kernels::attention {
namespace {

using device::Buffers;

struct NoMods {};
struct Causal {
  bool mask_mod(int, int, int q, int k, const Buffers&) { return k <= q; }
};
struct Softcap : Causal {
  template <class S>
  S score_mod(S score, int, int, int, int, const Buffers& buffers) {
    const float cap = buffers.get<float>(0, 0);
    return cap * device::tanh(score * device::reciprocal(cap));
  }
};
struct Alibi : Causal {
  template <class S>
  S score_mod(S score, int, int h, int q, int k, const Buffers& buffers) {
    return score + buffers.get<float>(0, h) * float(k - q);
  }
};
struct Window {
  bool mask_mod(int, int, int q, int k, const Buffers& buffers) {
    return k <= q && q - k <= buffers.get<int>(0, 0);
  }
};
struct Document {
  bool mask_mod(int b, int, int q, int k, const Buffers& buffers) {
    const long long first = static_cast<long long>(b) * buffers.q_length;
    return k <= q && buffers.get<int>(0, first + q) == buffers.get<int>(0, first + k);
  }
};
struct RelativeBias : Causal {
  template <class S>
  S score_mod(S score, int, int h, int q, int k, const Buffers& buffers) {
    const int reach = buffers.integer(0);
    const int distance = device::min(device::max(q - k, 0), reach);
    return score + buffers.learnable<S>(0, static_cast<long long>(h) * (reach + 1) + distance);
  }
};

template <class TheMods, class TheElement, int kSize, bool kScore, bool kMask, int kLearn>
struct Common {
  using Mods = TheMods;
  using Element = TheElement;
  static constexpr int kHeadSize = kSize, kLearnable = kLearn;
  static constexpr bool kHasScore = kScore, kHasMask = kMask, kHasDerivative = false;
};
template <class Base, int kQ, int kK, int kW, int kS>
struct Tiled : Base {
  static constexpr int kTileQ = kQ, kTileK = kK, kWarps = kW, kStages = kS;
};

/// What FlexAttention's launcher does, on the emulated machine.
template <class Base, class ForwardSetup, class KeysSetup, class QueriesSetup>
void run(cases::Sample& s, const Mods& mods) {
  const auto place = [](const void* host) { return const_cast<void*>(host); };
  const BackwardArgs args = s.backward_args(place);
  std::vector<std::byte> workspace(block_mask_bytes(mods, args.sequences) + 256, std::byte{0xff});
  const Sequences& q = args.sequences;
  const Problem problem{
      q.sequences, q.q_heads,  q.kv_heads, q.q_length, q.k_length,
      q.q_starts,  q.k_starts, q.scale,    q.buffers,  block_tables(mods, q, workspace.data())};
  const BlockTables& t = problem.tables;
  const unsigned lists = static_cast<unsigned>(t.heads * (t.q_lists + t.k_lists));
  emulated::run({(static_cast<unsigned>(t.q_capacity + t.k_capacity) + 127) / 128, 128},
                [&] { device::find_places(problem); });
  emulated::run({static_cast<unsigned>(t.heads * t.q_lists * t.most_k_blocks), kBlock},
                [&] { device::find_state<Base>(problem); });
  emulated::run({(lists + 3) / 4, 128}, [&] { device::make_list(problem); });

  const long long rows = s.c.packed ? s.q_rows() : q.q_length,
                  per_sequence = s.c.packed ? 0 : rows * q.q_heads;
  const RowView lse{const_cast<float*>(args.lse), per_sequence, rows};
  const ForwardParams forward{problem, args.q, args.k, args.v, args.o, lse};
  using Forward = device::Forward<ForwardSetup>;
  emulated::run({static_cast<unsigned>(t.q_capacity * (kBlock / ForwardSetup::kTileQ) * q.q_heads),
                 32 * ForwardSetup::kWarps, 1, Forward::kSharedBytes},
                [&] { Forward::run(forward); });

  std::vector<float> delta(s.lse.size(), NAN);
  BackwardParams p{problem,
                   args.q,
                   args.k,
                   args.v,
                   args.o,
                   args.d_o,
                   args.d_q,
                   args.d_k,
                   args.d_v,
                   lse,
                   {const_cast<float*>(args.d_lse), per_sequence, rows},
                   {delta.data(), per_sequence, rows},
                   {},
                   0x1p40f,
                   s.c.packed ? 1 : q.sequences,
                   static_cast<int>(rows)};
  std::vector<unsigned long long> fixed(s.learnable_gradient.size());
  p.learnable[0].fixed = fixed.empty() ? nullptr : fixed.data();
  emulated::run({(static_cast<unsigned>(s.lse.size()) + 3) / 4, 128}, [&] { device::find_delta<Base>(p); });
  using Keys = device::BackwardKeys<KeysSetup>;
  emulated::run({static_cast<unsigned>(t.k_capacity * (kBlock / KeysSetup::kTileK) * q.kv_heads),
                 32 * KeysSetup::kWarps, 1, Keys::kSharedBytes},
                [&] { Keys::run(p); });
  using Queries = device::BackwardQueries<QueriesSetup>;
  emulated::run({static_cast<unsigned>(t.q_capacity * (kBlock / QueriesSetup::kTileQ) * q.q_heads),
                 32 * QueriesSetup::kWarps, 1, Queries::kSharedBytes},
                [&] { Queries::run(p); });
  for (std::size_t i = 0; i < fixed.size(); ++i)
    s.learnable_gradient[i] = device::from_fixed(fixed[i], 0x1p40f);
}

/// Small tiles, several stages, several fragments: each is some architecture's.
template <class TheMods, bool kScore, bool kMask, int kLearn, class Element, int kSize>
void run_tiled(cases::Sample& s, const Mods& mods) {
  using Base = Common<TheMods, Element, kSize, kScore, kMask, kLearn>;
  if (kSize <= 64)
    run<Base, Tiled<Base, 64, 64, 4, 1>, Tiled<Base, 32, 64, 4, 1>, Tiled<Base, 64, 32, 4, 3>>(s, mods);
  else
    run<Base, Tiled<Base, 128, 64, 4, 1>, Tiled<Base, 64, 64, 4, 2>, Tiled<Base, 64, 64, 4, 1>>(s, mods);
}

template <class TheMods, bool kScore, bool kMask, int kLearn = 0>
void run_mods(cases::Sample& s, const Mods& mods) {
  const bool half = s.c.type == ElementType::kFloat16;
  switch (s.c.head_size) {
    case 32:
      return run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 32>(s, mods);
    case 64:
      return half ? run_tiled<TheMods, kScore, kMask, kLearn, device::Half, 64>(s, mods)
                  : run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 64>(s, mods);
    case 96:
      return run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 96>(s, mods);
    default:
      return half ? run_tiled<TheMods, kScore, kMask, kLearn, device::Half, 128>(s, mods)
                  : run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 128>(s, mods);
  }
}

void run_emulated(cases::Sample& s) {
  const std::string& name = s.c.mods;
  Mods mods;  // only what the block mask's layout asks for
  mods.mask_mod = name == "none" ? "" : "present";
  mods.mask_by_head = false;
  mods.mask_by_sequence = name == "document";
  if (name == "none")
    return run_mods<NoMods, false, false>(s, mods);
  if (name == "causal")
    return run_mods<Causal, false, true>(s, mods);
  if (name == "causal_softcap_exact")
    return run_mods<Softcap, true, true>(s, mods);
  if (name == "causal_alibi")
    return run_mods<Alibi, true, true>(s, mods);
  if (name == "sliding_window")
    return run_mods<Window, false, true>(s, mods);
  if (name == "document")
    return run_mods<Document, false, true>(s, mods);
  ASSERT_EQ(name, "relative_bias");
  return run_mods<RelativeBias, true, true, 1>(s, mods);
}

class EmulatedAttention : public ::testing::TestWithParam<cases::Case> {};

TEST_P(EmulatedAttention, is_as_exact_as_the_plain_layer) {
  cases::expect_right(GetParam(), run_emulated);
}

std::vector<cases::Case> small_cases() {
  std::vector<cases::Case> table = cases::all_cases(300);
  std::erase_if(table, [](const cases::Case& c) {
    for (const char* name : {"none", "causal", "causal_softcap_exact", "causal_alibi", "sliding_window",
                             "document", "relative_bias"})
      if (c.mods == name)
        return false;
    return true;
  });
  return table;
}

INSTANTIATE_TEST_SUITE_P(Cases, EmulatedAttention, ::testing::ValuesIn(small_cases()),
                         [](const auto& info) { return info.param.name(); });

}  // namespace
}  // namespace assay::kernels::attention

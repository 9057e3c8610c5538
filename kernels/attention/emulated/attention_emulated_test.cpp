// SPDX-License-Identifier: Apache-2.0
// The attention kernels on a CPU, the cases those of a GPU; mods are written out, their text is for NVRTC.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <type_traits>

#include "kernels/attention/block_mask.hpp"
#include "kernels/attention/device/backward_delta.cuh"
#include "kernels/attention/device/backward_keys.cuh"
#include "kernels/attention/device/backward_keys_hopper.cuh"
#include "kernels/attention/device/backward_queries.cuh"
#include "kernels/attention/device/backward_queries_hopper.cuh"
#include "kernels/attention/device/block_mask.cuh"
#include "kernels/attention/device/forward.cuh"
#include "kernels/attention/device/forward_hopper.cuh"
#include "kernels/attention/emulated/mods_for_host.cuh"
#include "kernels/attention/example_mods.hpp"
#include "tests/attention/cases.hpp"

namespace assay::kernels::attention {
namespace {

template <class TheMods, class TheElement, int kSize, bool kScore, bool kMask, int kLearn>
struct Common {
  using Mods = TheMods;
  using Element = TheElement;
  static constexpr int kHeadSize = kSize, kLearnable = kLearn;
  static constexpr bool kHasScore = kScore, kHasMask = kMask,
                        kHasDerivative = std::is_same_v<TheMods, SoftcapWithDerivative>;
};
template <class Base, int kQ, int kK, int kW, int kS>
struct Tiled : Base {
  static constexpr int kTileQ = kQ, kTileK = kK, kWarps = kW, kStages = kS;
};

bool by_warpgroups = false;  ///< where a head has their size, and backward where nothing is learnable

template <class Base, bool kTheyTakeTurns, int kBuffers>
struct Warpgroups : Base {
  static constexpr int kStages = kBuffers;
  static constexpr bool kTurns = kTheyTakeTurns;
};

/// Makes maps of a sample's tensors.
struct Maps {
  const cases::Sample& s;
  const Problem& p;
  int box_rows;

  TensorMap of(const View& view, int heads, int rows) const {
    const device::EmulatedMap emulated{static_cast<char*>(view.data),
                                       view.sequence_stride,
                                       view.token_stride,
                                       view.head_stride,
                                       s.c.head_size,
                                       heads,
                                       rows,
                                       s.c.packed ? 1 : p.sequences,
                                       box_rows};
    TensorMap map{};
    std::memcpy(&map, &emulated, sizeof emulated);
    return map;
  }
  TensorMap of_queries(const View& view) const {
    return of(view, p.q_heads, s.c.packed ? p.q_rows : p.q_length);
  }
  TensorMap of_keys(const View& view) const {
    return of(view, p.kv_heads, s.c.packed ? p.k_rows : p.k_length);
  }
};

void run_warpgroups(int blocks, int shared_bytes, const std::function<void()>& kernel) {
  emulated::run({static_cast<unsigned>(blocks), 384, 1, static_cast<std::size_t>(shared_bytes)}, kernel);
  device::require(device::copies_under_way().empty(), "all copies to have arrived");
}

template <class Setup>
void run_forward_warpgroups(const cases::Sample& s, const ForwardParams& base) {
  const Problem& p = base.problem;
  const Maps maps{s, p, kBlock};
  const ForwardHopperParams params{base, maps.of_queries(base.q), maps.of_keys(base.k), maps.of_keys(base.v)};
  using Kernel = device::ForwardHopper<Setup>;
  run_warpgroups(p.tables.q_capacity * p.q_heads, Kernel::kSharedBytes, [&] { Kernel::run(params); });
}

template <class KeysSetup, class QueriesSetup>
void run_backward_warpgroups(const cases::Sample& s, const BackwardParams& base) {
  const Problem& p = base.problem;
  const Maps maps{s, p, kHalfBlock};
  const BackwardHopperParams params{base, maps.of_queries(base.q), maps.of_queries(base.d_o),
                                    maps.of_keys(base.k), maps.of_keys(base.v)};
  using Keys = device::BackwardKeysHopper<KeysSetup>;
  run_warpgroups(p.tables.k_capacity * p.kv_heads, Keys::kSharedBytes, [&] { Keys::run(params); });
  using Queries = device::BackwardQueriesHopper<QueriesSetup>;
  run_warpgroups(p.tables.q_capacity * p.q_heads, Queries::kSharedBytes, [&] { Queries::run(params); });
}

/// What FlexAttention's launcher does, on the emulated machine.
template <class Base, class ForwardSetup, class KeysSetup, class QueriesSetup>
void run(cases::Sample& s, const Mods& mods) {
  const auto place = [](const void* host) { return const_cast<void*>(host); };
  const BackwardArgs args = s.backward_args(place);
  std::vector<std::byte> workspace(block_mask_bytes(mods, args.sequences) + 256, std::byte{0xff});
  const Sequences& q = args.sequences;
  const Problem problem{q.sequences,
                        q.q_heads,
                        q.kv_heads,
                        q.q_length,
                        q.k_length,
                        q.q_starts,
                        q.k_starts,
                        static_cast<int>(q.q_rows),
                        static_cast<int>(q.k_rows),
                        q.scale,
                        q.buffers,
                        block_tables(mods, q, workspace.data())};
  const BlockTables& t = problem.tables;
  const auto launch = [](const emulated::Grid& grid, const std::function<void()>& kernel) {
    emulated::run(grid, [&] {
      kernel();
      device::require_copies_done();
    });
  };
  const unsigned lists = static_cast<unsigned>(t.heads * (t.q_lists + t.k_lists));
  launch({(static_cast<unsigned>(t.q_capacity + t.k_capacity) + 127) / 128, 128},
         [&] { device::find_places(problem); });
  launch({static_cast<unsigned>(t.heads * t.q_lists * t.most_k_blocks), kBlock},
         [&] { device::find_state<Base>(problem); });
  launch({(lists + 3) / 4, 128}, [&] { device::make_list(problem); });

  const long long rows = s.c.packed ? s.q_rows() : q.q_length,
                  per_sequence = s.c.packed ? 0 : rows * q.q_heads;
  const RowView lse{const_cast<float*>(args.lse), per_sequence, rows};
  const ForwardParams forward{problem, args.q, args.k, args.v, args.o, lse};
  using Forward = device::Forward<ForwardSetup>;
  if constexpr (Base::kHeadSize % 64 == 0) {
    if (by_warpgroups)
      run_forward_warpgroups<Warpgroups<Base, Base::kHeadSize == 128, Base::kHeadSize == 128 ? 2 : 3>>(
          s, forward);
  }
  if (Base::kHeadSize % 64 != 0 || !by_warpgroups)
    launch({static_cast<unsigned>(t.q_capacity * (kBlock / ForwardSetup::kTileQ) * q.q_heads),
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
  std::fill(s.learnable_gradient.begin(), s.learnable_gradient.end(), 0.0f);
  p.learnable[0].fixed = fixed.empty() ? nullptr : fixed.data();
  p.learnable[0].sum = s.learnable_gradient.data();
  launch({(static_cast<unsigned>(s.lse.size()) + 3) / 4, 128}, [&] { device::find_delta<Base>(p); });
  if constexpr (Base::kHeadSize % 64 == 0 && Base::kLearnable == 0) {
    if (by_warpgroups)
      return run_backward_warpgroups<Warpgroups<Base, Base::kHeadSize == 128, 2>,
                                     Warpgroups<Base, Base::kHeadSize == 128, 3>>(s, p);
  }
  using Keys = device::BackwardKeys<KeysSetup>;
  launch({static_cast<unsigned>(t.k_capacity * (kBlock / KeysSetup::kTileK) * q.kv_heads),
          32 * KeysSetup::kWarps, 1, Keys::kSharedBytes},
         [&] { Keys::run(p); });
  using Queries = device::BackwardQueries<QueriesSetup>;
  launch({static_cast<unsigned>(t.q_capacity * (kBlock / QueriesSetup::kTileQ) * q.q_heads),
          32 * QueriesSetup::kWarps, 1, Queries::kSharedBytes},
         [&] { Queries::run(p); });
  for (std::size_t i = 0; i < fixed.size(); ++i)
    s.learnable_gradient[i] += device::from_fixed(fixed[i], 0x1p40f);
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

/// Two kinds of heads; all kinds where nothing but the head is asked about.
template <class TheMods, bool kScore, bool kMask, int kLearn = 0, bool kAllHeads = false>
void run_mods(cases::Sample& s, const Mods& mods) {
  const bool half = s.c.type == ElementType::kFloat16;
  if constexpr (kAllHeads) {
    if (s.c.head_size == 32)
      return run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 32>(s, mods);
    if (s.c.head_size == 64 && half)
      return run_tiled<TheMods, kScore, kMask, kLearn, device::Half, 64>(s, mods);
    if (s.c.head_size == 96)
      return run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 96>(s, mods);
    if (s.c.head_size == 128 && !half)
      return run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 128>(s, mods);
  }
  if (s.c.head_size == 128 && half)
    return run_tiled<TheMods, kScore, kMask, kLearn, device::Half, 128>(s, mods);
  ASSERT_TRUE(s.c.head_size == 64 && !half) << "not a case for the emulator";
  run_tiled<TheMods, kScore, kMask, kLearn, device::Bfloat16, 64>(s, mods);
}

using Run = void (*)(cases::Sample& s, const Mods& mods);
const std::map<std::string, Run>& runs() {
  static const std::map<std::string, Run> kRuns = {
      {"none", run_mods<NoMods, false, false>},
      {"causal", run_mods<Causal, false, true, 0, true>},
      {"causal_softcap", run_mods<ApproximateSoftcap, true, true>},
      {"causal_softcap_exact", run_mods<Softcap, true, true>},
      {"softcap_with_derivative", run_mods<SoftcapWithDerivative, true, true>},
      {"causal_alibi", run_mods<Alibi, true, true>},
      {"sliding_window", run_mods<Window, false, true>},
      {"head_windows", run_mods<HeadWindows, false, true>},
      {"document", run_mods<Document, false, true>},
      {"prefix_lm", run_mods<PrefixLm, false, true>},
      {"relative_bias", run_mods<RelativeBias, true, true, 1>},
      {"full_bias", run_mods<FullBias, true, false, 1>},
      {"learnable_alibi", run_mods<LearnableAlibi, true, true, 1>}};
  return kRuns;
}

void run_emulated(cases::Sample& s) {
  for (const NamedMods& named : example_mods()) {
    if (named.name == s.c.mods) {
      runs().at(named.name)(s, named.mods);
      return;
    }
  }
  FAIL() << "no example mods " << s.c.mods;
}

class EmulatedAttention : public ::testing::TestWithParam<cases::Case> {};

TEST_P(EmulatedAttention, is_as_exact_as_the_plain_layer) {
  cases::expect_right(GetParam(), run_emulated);
}

class EmulatedWarpgroups : public ::testing::TestWithParam<cases::Case> {};

TEST_P(EmulatedWarpgroups, are_as_exact_as_the_plain_layer) {
  by_warpgroups = true;
  cases::expect_right(GetParam(), run_emulated);
  by_warpgroups = false;
}

std::vector<cases::Case> warpgroup_cases() {
  std::vector<cases::Case> table = cases::all_cases(300);
  std::erase_if(table, [](const cases::Case& c) { return c.head_size % 64 != 0; });
  return table;
}

INSTANTIATE_TEST_SUITE_P(Cases, EmulatedWarpgroups, ::testing::ValuesIn(warpgroup_cases()),
                         [](const auto& info) { return info.param.name(); });

/// A barrier that is missing lets the fast warps poison a tile that the slow one still reads.
TEST(EmulatedAttentionCases, a_slow_warp_changes_nothing) {
  for (const int warp : {0, 3}) {
    device::slow_warp() = warp;
    cases::expect_right({"causal", {150}, {150}, false, 2, 1, 64}, run_emulated);
    cases::expect_right({"causal", {150}, {150}, false, 1, 1, 128, ElementType::kFloat16}, run_emulated);
  }
  device::slow_warp() = -1;
}
TEST(EmulatedAttentionCases, a_slow_warp_changes_nothing_for_warpgroups) {
  by_warpgroups = true;
  for (const int warp : {0, 1, 4, 11}) {
    device::slow_warp() = warp;
    cases::expect_right({"causal", {270}, {270}, false, 2, 1, 64}, run_emulated);
    cases::expect_right({"causal", {150, 70}, {150, 70}, true, 1, 1, 128, ElementType::kFloat16, false, 40},
                        run_emulated);
  }
  device::slow_warp() = -1;
  by_warpgroups = false;
}

TEST(EmulatedAttentionCases, every_example_is_run) {
  std::set<std::string> run;
  for (const cases::Case& c : cases::all_cases(300)) run.insert(c.mods);
  for (const NamedMods& named : example_mods()) EXPECT_EQ(run.count(named.name), 1u) << named.name;
}

INSTANTIATE_TEST_SUITE_P(Cases, EmulatedAttention, ::testing::ValuesIn(cases::all_cases(300)),
                         [](const auto& info) { return info.param.name(); });

}  // namespace
}  // namespace assay::kernels::attention

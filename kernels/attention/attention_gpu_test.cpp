// SPDX-License-Identifier: Apache-2.0
// Forward and backward on a GPU against the f64 oracle, over the case table; what may change without
// compiling; graphs.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "kernels/attention/example_mods.hpp"
#include "kernels/common/device_bytes_test.hpp"
#include "tests/attention/cases.hpp"

namespace assay::kernels::attention {
namespace {

using cases::Case;
using cases::Sample;
using testing::DeviceBytes;

std::shared_ptr<Compiler> compiler() {
  static const auto instance = std::make_shared<Compiler>();
  return instance;
}

Mods mods_named(const std::string& name) {
  for (const NamedMods& named : example_mods())
    if (named.name == name)
      return named.mods;
  throw std::invalid_argument("no example mods " + name);
}

/// Device copies of a sample's memory, by host address.
class OnDevice {
 public:
  explicit OnDevice(Sample& s) : sample_(s) {
    for (auto* bits : {&s.q, &s.k, &s.v, &s.o, &s.d_o, &s.d_q, &s.d_k, &s.d_v}) add(*bits);
    for (auto* floats : {&s.lse, &s.d_lse, &s.float_buffers[0], &s.learnable_gradient}) add(*floats);
    for (auto* integers : {&s.q_starts, &s.k_starts, &s.int_buffers[0]}) add(*integers);
  }
  Sample::Place place() const {
    return [this](const void* host) { return static_cast<void*>(copies_.at(host)->get()); };
  }
  void read_results() {
    Sample& s = sample_;
    for (auto* bits : {&s.o, &s.d_q, &s.d_k, &s.d_v}) copies_.at(bits->data())->copy_to(bits->data());
    copies_.at(s.lse.data())->copy_to(s.lse.data());
    if (!s.learnable_gradient.empty())
      copies_.at(s.learnable_gradient.data())->copy_to(s.learnable_gradient.data());
  }

 private:
  template <class T>
  void add(const std::vector<T>& values) {
    if (!values.empty())
      copies_[values.data()] = std::make_unique<DeviceBytes>(values);
  }
  Sample& sample_;
  std::map<const void*, std::unique_ptr<DeviceBytes>> copies_;
};

/// Mask, forward, backward of one sample, with workspaces of its own.
struct Calls {
  Calls(Sample& s, FlexAttention the_attention, const Mods& mods, bool deterministic)
      : attention(std::move(the_attention)),
        device(s),
        forward(s.forward_args(device.place())),
        backward(s.backward_args(device.place())),
        mask_memory(nullptr, block_mask_bytes(mods, forward.sequences)),
        workspace(nullptr, (backward.deterministic = deterministic, backward_workspace_bytes(backward))) {
    forward.mask = backward.mask = {mask_memory.get(), block_mask_bytes(mods, forward.sequences)};
    backward.workspace = workspace.get();
    backward.workspace_bytes = backward_workspace_bytes(backward);
  }
  void run(cudaStream_t stream) const {
    attention.build_block_mask(forward.sequences, forward.mask, stream);
    attention.forward(forward, stream);
    attention.backward(backward, stream);
  }

  FlexAttention attention;
  OnDevice device;
  ForwardArgs forward;
  BackwardArgs backward;
  DeviceBytes mask_memory, workspace;
};

void run_on_gpu(Sample& s, const Target& target, bool deterministic) {
  const Mods mods = mods_named(s.c.mods);
  Calls calls(s, FlexAttention(compiler(), mods, {s.c.head_size, s.c.type}, target), mods, deterministic);
  calls.run(nullptr);
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  calls.device.read_results();
}

class GpuAttention : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
    if (GetParam().type == ElementType::kBfloat16 && current_target().sm < 80)
      GTEST_SKIP() << "no bf16 before sm_80";
  }
};

TEST_P(GpuAttention, is_as_exact_as_the_plain_layer) {
  cases::expect_right(GetParam(), [](Sample& s) { run_on_gpu(s, current_target(), false); });
}

TEST_P(GpuAttention, is_as_exact_with_ordered_sums) {
  if (mods_named(GetParam().mods).learnable == 0)
    GTEST_SKIP() << "nothing is summed in memory";
  cases::expect_right(GetParam(), [](Sample& s) { run_on_gpu(s, current_target(), true); });
}

TEST_P(GpuAttention, code_of_older_gpus_is_right_too) {
  for (const int sm : {75, 80}) {
    if (sm >= current_target().sm || (sm < 80 && GetParam().type == ElementType::kBfloat16))
      continue;
    SCOPED_TRACE("PTX of sm_" + std::to_string(sm));
    cases::expect_right(GetParam(), [sm](Sample& s) { run_on_gpu(s, {sm, true}, false); });
  }
}

TEST_P(GpuAttention, warpgroups_without_turns_and_backward_without_warpgroups_are_right_too) {
  const Case& c = GetParam();
  if (current_target().sm != 90 || c.head_size % 64 != 0)
    GTEST_SKIP() << "no warpgroups";
  cases::expect_right(c, [&](Sample& s) {
    const Mods mods = mods_named(c.mods);
    const FlexAttention attention(compiler(), mods, {c.head_size, c.type}, current_target());
    Tilings tilings = attention.tilings();
    ASSERT_TRUE(tilings.forward.hopper);
    ASSERT_EQ(tilings.backward_keys.hopper, mods.learnable == 0);
    tilings.forward.turns = false;
    tilings.backward_keys = tilings.backward_queries = {64, 64, 4, 1, 1};
    Calls calls(s, attention.with(tilings), mods, false);
    calls.run(nullptr);
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    calls.device.read_results();
  });
}

INSTANTIATE_TEST_SUITE_P(GpuCases, GpuAttention, ::testing::ValuesIn(cases::all_cases(4096)),
                         [](const auto& info) { return info.param.name(); });

class GpuAttentionCalls : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

const Case kLearnable{"relative_bias", {300, 300}, {300, 300}, false, 4, 2, 64, ElementType::kFloat16};

TEST_F(GpuAttentionCalls, two_runs_give_the_same_bits) {
  Sample first(kLearnable), second(kLearnable);
  run_on_gpu(first, current_target(), true);
  run_on_gpu(second, current_target(), true);
  EXPECT_EQ(first.o, second.o);
  EXPECT_EQ(first.d_q, second.d_q);
  EXPECT_EQ(first.d_k, second.d_k);
  EXPECT_EQ(first.d_v, second.d_v);
  EXPECT_EQ(0, std::memcmp(first.learnable_gradient.data(), second.learnable_gradient.data(),
                           4 * first.learnable_gradient.size()));
}

TEST_F(GpuAttentionCalls, lengths_packing_windows_and_buffers_change_without_compiling) {
  const auto fresh = std::make_shared<Compiler>();
  const Mods mods = sliding_window();
  const FlexAttention attention(fresh, mods, {64, ElementType::kFloat16}, current_target());
  attention.prepare();
  const std::int64_t compiled = fresh->counters().compilations;
  EXPECT_EQ(compiled, 2);
  for (int i = 0; i < 40; ++i) {
    const int a = 1 + i * 37 % 300, b = 1 + i * 53 % 200;
    Case c{"sliding_window", {a, b}, {a, b}, i % 2 == 0, 2, 1, 64, ElementType::kFloat16};
    if (!c.packed)
      c.q_lengths = c.k_lengths = {a, a};
    cases::expect_right(c, [&](Sample& s) {
      s.int_buffers[0][0] = i * 7;
      Calls calls(s, attention, mods, false);
      calls.run(nullptr);
      ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
      calls.device.read_results();
    });
  }
  EXPECT_EQ(fresh->counters().compilations, compiled);
}

TEST_F(GpuAttentionCalls, one_captured_graph_serves_other_lengths_in_device_memory) {
  const Case longest{"causal", {250, 250}, {250, 250}, true, 2, 1, 64, ElementType::kFloat16};
  const Mods mods = causal();
  const auto fresh =
      std::make_shared<Compiler>();  // so that the first call, inside the capture, compiles and loads
  Sample s(longest);
  Calls calls(s, FlexAttention(fresh, mods, {64, ElementType::kFloat16}, current_target()), mods, false);
  cudaStream_t stream{};
  ASSAY_CUDA_CHECK(cudaStreamCreate(&stream));
  cudaGraph_t graph{};
  ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  calls.run(stream);
  ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable{};
  ASSAY_CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));

  // The same tokens, cut elsewhere: results of the replay against those of a direct call.
  const std::vector<int> cut = {0, 100, 300};
  for (const auto* starts : {&s.q_starts, &s.k_starts})
    ASSAY_CUDA_CHECK(
        cudaMemcpy(calls.device.place()(starts->data()), cut.data(), 12, cudaMemcpyHostToDevice));
  ASSAY_CUDA_CHECK(cudaGraphLaunch(executable, stream));
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
  calls.device.read_results();
  Sample replayed = s;
  calls.run(nullptr);
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  calls.device.read_results();
  EXPECT_EQ(replayed.o, s.o);
  EXPECT_EQ(replayed.d_k, s.d_k);
  EXPECT_NE(s.o[100 * s.token_stride(2)], 0x7fff);
  ASSAY_CUDA_CHECK(cudaGraphExecDestroy(executable));
  ASSAY_CUDA_CHECK(cudaGraphDestroy(graph));
  ASSAY_CUDA_CHECK(cudaStreamDestroy(stream));
}

}  // namespace
}  // namespace assay::kernels::attention

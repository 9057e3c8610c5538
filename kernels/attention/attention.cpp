// SPDX-License-Identifier: Apache-2.0
// Parameters and launches. Which kernels run, over how many blocks, depends on capacities alone, never on
// what lies in device memory.
#include "kernels/attention/attention.hpp"

#include <cmath>
#include <mutex>
#include <stdexcept>

#include "kernels/attention/block_mask.hpp"
#include "kernels/attention/check.hpp"
#include "kernels/attention/program_source.hpp"
#include "kernels/attention/tensor_map.hpp"
#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::attention {
namespace {

Problem problem_of(const Mods& mods, const Sequences& s, const BlockMask& mask) {
  return {.sequences = s.sequences,
          .q_heads = s.q_heads,
          .kv_heads = s.kv_heads,
          .q_length = s.q_length,
          .k_length = s.k_length,
          .q_starts = s.q_starts,
          .k_starts = s.k_starts,
          .q_rows = static_cast<int>(s.q_rows),
          .k_rows = static_cast<int>(s.k_rows),
          .scale = s.scale,
          .buffers = s.buffers,
          .tables = block_tables(mods, s, mask.workspace)};
}

/// [sequences, q_heads, q_length], packed [q_heads, q_rows].
RowView row_view(const Sequences& s, const float* data) {
  const long long rows = s.packed() ? s.q_rows : s.q_length;
  return {const_cast<float*>(data), s.packed() ? 0 : rows * s.q_heads, rows};
}

std::int64_t query_statistics(const Sequences& s) {
  return s.q_heads * (s.packed() ? s.q_rows : std::int64_t{s.sequences} * s.q_length);
}

std::size_t aligned(std::int64_t bytes) {
  return (static_cast<std::size_t>(bytes) + 255) / 256 * 256;
}

std::int64_t divided(std::int64_t n, std::int64_t by) {
  return (n + by - 1) / by;
}

bool sums_in_fixed_point(const BackwardArgs& args, int slot) {
  return args.deterministic && args.learnable_gradients[slot] != nullptr;
}

/// Tensors as the copy engine sees them. Where a side has no rows nobody reads its tensors: the other side's
/// stand in, one of which has rows.
struct Maps {
  const HeadType& head;
  const Sequences& s;
  int box_rows = kBlock;
  int q_rows = static_cast<int>(s.packed() ? s.q_rows : s.q_length);
  int k_rows = static_cast<int>(s.packed() ? s.k_rows : s.k_length);

  bool any_rows() const { return q_rows > 0 || k_rows > 0; }
  TensorMap of_queries(const View& view, const View& instead, const char* name) const {
    return q_rows > 0 ? tensor_map(view, head, s.q_heads, s, q_rows, box_rows, name)
                      : tensor_map(instead, head, s.kv_heads, s, k_rows, box_rows, name);
  }
  TensorMap of_keys(const View& view, const View& instead, const char* name) const {
    return k_rows > 0 ? tensor_map(view, head, s.kv_heads, s, k_rows, box_rows, name)
                      : tensor_map(instead, head, s.q_heads, s, q_rows, box_rows, name);
  }
};

ForwardHopperParams hopper_params(const ForwardParams& base, const ForwardArgs& args, const HeadType& head) {
  const Maps maps{head, args.sequences, kBlock};
  return {base, maps.of_queries(args.q, args.k, "q"), maps.of_keys(args.k, args.q, "k"),
          maps.of_keys(args.v, args.q, "v")};
}
BackwardHopperParams hopper_params(const BackwardParams& base, const BackwardArgs& args,
                                   const HeadType& head) {
  const Maps maps{head, args.sequences, kHalfBlock};
  return {base, maps.of_queries(args.q, args.k, "q"), maps.of_queries(args.d_o, args.k, "d_o"),
          maps.of_keys(args.k, args.q, "k"), maps.of_keys(args.v, args.q, "v")};
}

/// Where sums of a slot begin, which start as zeros.
LearnableGradient begin_sums(const BackwardArgs& args, int slot, std::byte*& workspace, cudaStream_t stream) {
  LearnableGradient gradient;
  float* const result = args.learnable_gradients[slot];
  if (result == nullptr)
    return gradient;
  const std::size_t count = static_cast<std::size_t>(args.learnable_sizes[slot]);
  gradient.sum = result;
  ASSAY_CUDA_CHECK(cudaMemsetAsync(gradient.sum, 0, count * 4, stream));
  if (sums_in_fixed_point(args, slot)) {
    gradient.fixed = reinterpret_cast<unsigned long long*>(workspace);
    workspace += aligned(args.learnable_sizes[slot] * 8);
    ASSAY_CUDA_CHECK(cudaMemsetAsync(gradient.fixed, 0, count * 8, stream));
  }
  return gradient;
}

}  // namespace

std::size_t backward_workspace_bytes(const BackwardArgs& args) {
  std::size_t bytes = aligned(query_statistics(args.sequences) * 4);
  for (int slot = 0; slot < kMaxLearnable; ++slot)
    bytes += sums_in_fixed_point(args, slot) ? aligned(args.learnable_sizes[slot] * 8) : 0;
  return bytes;
}

Target current_target() {
  int device = 0, major = 0, minor = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return {major * 10 + minor, false};
}

struct FlexAttention::Programs {
  std::mutex mutex;
  std::shared_ptr<const LoadedProgram> forward, backward;
};

FlexAttention::FlexAttention(std::shared_ptr<Compiler> compiler, Mods mods, HeadType head, Target target)
    : compiler_(std::move(compiler)),
      mods_(std::move(mods)),
      head_(head),
      target_(target),
      tilings_(choose_tilings(head, target, mods_.learnable > 0)),
      programs_(std::make_shared<Programs>()) {
  if (compiler_ == nullptr)
    throw std::invalid_argument("attention: expected a compiler, found none");
  validate(mods_);
}

FlexAttention FlexAttention::with(const Tilings& tilings) const {
  validate(tilings, head_, target_, mods_.learnable > 0);
  FlexAttention other = *this;
  other.tilings_ = tilings;
  other.programs_ = std::make_shared<Programs>();
  return other;
}

void FlexAttention::prepare() const {
  const auto texts = texts_of(mods_);
  compiler_->image(forward_source(mods_, head_, tilings_), target_, texts);
  compiler_->image(backward_source(mods_, head_, tilings_), target_, texts);
}

const LoadedProgram& FlexAttention::forward_program() const {
  const std::lock_guard lock(programs_->mutex);
  if (programs_->forward == nullptr)
    programs_->forward = compiler_->program(forward_source(mods_, head_, tilings_), target_, texts_of(mods_));
  return *programs_->forward;
}

const LoadedProgram& FlexAttention::backward_program() const {
  const std::lock_guard lock(programs_->mutex);
  if (programs_->backward == nullptr)
    programs_->backward =
        compiler_->program(backward_source(mods_, head_, tilings_), target_, texts_of(mods_));
  return *programs_->backward;
}

void FlexAttention::build_block_mask(const Sequences& sequences, const BlockMask& mask,
                                     cudaStream_t stream) const {
  check(mods_, sequences, mask);
  const LoadedProgram& program = forward_program();
  Problem p = problem_of(mods_, sequences, mask);
  const BlockTables& t = p.tables;
  const std::int64_t q_lists = std::int64_t{t.heads} * t.q_lists, k_lists = std::int64_t{t.heads} * t.k_lists;
  constexpr int kThreads = 128;
  program.launch("assay_find_places",
                 {divided(std::int64_t{t.q_capacity} + t.k_capacity, kThreads), kThreads, 0, stream}, {&p});
  program.launch("assay_find_state", {q_lists * t.most_k_blocks, kBlock, 0, stream}, {&p});
  program.launch("assay_make_list", {divided(q_lists + k_lists, kThreads / 32), kThreads, 0, stream}, {&p});
}

void FlexAttention::forward(const ForwardArgs& args, cudaStream_t stream) const {
  check(mods_, args);
  const LoadedProgram& program = forward_program();
  ForwardParams p{problem_of(mods_, args.sequences, args.mask),
                  args.q,
                  args.k,
                  args.v,
                  args.o,
                  row_view(args.sequences, args.lse)};
  const Tiling& tiling = tilings_.forward;
  const Launch launch{
      std::int64_t{p.problem.tables.q_capacity} * (kBlock / tiling.tile_q) * args.sequences.q_heads,
      32 * tiling.warps, forward_shared_bytes(tiling, head_.head_size), stream};
  if (!tiling.hopper)
    return program.launch("assay_forward", launch, {&p});
  if (launch.blocks == 0 || query_statistics(args.sequences) == 0)
    return;
  ForwardHopperParams hopper = hopper_params(p, args, head_);
  program.launch("assay_forward_hopper", launch, {&hopper});
}

/// d_k and d_v, then d_q.
void FlexAttention::launch_backward(const LoadedProgram& program, BackwardParams& p, const BackwardArgs& args,
                                    cudaStream_t stream) const {
  const Tiling &keys = tilings_.backward_keys, &queries = tilings_.backward_queries;
  const BlockTables& t = p.problem.tables;
  const Launch of_keys{std::int64_t{t.k_capacity} * (kBlock / keys.tile_k) * p.problem.kv_heads,
                       32 * keys.warps, backward_keys_shared_bytes(keys, head_.head_size), stream};
  const Launch of_queries{std::int64_t{t.q_capacity} * (kBlock / queries.tile_q) * p.problem.q_heads,
                          32 * queries.warps, backward_queries_shared_bytes(queries, head_.head_size),
                          stream};
  if (!keys.hopper) {
    program.launch("assay_backward_keys", of_keys, {&p});
    program.launch("assay_backward_queries", of_queries, {&p});
  } else if (Maps{head_, args.sequences}.any_rows() && of_keys.blocks + of_queries.blocks > 0) {
    BackwardHopperParams hopper = hopper_params(p, args, head_);
    program.launch("assay_backward_keys_hopper", of_keys, {&hopper});
    program.launch("assay_backward_queries_hopper", of_queries, {&hopper});
  }
}

void FlexAttention::backward(const BackwardArgs& args, cudaStream_t stream) const {
  check(mods_, args);
  const LoadedProgram& program = backward_program();
  const Sequences& s = args.sequences;
  BackwardParams p{.problem = problem_of(mods_, s, args.mask),
                   .q = args.q,
                   .k = args.k,
                   .v = args.v,
                   .o = args.o,
                   .d_o = args.d_o,
                   .d_q = args.d_q,
                   .d_k = args.d_k,
                   .d_v = args.d_v,
                   .lse = row_view(s, args.lse),
                   .d_lse = row_view(s, args.d_lse),
                   .delta = row_view(s, static_cast<const float*>(args.workspace)),
                   .learnable = {},
                   .fixed_one = std::ldexp(1.0f, args.fixed_point_bits),
                   .delta_sequences = s.packed() ? 1 : s.sequences,
                   .delta_rows = static_cast<int>(s.packed() ? s.q_rows : s.q_length)};
  std::byte* sums = static_cast<std::byte*>(args.workspace) + aligned(query_statistics(s) * 4);
  for (int slot = 0; slot < kMaxLearnable; ++slot) p.learnable[slot] = begin_sums(args, slot, sums, stream);

  constexpr int kThreads = 128;
  program.launch("assay_find_delta", {divided(query_statistics(s), kThreads / 32), kThreads, 0, stream},
                 {&p});
  launch_backward(program, p, args, stream);
  for (int slot = 0; slot < kMaxLearnable; ++slot) {
    if (p.learnable[slot].fixed == nullptr)
      continue;
    long long count = args.learnable_sizes[slot];
    float* to = args.learnable_gradients[slot];
    program.launch("assay_unfix", {divided(count, 256), 256, 0, stream},
                   {&p.learnable[slot].fixed, &to, &count, &p.fixed_one});
  }
}

}  // namespace assay::kernels::attention

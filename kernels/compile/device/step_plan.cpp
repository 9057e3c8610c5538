// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/step_plan.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "kernels/attention/example_mods.hpp"
#include "kernels/compile/device/head_loss.hpp"
#include "kernels/compile/device/list_check.hpp"

namespace assay::kernels::compile {
namespace {

/// Sizes depend on whether sequences are packed, not on where their starts lie.
constexpr int kSomewhere[1] = {};

std::size_t aligned(std::size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

// The scratch that is alive throughout: products' workspace, scalars (from kLossScale on), partial square
// sums, block mask.
constexpr std::size_t kLossScale = kMatmulWorkspaceBytes, kSquareSum = kLossScale + 256;
std::size_t block_mask_offset() {
  return kSquareSum + aligned(square_sum_workspace_bytes());
}

// Scalars of a step: 1 / labels, the gradients' factor with a loss scaling, the settings that AdamW reads
// then.
constexpr int kGradientFactor = 4, kSettingsOfStep = 8;

int find_first(const Program& program, OpKind kind) {
  for (std::size_t i = 0; i < program.ops.size(); ++i)
    if (program.ops[i].kind == kind)
      return static_cast<int>(i);
  throw std::logic_error("device step: expected a list with attention and a loss, found none");
}

Program checked(Program program) {
  check_operands(program);
  return program;
}

std::invalid_argument refuse(const std::string& expected, const std::string& found) {
  return std::invalid_argument("device step: expected " + expected + ", found " + found);
}

}  // namespace

StepPlan::StepPlan(Program program, const PlanOptions& options)
    : options_(options),
      bound_{.program = checked(std::move(program)), .compute = options.compute, .addresses = {}},
      optimizer_(optimizer_run(bound_.program)),
      mods_(attention::causal()),
      first_attention_(find_first(bound_.program, OpKind::kAttention)) {
  bound_.addresses.assign(bound_.program.buffers.size(), nullptr);
  attention_type(options.compute);  // refuses f32
  check(options.loss_scaling);
  if (options.loss_scaling.initial != 0.0f) {
    loss_scaler_ = static_cast<int>(bound_.program.buffers.size());
    bound_.program.buffers.push_back({"loss_scaler", Role::kResult, Element::kFloat32, 4, 1});
    bound_.addresses.push_back(nullptr);
  }
  const std::int64_t tokens =
      bound_.program.buffers[static_cast<std::size_t>(bound_.program.find("tokens"))].rows;
  if (options.longest_sequence < 0 || options.longest_sequence > tokens ||
      tokens > std::numeric_limits<int>::max() / 2)
    throw refuse("a longest sequence of 0 (all) to the step's tokens, below 2^30",
                 std::to_string(options.longest_sequence) + " of " + std::to_string(tokens));
  longest_ = options.longest_sequence == 0 ? tokens : options.longest_sequence;
  const auto loss = static_cast<std::size_t>(find_first(bound_.program, OpKind::kHeadLoss));
  chunk_rows_ =
      head_loss_chunk(head_loss_shape(bound_.program, bound_.program.ops[loss]), options.chunk_rows);

  ScratchBytes scratch;
  for (const Op& op : bound_.program.ops) scratch.of_op.push_back(scratch_bytes(op));
  scratch.step = block_mask_offset() + aligned(attention::block_mask_bytes(mods_, sequences(kSomewhere)));
  layout_ = plan_layout(bound_.program, llama::size_of(options.compute), scratch);
}

attention::HeadType StepPlan::head_type() const {
  const Op& op = bound_.program.ops[static_cast<std::size_t>(first_attention_)];
  const std::int64_t heads = sequences(kSomewhere).q_heads;
  return {.head_size = static_cast<int>(bound_.buffer(op.in[0]).columns / heads),
          .type = attention_type(options_.compute)};
}

std::size_t StepPlan::scratch_bytes(const Op& op) const {
  if (op.kind == OpKind::kHeadLoss)
    return head_loss_scratch_bytes(head_loss_shape(bound_.program, op), chunk_rows_, options_.compute);
  if (op.kind != OpKind::kAttentionBackward)
    return 0;
  attention::BackwardArgs args;
  args.sequences = sequences(kSomewhere);
  return attention::backward_workspace_bytes(args);
}

void StepPlan::place(std::byte* memory) {
  memory_ = memory;
  for (std::size_t i = 0; i < layout_.offsets.size(); ++i)
    if (layout_.offsets[i] != StepLayout::kElsewhere)
      bound_.addresses[i] = memory + layout_.offsets[i];
}

Buffer& StepPlan::frozen(const std::string& name, int& index) {
  index = bound_.program.find(name);
  Buffer& buffer = bound_.program.buffers[static_cast<std::size_t>(index)];
  if (buffer.role != Role::kFrozen)
    throw refuse("a frozen weight to bind", "'" + name + "', which the step owns");
  return buffer;
}

bool StepPlan::bind(const std::string& name, const void* data) {
  int index = -1;
  const Buffer& buffer = frozen(name, index);
  if (buffer.element == Element::kPacked)
    throw refuse("packed weights for '" + name + "'", "a dense matrix");
  if (data == nullptr || reinterpret_cast<std::uintptr_t>(data) % 16 != 0)
    throw refuse("memory for '" + name + "' aligned to 16 bytes",
                 data == nullptr ? "null" : "another address");
  // Frozen: nothing in the list writes it, so the constness that is dropped here is kept.
  auto* const address = static_cast<std::byte*>(const_cast<void*>(data));
  std::byte* const before = std::exchange(bound_.addresses[static_cast<std::size_t>(index)], address);
  return before != nullptr && before != address;
}

bool StepPlan::bind(const std::string& name, const nf4::PackedWeights& weights) {
  int index = -1;
  const Buffer& buffer = frozen(name, index);
  if (buffer.element != Element::kPacked)
    throw refuse("a dense matrix for '" + name + "'", "packed weights");
  nf4::validate(weights);
  if (weights.num_weights != element_count(buffer))
    throw refuse(std::to_string(element_count(buffer)) + " weights in '" + name + "'",
                 std::to_string(weights.num_weights));
  if (!weights.nested())
    throw refuse("double-quantized statistics of '" + name + "'", "one level");
  const auto same = [&](const nf4::PackedWeights& w) {
    return w.packed == weights.packed && w.absmax_codes == weights.absmax_codes &&
           w.nested_absmax == weights.nested_absmax && w.nested_code == weights.nested_code &&
           w.nested_offset == weights.nested_offset && w.block_size == weights.block_size &&
           w.nested_block_size == weights.nested_block_size && w.codebook == weights.codebook;
  };
  const auto [at, is_new] = bound_.packed.try_emplace(index, weights);
  if (is_new || same(at->second))
    return false;
  at->second = weights;
  return true;
}

void StepPlan::check_bound() const {
  for (std::size_t i = 0; i < bound_.program.buffers.size(); ++i) {
    const Buffer& buffer = bound_.program.buffers[i];
    const bool there = buffer.element == Element::kPacked ? bound_.packed.contains(static_cast<int>(i))
                                                          : bound_.addresses[i] != nullptr;
    if (!there)
      throw refuse("memory for '" + buffer.name + "'", "none: bind it");
  }
}

MatmulArgs StepPlan::with_workspace(MatmulArgs args) const {
  args.workspace = workspace();
  args.workspace_bytes = kMatmulWorkspaceBytes;
  args.choice = MatmulChoice::kTimed;
  return args;
}

attention::Sequences StepPlan::sequences(const int* starts) const {
  const Op& op = bound_.program.ops[static_cast<std::size_t>(first_attention_)];
  const Buffer &q = bound_.buffer(op.in[0]), &k = bound_.buffer(op.in[1]);
  const std::int64_t head_dim =
      2 * bound_.program.buffers[static_cast<std::size_t>(bound_.program.find("frequencies"))].rows;
  attention::Sequences s;
  s.sequences = static_cast<int>(bound_.buffer(op.in[3]).rows) - 1;
  s.q_heads = static_cast<int>(q.columns / head_dim), s.kv_heads = static_cast<int>(k.columns / head_dim);
  s.q_length = s.k_length = static_cast<int>(longest_);
  s.q_starts = s.k_starts = starts;
  s.q_rows = s.k_rows = q.rows;
  s.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  return s;
}

attention::Sequences StepPlan::sequences() const {
  return sequences(bound_.at<int>(bound_.program.ops[static_cast<std::size_t>(first_attention_)].in[3]));
}

attention::BlockMask StepPlan::block_mask() const {
  return {workspace() + block_mask_offset(), attention::block_mask_bytes(mods_, sequences())};
}

attention::View StepPlan::view(const Operand& operand) const {
  return {bound_.address(operand), 0, bound_.buffer(operand).columns, head_type().head_size};
}

attention::ForwardArgs StepPlan::attention_of(const Op& op) const {
  return {.sequences = sequences(bound_.at<int>(op.in[3])),
          .mask = block_mask(),
          .q = view(op.in[0]),
          .k = view(op.in[1]),
          .v = view(op.in[2]),
          .o = view(op.out[0]),
          .lse = bound_.at<float>(op.out[1])};
}

attention::BackwardArgs StepPlan::attention_backward_of(std::size_t index) const {
  const Op& op = bound_.program.ops[index];
  attention::BackwardArgs args;
  args.sequences = sequences(bound_.at<int>(op.in[6]));
  args.mask = block_mask();
  args.q = view(op.in[0]), args.k = view(op.in[1]), args.v = view(op.in[2]), args.o = view(op.in[3]);
  args.lse = bound_.at<float>(op.in[4]);
  args.d_o = view(op.in[5]);
  args.d_q = view(op.out[0]), args.d_k = view(op.out[1]), args.d_v = view(op.out[2]);
  args.workspace = scratch(index);
  args.workspace_bytes = attention::backward_workspace_bytes(args);
  return args;
}

SquareSum StepPlan::square_sum() const {
  return {.values = reinterpret_cast<const float*>(memory_ + layout_.slabs.gradient),
          .count = layout_.slabs.count,
          .workspace = workspace() + kSquareSum,
          .sum = bound_.at<float>({.buffer = optimizer_.square_sum})};
}

float* StepPlan::step_scalars() const {
  return reinterpret_cast<float*>(workspace() + kLossScale);
}
float* StepPlan::loss_scale() const {
  return step_scalars();
}
LossScaler* StepPlan::loss_scaler() const {
  return bound_.at<LossScaler>({.buffer = loss_scaler_});
}
BeginLossScaling StepPlan::begin_loss_scaling() const {
  return {.scaler = loss_scaler(),
          .initial = options_.loss_scaling.initial,
          .mean_scale = loss_scale(),
          .gradient_factor = step_scalars() + kGradientFactor};
}
EndLossScaling StepPlan::end_loss_scaling() const {
  return {.scaler = loss_scaler(),
          .growth_interval = options_.loss_scaling.growth_interval,
          .square_sum = bound_.at<float>({.buffer = optimizer_.square_sum}),
          .settings = bound_.at<float>({.buffer = optimizer_.settings}),
          .settings_of_step = step_scalars() + kSettingsOfStep};
}
EndLossScaling StepPlan::end_loss_scaling_on_scratch() const {
  EndLossScaling args = end_loss_scaling();
  args.scaler = reinterpret_cast<LossScaler*>(workspace());
  args.settings_of_step = reinterpret_cast<float*>(workspace() + 256);
  return args;
}
Scale StepPlan::gradient_scale() const {
  return {.values = reinterpret_cast<float*>(memory_ + layout_.slabs.gradient),
          .count = layout_.slabs.count,
          .factor = scales_loss() ? step_scalars() + kGradientFactor : loss_scale()};
}

AdamWArgs StepPlan::adamw() const {
  const AdapterSlabs& slabs = layout_.slabs;
  return {.count = slabs.count,
          .gradient = reinterpret_cast<const float*>(memory_ + slabs.gradient),
          .parameter = reinterpret_cast<float*>(memory_ + slabs.parameter),
          .mean = reinterpret_cast<float*>(memory_ + slabs.mean),
          .square = reinterpret_cast<float*>(memory_ + slabs.square),
          .copy = memory_ + slabs.copy,
          .copy_type = copy_type(options_.compute),
          .settings = scales_loss() ? step_scalars() + kSettingsOfStep
                                    : bound_.at<float>({.buffer = optimizer_.settings}),
          .square_sum = bound_.at<float>({.buffer = optimizer_.square_sum})};
}

AdamWArgs StepPlan::adamw_on_scratch() const {
  AdamWArgs args = adamw();
  std::byte* const begin = workspace();
  args.count = 64;
  args.gradient = reinterpret_cast<const float*>(begin);
  args.parameter = reinterpret_cast<float*>(begin + 256);
  args.mean = reinterpret_cast<float*>(begin + 512);
  args.square = reinterpret_cast<float*>(begin + 768);
  args.copy = begin + 1024;
  return args;
}

}  // namespace assay::kernels::compile

// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/layout.hpp"

#include <stdexcept>
#include <string>

#include "kernels/compile/device/list_check.hpp"
#include "kernels/compile/device/optimizer_run.hpp"

namespace assay::kernels::compile {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::int64_t kSlabElements = 128;  // 256 bytes of the smallest type

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Arena buffers and scratch by lifetime.
void place_arena(const Program& program, std::size_t compute_bytes, const ScratchBytes& scratch,
                 StepLayout& layout) {
  ArenaLives arena = arena_lives(program, compute_bytes);
  std::vector<BufferLife>& lives = arena.lives;
  const int last = static_cast<int>(program.ops.size()) - 1;
  for (std::size_t i = 0; i < scratch.of_op.size(); ++i)
    lives.push_back({scratch.of_op[i], static_cast<int>(i), static_cast<int>(i)});
  lives.push_back({scratch.step, 0, last});
  const ArenaPlan plan = plan_arena(lives, kAlignment);
  for (std::size_t i = 0; i < arena.buffers.size(); ++i)
    layout.offsets[static_cast<std::size_t>(arena.buffers[i])] = plan.offsets[i];
  layout.op_scratch.assign(plan.offsets.begin() + static_cast<std::ptrdiff_t>(arena.buffers.size()),
                           plan.offsets.end() - 1);
  layout.step_scratch = plan.offsets.back();
  layout.arena_bytes = aligned(plan.bytes);
  layout.bytes = layout.arena_bytes;
}

void place_slabs(const Program& program, std::size_t compute_bytes, StepLayout& layout) {
  const OptimizerRun run = optimizer_run(program);
  AdapterSlabs& slabs = layout.slabs;
  std::vector<std::int64_t> begins;
  for (std::size_t i = 0; i < run.count; ++i) {
    const Op& op = program.ops[run.adamws + i];
    begins.push_back(slabs.count);
    const std::int64_t count = element_count(program.buffers[static_cast<std::size_t>(op.out[0].buffer)]);
    slabs.count += (count + kSlabElements - 1) / kSlabElements * kSlabElements;
  }
  const auto slab = [&](std::size_t& offset, std::size_t bytes, const auto& operand_of) {
    offset = layout.bytes;
    layout.bytes += aligned(static_cast<std::size_t>(slabs.count) * bytes);
    for (std::size_t i = 0; i < run.count; ++i)
      layout.offsets[static_cast<std::size_t>(operand_of(program.ops[run.adamws + i]).buffer)] =
          offset + static_cast<std::size_t>(begins[i]) * bytes;
  };
  slab(slabs.parameter, 4, [](const Op& op) { return op.out[0]; });
  slab(slabs.gradient, 4, [](const Op& op) { return op.in[0]; });
  slab(slabs.mean, 4, [](const Op& op) { return op.out[1]; });
  slab(slabs.square, 4, [](const Op& op) { return op.out[2]; });
  slab(slabs.copy, compute_bytes, [](const Op& op) { return op.out[3]; });
}

/// Results, or inputs: one behind the other.
void place(const Program& program, Role role, StepLayout& layout) {
  for (std::size_t i = 0; i < program.buffers.size(); ++i) {
    const Buffer& buffer = program.buffers[i];
    if (buffer.role != role)
      continue;
    layout.offsets[i] = layout.bytes;
    layout.bytes += aligned(static_cast<std::size_t>(element_count(buffer)) *
                            (buffer.element == Element::kInt64 ? 8 : 4));
  }
}

void check_all_placed(const Program& program, const StepLayout& layout) {
  for (std::size_t i = 0; i < program.buffers.size(); ++i)
    if (program.buffers[i].role != Role::kFrozen && layout.offsets[i] == StepLayout::kElsewhere)
      throw std::logic_error("device step: expected a kAdamW that names '" + program.buffers[i].name +
                             "', found none");
}

}  // namespace

StepLayout plan_layout(const Program& program, std::size_t compute_bytes, const ScratchBytes& scratch) {
  if (scratch.of_op.size() != program.ops.size())
    throw std::logic_error("device step: expected scratch for " + std::to_string(program.ops.size()) +
                           " operations, found " + std::to_string(scratch.of_op.size()));
  check_operands(program);
  StepLayout layout;
  layout.offsets.assign(program.buffers.size(), StepLayout::kElsewhere);
  place_arena(program, compute_bytes, scratch, layout);
  layout.state = layout.bytes;
  place_slabs(program, compute_bytes, layout);
  place(program, Role::kResult, layout);
  layout.inputs = layout.bytes;
  place(program, Role::kInput, layout);
  layout.input_bytes = layout.bytes - layout.inputs;
  check_all_placed(program, layout);
  return layout;
}

}  // namespace assay::kernels::compile

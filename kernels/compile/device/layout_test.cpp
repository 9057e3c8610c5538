// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/layout.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "kernels/compile/device/optimizer_run.hpp"
#include "kernels/compile/device/tiny_step_test.hpp"

namespace assay::kernels::compile {
namespace {

using testing::first_op;
using testing::tiny_program;

ScratchBytes scratch_of(const Program& program) {
  ScratchBytes scratch;
  scratch.step = 5000;
  for (std::size_t i = 0; i < program.ops.size(); ++i) scratch.of_op.push_back(i % 7 == 0 ? 3000 + i : 0);
  return scratch;
}

std::size_t offset_of(const Program& program, const StepLayout& layout, const std::string& name) {
  return layout.offsets[static_cast<std::size_t>(program.find(name))];
}

TEST(StepLayout, every_buffer_but_the_frozen_ones_has_a_place_inside) {
  const Program program = tiny_program();
  const StepLayout layout = plan_layout(program, 2, scratch_of(program));
  for (std::size_t i = 0; i < program.buffers.size(); ++i) {
    const Buffer& buffer = program.buffers[i];
    EXPECT_EQ(layout.offsets[i] == StepLayout::kElsewhere, buffer.role == Role::kFrozen) << buffer.name;
    if (buffer.role == Role::kFrozen)
      continue;
    EXPECT_EQ(layout.offsets[i] % 256, 0u) << buffer.name;
    EXPECT_EQ(layout.offsets[i] < layout.arena_bytes, buffer.role == Role::kArena) << buffer.name;
    EXPECT_LT(layout.offsets[i], layout.bytes) << buffer.name;
  }
}

TEST(StepLayout, scratch_overlaps_nothing_that_is_alive_beside_it) {
  const Program program = tiny_program();
  const ScratchBytes scratch = scratch_of(program);
  const StepLayout layout = plan_layout(program, 2, scratch);
  const ArenaLives arena = arena_lives(program, 2);
  const auto apart = [](std::size_t a, std::size_t a_bytes, std::size_t b, std::size_t b_bytes) {
    return a + a_bytes <= b || b + b_bytes <= a;
  };
  for (std::size_t i = 0; i < arena.buffers.size(); ++i) {
    const std::size_t at = layout.offsets[static_cast<std::size_t>(arena.buffers[i])];
    const BufferLife& life = arena.lives[i];
    EXPECT_TRUE(apart(at, life.bytes, layout.step_scratch, scratch.step));
    for (int op = life.first; op <= life.last; ++op) {
      const auto o = static_cast<std::size_t>(op);
      EXPECT_TRUE(scratch.of_op[o] == 0 || apart(at, life.bytes, layout.op_scratch[o], scratch.of_op[o]))
          << op;
    }
  }
}

TEST(StepLayout, adapters_lie_in_slabs_in_the_optimizers_order) {
  const Program program = tiny_program();
  const StepLayout layout = plan_layout(program, 2, scratch_of(program));
  const AdapterSlabs& slabs = layout.slabs;
  const OptimizerRun run = optimizer_run(program);
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < run.count; ++i) {
    const Op& op = program.ops[run.adamws + i];
    const auto at = [&](const Operand& o) { return layout.offsets[static_cast<std::size_t>(o.buffer)]; };
    const auto first = static_cast<std::size_t>(begin);
    EXPECT_EQ(at(op.in[0]), slabs.gradient + 4 * first);
    EXPECT_EQ(at(op.out[0]), slabs.parameter + 4 * first);
    EXPECT_EQ(at(op.out[1]), slabs.mean + 4 * first);
    EXPECT_EQ(at(op.out[2]), slabs.square + 4 * first);
    EXPECT_EQ(at(op.out[3]), slabs.copy + 2 * first);
    const std::int64_t count = element_count(program.buffers[static_cast<std::size_t>(op.out[0].buffer)]);
    begin += (count + 127) / 128 * 128;
  }
  EXPECT_EQ(begin, slabs.count);
  EXPECT_GE(layout.state, layout.arena_bytes);
  EXPECT_GE(slabs.gradient, slabs.parameter + 4 * static_cast<std::size_t>(slabs.count));
}

TEST(StepLayout, inputs_lie_side_by_side) {
  const Program program = tiny_program();
  const StepLayout layout = plan_layout(program, 2, scratch_of(program));
  for (const char* name : {"tokens", "labels", "positions", "boundaries", "settings"}) {
    EXPECT_GE(offset_of(program, layout, name), layout.inputs) << name;
    EXPECT_LT(offset_of(program, layout, name), layout.inputs + layout.input_bytes) << name;
  }
  EXPECT_EQ(layout.inputs + layout.input_bytes, layout.bytes);
  EXPECT_LT(offset_of(program, layout, "loss"), layout.inputs);
}

/// Each of these lists would run, wrongly, if nobody looked.
TEST(StepLayout, lists_that_cannot_be_walked_are_refused) {
  const std::pair<const char*, std::function<void(Program&)>> faults[] = {
      {"a sum begun twice",
       [](Program& p) {
         const OptimizerRun run = optimizer_run(p);
         p.ops[run.square_sums + 1].beta = 0.0f;
       }},
      {"a sum that is not begun", [](Program& p) { p.ops[optimizer_run(p).square_sums].beta = 1.0f; }},
      {"a gradient summed for another",
       [](Program& p) {
         const std::size_t first = optimizer_run(p).square_sums;
         std::swap(p.ops[first].in, p.ops[first + 1].in);
       }},
      {"two sets of settings",
       [](Program& p) { p.ops[optimizer_run(p).adamws + 2].in[2].buffer = p.find("frequencies"); }},
      {"a forgotten adapter", [](Program& p) { p.ops.pop_back(); }},
      {"an operand too few", [](Program& p) { first_op(p, OpKind::kSwiglu).in.pop_back(); }},
      {"an adapter nobody trains", [](Program& p) {
         p.buffers.push_back({"stray", Role::kAdapter, Element::kFloat32, 2, 2});
       }}};
  const Program right = tiny_program();
  EXPECT_NO_THROW(plan_layout(right, 2, scratch_of(right)));
  for (const auto& [what, plant] : faults) {
    Program program = tiny_program();
    plant(program);
    EXPECT_THROW(plan_layout(program, 2, scratch_of(program)), std::logic_error) << what;
  }
}

}  // namespace
}  // namespace assay::kernels::compile

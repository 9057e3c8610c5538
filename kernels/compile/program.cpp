// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/program.hpp"

#include <algorithm>
#include <stdexcept>

namespace assay::kernels::compile {
namespace {

std::size_t bytes_of(Element element, std::size_t compute_bytes) {
  switch (element) {
    case Element::kCompute:
      return compute_bytes;
    case Element::kFloat32:
    case Element::kInt32:
      return 4;
    case Element::kInt64:
      return 8;
    case Element::kPacked:
      break;
  }
  throw std::logic_error("program: a packed weight has no place in the arena");
}

bool reads_its_result(const Op& op) {
  return op.beta != 0.0f || op.kind == OpKind::kRope;
}

}  // namespace

int Program::find(const std::string& name) const {
  const auto at =
      std::find_if(buffers.begin(), buffers.end(), [&](const Buffer& b) { return b.name == name; });
  if (at == buffers.end())
    throw std::out_of_range("program: no buffer is named '" + name + "'");
  return static_cast<int>(at - buffers.begin());
}

ArenaLives arena_lives(const Program& program, std::size_t compute_bytes) {
  constexpr int kNever = -1;
  std::vector<int> first(program.buffers.size(), kNever), last(program.buffers.size(), kNever);
  const auto read = [&](const Operand& operand, int at) {
    const auto b = static_cast<std::size_t>(operand.buffer);
    if (program.buffers[b].role == Role::kArena && first[b] == kNever)
      throw std::logic_error("program: operation " + std::to_string(at) + " reads '" +
                             program.buffers[b].name + "', which nothing has written");
    last[b] = at;
  };
  for (int at = 0; at < static_cast<int>(program.ops.size()); ++at) {
    const Op& op = program.ops[static_cast<std::size_t>(at)];
    for (const Operand& operand : op.in) read(operand, at);
    for (const Operand& operand : op.out) {
      if (reads_its_result(op))
        read(operand, at);
      const auto b = static_cast<std::size_t>(operand.buffer);
      if (first[b] == kNever)
        first[b] = at;
      last[b] = at;
    }
  }
  ArenaLives out;
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (buffer.role != Role::kArena)
      continue;
    if (first[b] == kNever)
      throw std::logic_error("program: nothing writes '" + buffer.name + "'");
    out.buffers.push_back(static_cast<int>(b));
    out.lives.push_back(
        {static_cast<std::size_t>(buffer.rows * buffer.columns) * bytes_of(buffer.element, compute_bytes),
         first[b], last[b]});
  }
  return out;
}

}  // namespace assay::kernels::compile

// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/engine/step_shapes.hpp"

#include <charconv>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

using compile::Element;
using compile::Op;
using compile::OpKind;
using compile::Role;

std::size_t layer_of(const std::string& name) {
  constexpr std::string_view kPrefix = "layers.";
  std::size_t layer = 0;
  const char *first = name.data() + kPrefix.size(), *last = name.data() + name.size();
  if (name.starts_with(kPrefix))
    if (const auto [end, error] = std::from_chars(first, last, layer);
        error == std::errc() && end != last && *end == '.')
      return layer;
  throw std::invalid_argument("sharded step: expected a packed weight named layers.<number>.…, found '" +
                              name + "'");
}

}  // namespace

std::vector<std::vector<PackedParameter>> packed_layers(const compile::Program& program) {
  std::vector<std::vector<PackedParameter>> layers;
  for (const compile::Buffer& buffer : program.buffers) {
    if (buffer.element != Element::kPacked)
      continue;
    const std::size_t layer = layer_of(buffer.name);
    if (layer >= layers.size())
      layers.resize(layer + 1);
    layers[layer].push_back({buffer.name, buffer.rows, buffer.columns});
  }
  if (layers.empty())
    throw std::invalid_argument(
        "sharded step: expected packed weights, found none; make the step with packed_base");
  return layers;
}

std::vector<int> layer_visits(const compile::Program& program) {
  std::vector<int> visits;
  for (const Op& op : program.ops) {
    if (op.kind != OpKind::kDecode)
      continue;
    const auto& name = program.buffers[static_cast<std::size_t>(op.in[0].buffer)].name;
    if (const int layer = static_cast<int>(layer_of(name)); visits.empty() || visits.back() != layer)
      visits.push_back(layer);
  }
  return visits;
}

std::vector<AdapterTensor> adapter_tensors(const compile::Program& program) {
  std::vector<AdapterTensor> tensors;
  for (const compile::Buffer& buffer : program.buffers)
    if (buffer.role == Role::kAdapter)
      tensors.push_back({buffer.name, buffer.rows, buffer.columns});
  return tensors;
}

compile::Program without_optimizer(compile::Program program) {
  std::erase_if(program.ops,
                [](const Op& op) { return op.kind == OpKind::kSquareSum || op.kind == OpKind::kAdamW; });
  for (compile::Buffer& buffer : program.buffers)
    if (buffer.role == Role::kMoment)
      buffer.rows = 0;
  return program;
}

}  // namespace assay::kernels::fsdp

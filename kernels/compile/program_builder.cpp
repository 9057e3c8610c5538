// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/program_builder.hpp"

namespace assay::kernels::compile {
namespace {

Operand whole(Id id) {
  return {.buffer = id.index};
}

}  // namespace

ProgramBuilder::ProgramBuilder(const StepOptions& options) : options_(options) {
  program_.norm_epsilon = options.norm_epsilon;
  const LlamaShape& s = options.shape;
  const std::int64_t query = s.heads * s.head_dim, key = s.kv_heads * s.head_dim;
  tokens = add("tokens", Role::kInput, Element::kInt64, options.tokens, 1);
  labels = add("labels", Role::kInput, Element::kInt64, options.tokens, 1);
  positions = add("positions", Role::kInput, Element::kInt32, options.tokens, 1);
  boundaries = add("boundaries", Role::kInput, Element::kInt32, options.sequences + 1, 1);
  frequencies = add("frequencies", Role::kFrozen, Element::kFloat32, s.head_dim / 2, 1);
  settings = add("settings", Role::kInput, Element::kFloat32, 4, 1);
  embedding = add("embed_tokens", Role::kFrozen, Element::kCompute, s.vocab, s.hidden);
  head = s.tied ? embedding : add("lm_head", Role::kFrozen, Element::kCompute, s.vocab, s.hidden);
  norm = add("norm", Role::kFrozen, Element::kCompute, 1, s.hidden);
  loss = add("loss", Role::kResult, Element::kFloat32, 1, 1);
  square_sum = add("square_sum", Role::kResult, Element::kFloat32, 1, 1);
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const std::string prefix = "layers." + std::to_string(i) + ".";
    LayerBuffers layer;
    layer.norm1 = add(prefix + "input_layernorm", Role::kFrozen, Element::kCompute, 1, s.hidden);
    layer.norm2 = add(prefix + "post_attention_layernorm", Role::kFrozen, Element::kCompute, 1, s.hidden);
    layer.qkv = group(prefix, "qkv", s.hidden, {{"q_proj", query}, {"k_proj", key}, {"v_proj", key}});
    layer.o = group(prefix, "o", query, {{"o_proj", s.hidden}});
    layer.gate_up =
        group(prefix, "gate_up", s.hidden, {{"gate_proj", s.intermediate}, {"up_proj", s.intermediate}});
    layer.down = group(prefix, "down", s.intermediate, {{"down_proj", s.hidden}});
    layers_.push_back(std::move(layer));
  }
}

Id ProgramBuilder::add(const std::string& name, Role role, Element element, std::int64_t rows,
                       std::int64_t columns) {
  program_.buffers.push_back({name, role, element, rows, columns});
  return {static_cast<int>(program_.buffers.size()) - 1};
}

ProgramBuilder::Adapter ProgramBuilder::adapter(const std::string& name, std::int64_t rows,
                                                std::int64_t columns) {
  Adapter made{.parameter = add(name, Role::kAdapter, Element::kFloat32, rows, columns),
               .copy = add(name + ".copy", Role::kCopy, Element::kCompute, rows, columns),
               .gradient = add(name + ".gradient", Role::kGradient, Element::kFloat32, rows, columns),
               .mean = add(name + ".mean", Role::kMoment, Element::kFloat32, rows, columns),
               .square = add(name + ".square", Role::kMoment, Element::kFloat32, rows, columns)};
  adapters_.push_back(made);
  return made;
}

LinearGroup ProgramBuilder::group(const std::string& prefix, const std::string& name, std::int64_t inputs,
                                  const std::vector<std::pair<std::string, std::int64_t>>& members) {
  const std::int64_t rank = options_.shape.lora_rank;
  LinearGroup made{.name = prefix + name, .members = {}, .a = {}, .a_gradient = {}, .inputs = inputs};
  const Adapter a = adapter(made.name + ".lora_A", static_cast<std::int64_t>(members.size()) * rank, inputs);
  made.a = a.copy, made.a_gradient = a.gradient;
  const Element element = options_.packed_base ? Element::kPacked : Element::kCompute;
  for (const auto& [member, outputs] : members) {
    const Id weight = add(prefix + member, Role::kFrozen, element, outputs, inputs);
    const Adapter b = adapter(prefix + member + ".lora_B", outputs, rank);
    made.members.push_back({.weight = weight, .b = b.copy, .b_gradient = b.gradient, .outputs = outputs});
  }
  return made;
}

Id ProgramBuilder::value(const std::string& name, std::int64_t columns) {
  return add(name, Role::kArena, Element::kCompute, options_.tokens, columns);
}
Id ProgramBuilder::statistic(const std::string& name, std::int64_t columns) {
  return add(name, Role::kArena, Element::kFloat32, options_.tokens, columns);
}

void ProgramBuilder::op(OpKind kind, std::initializer_list<Id> in, std::initializer_list<Id> out) {
  Op made;
  made.kind = kind;
  for (const Id id : in) made.in.push_back(whole(id));
  for (const Id id : out) made.out.push_back(whole(id));
  program_.ops.push_back(std::move(made));
}

void ProgramBuilder::rope(Id x, bool reversed) {
  op(OpKind::kRope, {x, positions, frequencies}, {x});
  program_.ops.back().reversed = reversed;
}

void ProgramBuilder::multiply(Operand a, bool transpose_a, Operand b, bool transpose_b, Operand out,
                              double alpha, float beta) {
  Op made;
  made.kind = OpKind::kMatmul;
  made.in = {a, b}, made.out = {out};
  made.transpose_a = transpose_a, made.transpose_b = transpose_b;
  made.alpha = static_cast<float>(alpha), made.beta = beta;
  program_.ops.push_back(std::move(made));
}

Id ProgramBuilder::decoded(const LinearGroup& group, std::size_t member) {
  const Linear& linear = group.members[member];
  if (!options_.packed_base)
    return linear.weight;
  const Id weight = add("weight", Role::kArena, Element::kCompute, linear.outputs, group.inputs);
  op(OpKind::kDecode, {linear.weight}, {weight});
  return weight;
}

Operand ProgramBuilder::slice(Id u, std::size_t member) const {
  const std::int64_t rank = options_.shape.lora_rank;
  return {.buffer = u.index, .column = static_cast<std::int64_t>(member) * rank, .columns = rank};
}

Id ProgramBuilder::low_rank(const LinearGroup& group, Id x) {
  const Id u = value("u", static_cast<std::int64_t>(group.members.size()) * options_.shape.lora_rank);
  multiply(whole(x), false, whole(group.a), true, whole(u), 1.0, 0.0f);
  return u;
}

Id ProgramBuilder::linear(const LinearGroup& group, std::size_t member, Id x, Id u) {
  const Linear& linear = group.members[member];
  const Id weight = decoded(group, member);
  const Id y = value("y", linear.outputs);
  const auto base = [&](float beta) { multiply(whole(x), false, whole(weight), true, whole(y), 1.0, beta); };
  const auto adapter = [&](float beta) {
    multiply(slice(u, member), false, whole(linear.b), true, whole(y), options_.lora_scale, beta);
  };
  if (options_.adapters_begin)
    adapter(0.0f), base(1.0f);
  else
    base(0.0f), adapter(1.0f);
  return y;
}

Id ProgramBuilder::adapter_backward(const LinearGroup& group, const std::vector<Id>& dy, Id x, Id u) {
  const Id du = value("du", static_cast<std::int64_t>(group.members.size()) * options_.shape.lora_rank);
  for (std::size_t i = 0; i < group.members.size(); ++i) {
    const Linear& linear = group.members[i];
    multiply(whole(dy[i]), false, whole(linear.b), false, slice(du, i), options_.lora_scale, 0.0f);
    multiply(whole(dy[i]), true, slice(u, i), false, whole(linear.b_gradient), options_.lora_scale, 0.0f);
  }
  multiply(whole(du), true, whole(x), false, whole(group.a_gradient), 1.0, 0.0f);
  return du;
}

Id ProgramBuilder::input_gradient(const LinearGroup& group, const std::vector<Id>& dy, Id du) {
  const Id dx = value("dinput", group.inputs);
  const auto adapters = [&](float beta) {
    multiply(whole(du), false, whole(group.a), false, whole(dx), 1.0, beta);
  };
  if (options_.adapters_begin)
    adapters(0.0f);
  for (std::size_t i = 0; i < group.members.size(); ++i) {
    const Id weight = decoded(group, i);
    const bool begins = i == 0 && !options_.adapters_begin;
    multiply(whole(dy[i]), false, whole(weight), false, whole(dx), 1.0, begins ? 0.0f : 1.0f);
  }
  if (!options_.adapters_begin)
    adapters(1.0f);
  return dx;
}

void ProgramBuilder::optimizer() {
  float beta = 0.0f;
  for (const Adapter& adapter : adapters_) {
    op(OpKind::kSquareSum, {adapter.gradient}, {square_sum});
    program_.ops.back().beta = beta;
    beta = 1.0f;
  }
  for (const Adapter& adapter : adapters_)
    op(OpKind::kAdamW, {adapter.gradient, square_sum, settings},
       {adapter.parameter, adapter.mean, adapter.square, adapter.copy});
}

}  // namespace assay::kernels::compile

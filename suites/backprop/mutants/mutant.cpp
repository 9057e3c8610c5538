// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/mutants/mutant.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "harness/core/registry.hpp"

namespace assay::suites::backprop::mutants {
namespace {

using at::Tensor;

constexpr std::int64_t kRowsAChunk = 64;

harness::Implementation implementation_of(const Mutant& mutant, harness::DeviceKind device) {
  harness::Implementation out =
      torch_implementation(mutant.name, harness::Role::kMutant, device, mutant.about, {}, {});
  out.expected_check = mutant.check;
  out.sources.clear();
  out.unsupported = [shows = mutant.shows_in](const harness::Case& which,
                                              const harness::DeviceFacts&) -> std::optional<std::string> {
    if (shows(parameters_of(which)))
      return std::nullopt;
    return "the fault does not show in this case";
  };
  out.prepare = [make = mutant.make_call](const harness::Case& which, const harness::TensorSet& inputs,
                                          harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare_torch(which, inputs, outputs, style, make());
  };
  return out;
}

}  // namespace

bool register_mutant(const Mutant& mutant) {
  for (const auto device : {harness::DeviceKind::kCpu, harness::DeviceKind::kCuda}) {
    const harness::RegisterImplementation add(challenge_name(mutant.loss),
                                              [mutant, device] { return implementation_of(mutant, device); });
  }
  return true;
}

std::function<TorchCall()> stateless(TorchCall call) {
  return [call = std::move(call)] { return call; };
}

ChunkOfRows chunk_of_rows(const BackpropCase&, const CaseTensors& t, std::int64_t begin, std::int64_t rows) {
  const at::AutoGradMode differentiate(true);
  const Tensor x = t.hidden.narrow(0, begin, rows).detach().requires_grad_(true);
  const Tensor w = t.weight.detach().requires_grad_(true);
  const Tensor labels = t.labels.narrow(0, begin, rows);
  const Tensor z = reference::backprop::eager::logits(x, {.weight = w});
  ChunkOfRows chunk{begin, rows, (labels != kIgnoreIndex).sum(), {}, {}};
  chunk.loss = at::cross_entropy_loss(z, labels, std::nullopt, at::Reduction::Sum, kIgnoreIndex, 0.0);
  chunk.gradients = ::torch::autograd::grad({chunk.loss}, {x, w}, {at::ones_like(chunk.loss)});
  chunk.loss = chunk.loss.detach();
  chunk.gradients[1] = chunk.gradients[1].to(at::kFloat);
  return chunk;
}

std::vector<ChunkOfRows> chunks_of_rows(const BackpropCase& c, const CaseTensors& t) {
  std::vector<ChunkOfRows> chunks;
  for (std::int64_t begin = 0; begin < c.rows; begin += kRowsAChunk)
    chunks.push_back(chunk_of_rows(c, t, begin, std::min(kRowsAChunk, c.rows - begin)));
  return chunks;
}

std::vector<Tensor> put_together(const CaseTensors& t, const std::vector<ChunkOfRows>& chunks,
                                 const std::vector<Tensor>& factors, const Tensor& upstream) {
  const auto f32 = t.hidden.options().dtype(at::kFloat);
  Tensor loss = at::zeros({}, f32), dx = at::zeros(t.hidden.sizes(), f32),
         dw = at::zeros(t.weight.sizes(), f32);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    loss += chunks[i].loss * factors[i];
    const Tensor scale = factors[i] * upstream;
    dx.narrow(0, chunks[i].begin, chunks[i].rows).copy_(chunks[i].gradients[0] * scale);
    dw += chunks[i].gradients[1] * scale;
  }
  return {loss, dx.to(t.hidden.scalar_type()), dw.to(t.weight.scalar_type())};
}

std::vector<Tensor> right_factors(const std::vector<ChunkOfRows>& chunks) {
  Tensor counted = chunks.front().counted;
  for (std::size_t i = 1; i < chunks.size(); ++i) counted = counted + chunks[i].counted;
  return std::vector<Tensor>(chunks.size(), 1.0 / counted.to(at::kFloat));
}

std::vector<Tensor> right_cross_entropy(const BackpropCase& c, const CaseTensors& t) {
  const auto chunks = chunks_of_rows(c, t);
  return put_together(t, chunks, right_factors(chunks), t.upstream);
}

bool is_plain_cross_entropy(const BackpropCase& c) {
  return !c.frozen && !c.bias && c.rank == 0 && c.softcap == 0 && c.temperature == 1 &&
         c.label_smoothing == 0 && c.z_loss == 0 && !c.class_weights && !c.soft_targets &&
         c.ignored != Ignored::kAll;
}

bool is_plain_with_ignored_rows(const BackpropCase& c) {
  return is_plain_cross_entropy(c) && c.ignored == Ignored::kSome;
}

}  // namespace assay::suites::backprop::mutants

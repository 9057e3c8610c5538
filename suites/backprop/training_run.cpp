// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/training_run.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <random>

#include "reference/llama/adapter.hpp"

namespace assay::suites::backprop {
namespace {

using at::Tensor;
namespace llama = reference::llama;

/// AdamW with decoupled decay (Loshchilov and Hutter 2019) and torch's defaults, in f32.
class AdamW {
 public:
  AdamW(const std::vector<llama::NamedTensor>& parameters, const TrainingPlan& plan) : plan_(plan) {
    for (const auto& [name, tensor] : parameters) {
      const Tensor master = tensor.detach().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
      slots_.push_back({tensor.detach(), master, at::zeros_like(master), at::zeros_like(master)});
    }
  }

  void step(const std::vector<Tensor>& gradients) {
    ++steps_;
    const double correction1 = 1 - std::pow(kBeta1, steps_), correction2 = 1 - std::pow(kBeta2, steps_);
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[i];
      slot.mean.mul_(kBeta1).add_(gradients[i], 1 - kBeta1);
      slot.square.mul_(kBeta2).addcmul_(gradients[i], gradients[i], 1 - kBeta2);
      const Tensor root = (slot.square / correction2).sqrt_().add_(kEpsilon);
      slot.master.mul_(1 - plan_.learning_rate * plan_.weight_decay);
      slot.master.addcdiv_(slot.mean, root, -plan_.learning_rate / correction1);
      slot.parameter.copy_(slot.master);
    }
  }

  Tensor master(std::size_t i) const { return slots_[i].master; }

 private:
  static constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
  struct Slot {
    Tensor parameter, master, mean, square;
  };
  const TrainingPlan& plan_;
  std::vector<Slot> slots_;
  int steps_ = 0;
};

/// Windows of length + 1 tokens at random places of the text, [batch, length + 1].
Tensor next_batch(const TrainingPlan& plan, const Tensor& text, std::mt19937_64& random) {
  std::vector<Tensor> windows;
  for (std::int64_t b = 0; b < plan.batch; ++b) {
    const auto places = static_cast<std::uint64_t>(text.numel() - plan.length);
    windows.push_back(text.narrow(0, static_cast<std::int64_t>(random() % places), plan.length + 1));
  }
  return at::stack(windows);
}

std::vector<llama::NamedTensor> make_trainable(llama::Llama& model, const TrainingPlan& plan) {
  if (plan.trained == Trained::kAdapters) {
    llama::add_lora(model, {.rank = plan.lora_rank, .alpha = 2.0 * static_cast<double>(plan.lora_rank)},
                    plan.seed + 1);
    return llama::adapter_parameters(model);
  }
  model.head.weight = model.head.weight.clone().set_requires_grad(true);
  if (model.config.tie_word_embeddings)
    model.embedding = model.head.weight;
  return {{"lm_head.weight", model.head.weight}};
}

/// In f32, divided by `divisor`; the parameters' own are cleared.
std::vector<Tensor> take_gradients(const std::vector<llama::NamedTensor>& parameters, double divisor) {
  std::vector<Tensor> gradients;
  for (const auto& [name, tensor] : parameters) {
    const Tensor gradient =
        tensor.grad().defined() ? tensor.grad().detach() : at::zeros_like(tensor).detach();
    gradients.push_back(divisor == 1 ? gradient.to(at::kFloat) : gradient.to(at::kFloat) / divisor);
    tensor.mutable_grad().reset();
  }
  return gradients;
}

double norm(const std::vector<Tensor>& tensors) {
  double squares = 0;
  for (const Tensor& tensor : tensors) squares += tensor.square().sum(at::kDouble).item<double>();
  return std::sqrt(squares);
}

/// Tensors of a small Llama are too small to share: 60 steps on two busy cores took 21 s with two threads,
/// 0.7 s with one (torch 2.11, 2026-11).
class OneThread {
 public:
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = at::get_num_threads();
};

}  // namespace

TrainingTrace train(const TrainingPlan& plan, const llama::Llama& base, const TrainingRun& run) {
  const OneThread one_thread;
  llama::Llama model = base;
  const auto parameters = make_trainable(model, plan);
  TrainingTrace trace;
  for (const auto& [name, tensor] : parameters)
    trace.start.push_back({name, tensor.detach().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true)});
  AdamW optimizer(parameters, plan);
  std::mt19937_64 random(plan.seed);
  const Tensor text = plan.tokens.to(model.embedding.device());
  const double divisor = run.is_sum ? static_cast<double>(plan.batch * plan.length) : 1.0;
  for (std::int64_t step = 0; step < plan.steps; ++step) {
    Tensor window = next_batch(plan, text, random);
    if (run.batch_reversed)
      window = window.flip(0);
    const Tensor states = model.hidden_states(window.narrow(1, 0, plan.length)).flatten(0, 1);
    const Tensor loss = run.loss(states, model.head, window.narrow(1, 1, plan.length).flatten());
    if (loss.requires_grad())
      loss.backward();
    const auto gradients = take_gradients(parameters, divisor);
    trace.losses.push_back(loss.item<double>() / divisor);
    trace.gradient_norms.push_back(norm(gradients));
    for (std::size_t i = 0; step == 0 && i < parameters.size(); ++i)
      trace.first_gradients.push_back({parameters[i].name, gradients[i].clone()});
    optimizer.step(gradients);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i)
    trace.end.push_back({parameters[i].name, optimizer.master(i)});
  return trace;
}

}  // namespace assay::suites::backprop

// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/pipeline/run.hpp"

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;
constexpr int kForwardTag = 0, kBackwardTag = 1;

/// Tensors by (stage, microbatch): put where they are made or arrive, taken where they are used or sent.
class Shelf {
 public:
  void put(int stage, int microbatch, at::Tensor tensor) {
    tensors_[{stage, microbatch}] = std::move(tensor);
  }
  at::Tensor take(int stage, int microbatch) {
    const auto found = tensors_.find({stage, microbatch});
    if (found == tensors_.end())
      throw std::logic_error("pipeline: expected what stage " + std::to_string(stage) +
                             " needs of microbatch " + std::to_string(microbatch) +
                             ", found nothing; check the schedule first");
    at::Tensor tensor = std::move(found->second);
    tensors_.erase(found);
    return tensor;
  }

 private:
  std::map<std::pair<int, int>, at::Tensor> tensors_;
};

class PipelineRun {
 public:
  PipelineRun(const Schedule& schedule, const std::map<int, PipelineStage*>& stages, c10d::Backend& group)
      : schedule_(schedule), stages_(stages), group_(group) {}

  void run(const Action& action) {
    PipelineStage& stage = *stages_.at(action.stage);
    const auto [kind, s, m] = action;
    switch (kind) {
      case kForward:
        return keep_output(s, m, stage.forward(m, s == 0 ? at::Tensor() : inputs_.take(s, m)));
      case kRecompute:
        return stage.recompute(m);
      case kBackward:
        backward_input(stage, s, m);
        return stage.backward_weight(m);
      case kBackwardInput:
        return backward_input(stage, s, m);
      case kBackwardWeight:
        return stage.backward_weight(m);
      case kSendForward:
        return send(outputs_.take(s, m), s + 1, kForwardTag);
      case kSendBackward:
        return send(input_gradients_.take(s, m), s - 1, kBackwardTag);
      case kReceiveForward:
        return inputs_.put(s, m, receive(stage.new_input(m), s - 1, kForwardTag));
      case kReceiveBackward:
        return output_gradients_.put(s, m, receive(stage.new_output_gradient(m), s + 1, kBackwardTag));
    }
  }

 private:
  int last() const { return schedule_.stages() - 1; }
  int rank_of(int stage) const { return schedule_.rank_of_stage[static_cast<std::size_t>(stage)]; }

  void keep_output(int s, int m, at::Tensor output) {
    if (s == last())
      return;
    const bool stays = schedule_.stays_on_rank(s, s + 1);
    (stays ? inputs_ : outputs_).put(stays ? s + 1 : s, m, std::move(output));
  }

  void backward_input(PipelineStage& stage, int s, int m) {
    at::Tensor gradient = stage.backward_input(m, s == last() ? at::Tensor() : output_gradients_.take(s, m));
    if (s == 0)
      return;
    const bool stays = schedule_.stays_on_rank(s, s - 1);
    (stays ? output_gradients_ : input_gradients_).put(stays ? s - 1 : s, m, std::move(gradient));
  }

  void send(const at::Tensor& tensor, int to_stage, int tag) {
    std::vector<at::Tensor> tensors{tensor.contiguous()};
    wait(group_.send(tensors, rank_of(to_stage), tag));
  }

  at::Tensor receive(at::Tensor buffer, int from_stage, int tag) {
    std::vector<at::Tensor> tensors{std::move(buffer)};
    wait(group_.recv(tensors, rank_of(from_stage), tag));
    return tensors[0];
  }

  static void wait(const c10::intrusive_ptr<c10d::Work>& work) {
    if (work)
      work->wait();
  }

  const Schedule& schedule_;
  const std::map<int, PipelineStage*>& stages_;
  c10d::Backend& group_;
  Shelf inputs_, outputs_, output_gradients_, input_gradients_;
};

}  // namespace

std::vector<Timed> run_pipeline(const Schedule& schedule, const std::map<int, PipelineStage*>& stages,
                                c10d::Backend& group) {
  const int rank = group.getRank();
  if (group.getSize() != schedule.world())
    throw std::invalid_argument("pipeline: expected a group of the schedule's " +
                                std::to_string(schedule.world()) + " ranks, found " +
                                std::to_string(group.getSize()));
  for (int stage = 0; stage < schedule.stages(); ++stage)
    if (schedule.rank_of_stage[static_cast<std::size_t>(stage)] == rank && !stages.contains(stage))
      throw std::invalid_argument("pipeline: expected stage " + std::to_string(stage) + " on rank " +
                                  std::to_string(rank) + ", found none");
  PipelineRun run(schedule, stages, group);
  std::vector<Timed> events;
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  for (const Action& action : schedule.ranks[static_cast<std::size_t>(rank)]) {
    const double start = seconds();
    run.run(action);
    events.push_back({rank, action, start, seconds()});
  }
  return events;
}

}  // namespace assay::kernels::fsdp

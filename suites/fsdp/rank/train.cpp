// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/rank/train.hpp"

#include <ATen/ops/tensor.h>

#include <cstring>
#include <optional>
#include <stdexcept>

#include "kernels/fsdp/engine/save_together.hpp"
#include "kernels/fsdp/engine/step_shapes.hpp"
#include "kernels/fsdp/layout/rank_memory.hpp"
#include "suites/fsdp/rank/faults.hpp"
#include "suites/fsdp/rank/model.hpp"

namespace assay::suites::fsdp {
namespace {

namespace engine = kernels::fsdp;
constexpr float kRate = 4e-3f, kDecay = 0.1f, kLargestNorm = 0.5f;
constexpr const char* kModel = "tiny";

engine::Sharding sharding_of(const RunPlan& plan) {
  return plan.flat ? engine::Sharding::kFlat : engine::Sharding::kPerParameter;
}

std::vector<int> share_of(const RunPlan& plan, const RankPlace& place) {
  if (plan.order.size() % static_cast<std::size_t>(place.world) != 0)
    throw std::invalid_argument("expected ranks that share out " + std::to_string(plan.order.size()) +
                                " sequences evenly, found " + std::to_string(place.world));
  const auto each = std::ssize(plan.order) / place.world;
  const auto begin = plan.order.begin() + each * place.rank;
  return {begin, begin + each};
}

/// Neighbours that share one base.
int base_ranks(const RunPlan& plan, const RankPlace& place) {
  return plan.gather_ranks == 0 ? place.world : plan.gather_ranks;
}

/// What the layout says that one rank of the plan keeps.
void plan_memory(const RunPlan& plan, const RankPlace& place, const kernels::compile::StepOptions& options,
                 RankReport& report) {
  const kernels::compile::Program program = kernels::compile::step_program(options);
  std::vector<engine::PackedLayout> layers;
  for (auto& layer : engine::packed_layers(program)) {
    layers.emplace_back(std::move(layer), base_ranks(plan, place), sharding_of(plan), kFormat);
    report.packed_limit += engine::shard_bytes_limit(layers.back(), sharding_of(plan));
  }
  const engine::RankMemory memory =
      engine::rank_memory(layers, engine::AdapterLayout(engine::adapter_tensors(program), place.world),
                          {.vocabulary = options.shape.vocab,
                           .hidden = options.shape.hidden,
                           .element_bytes = 4,
                           .tied = options.shape.tied},
                          plan.buffers);
  report.planned = {memory.packed_bytes, memory.gather_bytes, memory.vocabulary_bytes, memory.adapter_bytes};
}

/// This rank's runs of the adapters, without the moments.
std::vector<AdapterRun> weights_of(const engine::ShardedAdapters& adapters) {
  std::vector<AdapterRun> runs;
  for (const auto& [part, bytes] : adapters.parts()) {
    if (!part.name.starts_with("weight/"))
      continue;
    AdapterRun run{.name = part.name.substr(7), .first = part.first, .values = {}};
    run.values.resize(bytes.size() / sizeof(float));
    std::memcpy(run.values.data(), bytes.data(), bytes.size());
    runs.push_back(std::move(run));
  }
  return runs;
}

class Training {
 public:
  Training(const RunPlan& plan, const RankPlace& place)
      : plan_(plan),
        share_(share_of(plan, place)),
        model_(tiny_model()),
        options_(step_options(model_, share_)),
        groups_(make_groups(plan, place)),
        step_(options_, at::kFloat, {groups_.gather, groups_.reduce},
              {.base = {sharding_of(plan), kFormat, plan.buffers}, .device = place.device}),
        place_(place) {
    load(step_, model_, share_, place.device);
    plan_memory(plan, place, options_, report_);
    report_.rank = place.rank;
    report_.transport = groups_.reduce->getBackendName();
    if (plan.resume)
      resume();
    report_.start = weights_of(step_.adapters());
  }

  RankReport run() {
    Collectives before = counts();
    report_.before = before;
    for (int i = done_ + 1; i <= plan_.steps; ++i) {
      report_.losses.push_back(step(i));
      if (i == done_ + 1)
        report_.first_step = since(before), before = counts();
      if (i == plan_.save_after)
        save(i);
    }
    report_.later_steps = since(before);
    report_.end = weights_of(step_.adapters());
    if (place_.device.is_cuda())  // NCCL's threads end before the process does
      groups_.gather->shutdown(), groups_.reduce->shutdown();
    report_.found = {step_.base().shard_bytes(), step_.base().buffer_bytes(),
                     step_.vocabulary()->resident_bytes(), step_.adapters().resident_bytes()};
    return report_;
  }

 private:
  static CountedGroups make_groups(const RunPlan& plan, const RankPlace& place) {
    const int size = plan.fault == "replicated_base" ? 1 : base_ranks(plan, place);
    if (place.world % size != 0)
      throw std::invalid_argument("expected bases shared by a divisor of " + std::to_string(place.world) +
                                  " ranks, found " + std::to_string(size));
    return counted(place.make_group("gather" + std::to_string(place.rank / size), place.rank % size, size),
                   place.make_group("reduce", place.rank, place.world), plan.fault);
  }

  double step(int number) {
    const int from = plan_.fault == "first_batch_again" ? done_ : 0;
    const Batch batch = batch_of(number - 1 - from, share_);
    step_.bind("tokens", batch.tokens.to(place_.device));
    step_.bind("labels", batch.labels.to(place_.device));
    return step_.run(at::tensor({kRate, static_cast<float>(number), kDecay, kLargestNorm})).loss;
  }

  void save(int number) {
    engine::PosixFiles files;
    const auto host = place_.make_host_group("save", place_.rank, place_.world);
    engine::save_together(files, {.root = plan_.checkpoints, .step = number, .model = kModel, .state = {}},
                          step_.adapters().parts(), *host);
  }

  void resume() {
    const auto checkpoint = engine::ShardedCheckpoint::open_newest(plan_.checkpoints);
    checkpoint.require_model(kModel);
    step_.adapters().restore(checkpoint);
    done_ = static_cast<int>(checkpoint.step());
    if (plan_.fault != "forgotten_moments")
      return;
    for (const auto& [part, bytes] : step_.adapters().parts())
      if (!part.name.starts_with("weight/"))
        std::memset(const_cast<std::byte*>(bytes.data()), 0, bytes.size());
  }

  Collectives counts() const {
    Collectives all = groups_.reduce->counts();
    all.layer_gathers = groups_.gather->counts().all_gathers;
    return all;
  }
  Collectives since(const Collectives& before) const {
    const Collectives now = counts();
    return {now.layer_gathers - before.layer_gathers, now.all_gathers - before.all_gathers,
            now.all_reduces - before.all_reduces, now.reduce_scatters - before.reduce_scatters,
            now.others - before.others};
  }

  const RunPlan& plan_;
  std::vector<int> share_;
  reference::llama::Llama model_;
  kernels::compile::StepOptions options_;
  CountedGroups groups_;
  engine::ShardedStep step_;
  const RankPlace& place_;
  RankReport report_;
  int done_ = 0;
};

}  // namespace

RankReport train(const RunPlan& plan, const RankPlace& place) {
  return Training(plan, place).run();
}

}  // namespace assay::suites::fsdp

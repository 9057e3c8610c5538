// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/training/checks.hpp"

#include <set>

#include "harness/core/interrupt.hpp"
#include "harness/measure/pairs.hpp"
#include "kernels/common/matmul.hpp"
#include "kernels/compile/device/bench/bench_options.hpp"
#include "kernels/compile/device/bench/length_mix.hpp"
#include "kernels/compile/device/bench/report.hpp"
#include "suites/compile/training/captured_step.hpp"
#include "suites/compile/training/evidence.hpp"
#include "suites/compile/training/step_peer.hpp"

namespace assay::suites::compile {
namespace {

namespace bench = kernels::compile::bench;
namespace fs = std::filesystem;
using harness::DeviceFacts;
using kernels::compile::Keep;
using Lengths = std::vector<std::int64_t>;

constexpr int kPairs = 8, kStepsAPair = 4;
constexpr std::int64_t kLeastMemory = std::int64_t{40} << 30;
constexpr const char *kCuda = "cuda", *kType = "bfloat16";

struct SpeedPlan {
  TrainingPlan training;
  std::int64_t mixes = 0;
  SpeedWanted wanted;
};

SpeedPlan plan_8b() {
  return {.training = {.shape = "8b", .batch = 2}, .mixes = 32, .wanted = {.speedup = 1.3, .mixes = 32}};
}
SpeedPlan plan_1b() {
  return {.training = {.shape = "1b", .batch = 4},
          .mixes = kLengthMixes,
          .wanted = {.speedup = 1.6, .mixes = kLengthMixes}};
}

void skip_unless_large(const DeviceFacts& facts) {
  if (facts.kind != harness::DeviceKind::kCuda || facts.sm < 80 || facts.memory_bytes < kLeastMemory)
    throw harness::Skip("expected a GPU with bf16 arithmetic and 40 GiB");
}

/// Compiled programs of this check alone, gone at its end: the first step is a cold one.
class EmptyFolder {
 public:
  EmptyFolder() : path_(fs::temp_directory_path() / ("assay_programs_" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
  }
  ~EmptyFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  EmptyFolder(const EmptyFolder&) = delete;
  EmptyFolder& operator=(const EmptyFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

PolicyRun run_policy(const TrainingPlan& plan, const Policy& policy, const fs::path& cache) {
  CapturedStep step(plan, {.policy = policy, .cache = cache});
  step.time(2);
  const double seconds = step.time(2 * kStepsAPair) / (2 * kStepsAPair);
  return {.keep = policy.name(),
          .seconds = seconds,
          .bytes = step.device_bytes(),
          .first_step_s = step.first_step_s(),
          .counters = bench::counted(step.counters())};
}

/// `pairs` pairs of times in an order drawn for each.
template <class Ours, class Theirs>
void in_pairs(int pairs, std::vector<double>& ours, std::vector<double>& theirs, const Ours& run_ours,
              const Theirs& run_theirs) {
  harness::PairOrder order(3407);
  for (int i = 0; i < pairs; ++i) {
    harness::throw_if_interrupted();
    const bool first = order.candidate_first();
    if (first)
      ours.push_back(run_ours());
    theirs.push_back(run_theirs());
    if (!first)
      ours.push_back(run_ours());
  }
}

std::vector<Lengths> mixes_of(const SpeedPlan& plan) {
  std::vector<Lengths> all;
  for (std::int64_t i = 0; i < plan.mixes; ++i)
    all.push_back(bench::seeded_lengths(plan.training.tokens(), static_cast<std::uint64_t>(i)));
  return all;
}

/// For all of these mixes, and for the plan's own batches.
CapturedStep::Options options_of(const SpeedPlan& plan, const std::vector<Lengths>& mixes,
                                 const Policy& policy, const fs::path& cache) {
  const bench::MixCapacity capacity = bench::capacity_of(mixes);
  return {.policy = policy,
          .sequences = std::max(capacity.sequences, plan.training.batch),
          .longest = std::max(capacity.longest, plan.training.length),
          .cache = cache};
}

PackedRun run_packed(const SpeedPlan& plan, const Policy& policy, const fs::path& cache) {
  const std::vector<Lengths> all = mixes_of(plan);
  CapturedStep step(plan.training, options_of(plan, all, policy, cache));
  PackedRun run{.mixes = plan.mixes};
  std::set<std::int64_t> lengths;
  const int a_pair = static_cast<int>(plan.mixes) / kPairs;
  std::int64_t tokens = 0;
  for (const Lengths& mix : all) {
    lengths.insert(mix.begin(), mix.end());
    for (const std::int64_t length : mix) tokens += length;
  }
  run.distinct_lengths = std::ssize(lengths);
  run.tokens_of_mixes = static_cast<double>(tokens) / kPairs;
  run.tokens_of_full = static_cast<double>(a_pair * plan.training.tokens());
  step.time(2);
  auto next = all.begin();
  in_pairs(
      kPairs, run.mixes_s, run.full_s,
      [&] {
        const std::vector<Lengths> part(next, next + a_pair);
        next += a_pair;
        return step.time(part);
      },
      [&] { return step.time(a_pair); });
  run.counters = bench::counted(step.counters());
  return run;
}

/// Policies that were run, from the one that keeps most on.
struct Policies {
  std::vector<Policy> policies;
  std::vector<PolicyRun> runs;

  void add(const TrainingPlan& plan, const Policy& policy, const fs::path& cache) {
    policies.push_back(policy);
    runs.push_back(run_policy(plan, policy, cache));
  }
  /// Between the last that does not fit into `limit` and the first that does, as many layers of each as fit.
  void add_mixed(const TrainingPlan& plan, std::size_t limit, const fs::path& cache) {
    for (std::size_t i = 1; i < runs.size(); ++i) {
      const PolicyRun &more = runs[i - 1], &less = runs[i];
      if (more.bytes <= limit || less.bytes > limit)
        continue;
      const std::int64_t layers = step_options(plan, {}).shape.layers;
      return add(plan,
                 {.keep = policies[i - 1].keep,
                  .lean = policies[i].keep,
                  .lean_layers = lean_layers_within(layers, more.bytes, less.bytes, limit)},
                 cache);
    }
  }
  const Policy& named(const std::string& name) const {
    return *std::ranges::find_if(policies, [&](const Policy& policy) { return policy.name() == name; });
  }
};

/// In pairs with torch.compile, by the fastest policy within half of its memory. Gives that policy.
Policy run_peer(const TrainingPlan& plan, Policies& tried, const fs::path& cache, SpeedRun& run) {
  StepPeer peer(plan, "torch_compile", kCuda, kType);
  run.peer = {.method = "torch_compile", .began = peer.began()};
  peer.time(kStepsAPair);
  run.peer.bytes = peer.peak_bytes();
  tried.add_mixed(plan, run.peer.bytes / 2, cache);
  run.peer.chosen = within_half(tried.runs, run.peer.bytes).keep;
  const Policy& policy = tried.named(run.peer.chosen);
  CapturedStep step(plan, {.policy = policy, .cache = cache});
  run.first_loss = step.first_loss();
  step.time(2);
  in_pairs(
      kPairs, run.peer.ours, run.peer.seconds, [&] { return step.time(kStepsAPair); },
      [&] { return peer.time(kStepsAPair); });
  return policy;
}

std::string speed(const SpeedPlan& plan) {
  const EmptyFolder cache;
  kernels::forget_matmul_winners();
  SpeedRun run{.shape = plan.training.shape, .tokens = plan.training.tokens()};
  Policies tried;
  for (const Keep keep : {Keep::kEverything, Keep::kProducts, Keep::kAttention})
    tried.add(plan.training, {.keep = keep}, cache.path());
  kernels::forget_matmul_winners();
  run.warm_first_step_s = CapturedStep(plan.training, {.cache = cache.path()}).first_step_s();
  const Policy policy = run_peer(plan.training, tried, cache.path(), run);
  run.policies = tried.runs;
  run.packed = run_packed(plan, policy, cache.path());
  return without_faults(speed_evidence(run, plan.wanted));
}

std::string products() {
  const SpeedPlan plan = plan_1b();
  const EmptyFolder cache;
  kernels::forget_matmul_winners();
  const std::vector<Lengths> all = mixes_of(plan);
  const CapturedStep::Options options = options_of(plan, all, Policy{}, cache.path());
  ProductsRun run{.mixes = std::ssize(all)};
  {
    CapturedStep step(plan.training, options);
    step.time(all);
    run.table = bench::products();
    run.counters = bench::counted(step.counters());
  }
  kernels::forget_matmul_winners();
  const CapturedStep step(plan.training, options);
  run.kept_table = bench::products();
  run.kept_counters = bench::counted(step.counters());
  return without_faults(products_evidence(run));
}

std::string peers(const SpeedPlan& plan) {
  nlohmann::ordered_json evidence{{"shape", plan.training.shape}, {"tokens_a_step", plan.training.tokens()}};
  for (const char* method : {"eager", "eager_checkpoint", "liger", "liger_checkpoint"}) {
    try {
      StepPeer peer(plan.training, method, kCuda, kType);
      peer.time(kStepsAPair);
      const double seconds = peer.time(kStepsAPair) / kStepsAPair;
      evidence["methods"][method] = {{"step_ms", 1e3 * seconds},
                                     {"tokens_per_s", static_cast<double>(plan.training.tokens()) / seconds},
                                     {"bytes_of_torch", peer.peak_bytes()},
                                     {"began", peer.began()}};
    } catch (const harness::Skip& missing) {
      evidence["methods"][method] = {{"skipped", missing.what()}};
    }
  }
  return evidence.dump();
}

TrainedRun run_eager(const TrainingPlan& plan, int steps) {
  StepPeer peer(plan, "eager", kCuda, kType);
  TrainedRun run{.losses = peer.first_losses()};
  const std::vector<double> rest = peer.train(steps - static_cast<int>(run.losses.size()));
  run.losses.insert(run.losses.end(), rest.begin(), rest.end());
  run.adapters = peer.adapters();
  return run;
}

std::string sixty_steps() {
  constexpr int kSteps = 60;
  const TrainingPlan plan{.shape = "1b", .batch = 4, .length = 512, .words = 512};
  TrainingPlan reversed = plan, plainly = plan;
  reversed.reversed = true;
  plainly.attention = "eager";
  std::vector<TrainedRun> plain;
  for (const TrainingPlan& order : {plan, reversed, plainly}) plain.push_back(run_eager(order, kSteps));
  CapturedStep step(plan, {});
  TrainedRun ours{.losses = {step.first_loss()}};
  const std::vector<double> rest = step.train(kSteps - 1);
  ours.losses.insert(ours.losses.end(), rest.begin(), rest.end());
  ours.adapters = step.adapters();
  auto evidence = training_evidence(plain, ours, first_adapters(plan));
  evidence["shape"] = plan.shape;
  evidence["losses"] = {{"eager", plain.front().losses}, {"captured", ours.losses}};
  return without_faults(evidence);
}

}  // namespace

std::vector<harness::Challenge::SuiteCheck> training_checks() {
  const auto check = [](const char* name, bool measures, auto run) {
    return harness::Challenge::SuiteCheck{
        .name = name, .measures = measures, .subject = kCapturedStep, .run = [run](const DeviceFacts& facts) {
          skip_unless_large(facts);
          return run();
        }};
  };
  return {check("speed_8b", true, [] { return speed(plan_8b()); }),
          check("speed_1b", true, [] { return speed(plan_1b()); }),
          check("peers_8b", true, [] { return peers(plan_8b()); }),
          check("peers_1b", true, [] { return peers(plan_1b()); }),
          check(kProducts, true, products),
          check("sixty_steps", false, sixty_steps)};
}

}  // namespace assay::suites::compile

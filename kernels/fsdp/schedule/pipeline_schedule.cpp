// SPDX-License-Identifier: Apache-2.0
// pipeline_schedule --schedule zbv --ranks 4 --microbatches 16 [--recompute hoisted] [--svg FILE] [--trace
// FILE] [--list] Checks a schedule, says its bubble, and draws it. Exit 1 where a check fails, 2 for bad
// input.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "kernels/fsdp/schedule/check.hpp"
#include "kernels/fsdp/schedule/draw.hpp"
#include "kernels/fsdp/schedule/generate.hpp"
#include "kernels/fsdp/schedule/lower.hpp"

namespace fsdp = assay::kernels::fsdp;

namespace {

struct Request {
  std::string schedule = "1f1b", recompute = "none", svg, trace;
  int ranks = 4, microbatches = 16, chunks = 2, capacity = 2;
  bool list = false;
  fsdp::StageCosts costs;
};

fsdp::Schedule made(const Request& request) {
  const int p = request.ranks, m = request.microbatches;
  const fsdp::Schedule plain = request.schedule == "gpipe"  ? fsdp::gpipe(p, m)
                               : request.schedule == "1f1b" ? fsdp::one_f_one_b(p, m)
                               : request.schedule == "interleaved"
                                   ? fsdp::interleaved_1f1b(p, m, request.chunks)
                               : request.schedule == "zb-h1" ? fsdp::zb_h1(p, m)
                                                             : fsdp::zbv(p, m);
  return fsdp::with_transfers(request.recompute == "hoisted" ? fsdp::with_recompute(plain) : plain);
}

void write(const std::string& path, const std::string& text) {
  if (path.empty())
    return;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!(file << text).flush())
    throw std::invalid_argument(path + ": expected to write it, found an error");
}

int run(Request request) {
  const fsdp::Schedule schedule = made(request);
  if (const auto findings = fsdp::check_schedule(schedule, {.channel_capacity = request.capacity});
      !findings.empty()) {
    for (const auto& finding : findings)
      std::fprintf(stderr, "%s: %s\n", fsdp::name_of(finding.check).c_str(), finding.message.c_str());
    return 1;
  }
  if (request.recompute != "none" && request.costs.recompute == 0)
    request.costs.recompute = request.costs.forward;
  request.costs.scale.assign(static_cast<std::size_t>(schedule.stages()),
                             1.0 * schedule.world() / schedule.stages());
  const fsdp::Timeline timeline = fsdp::simulate(schedule, request.costs, request.capacity);
  const auto held = fsdp::most_held(schedule);
  std::printf(
      "%s, %d ranks, %d stages, %d microbatches: %.2f %% over the ideal, %.2f %% idle, at most %d stage "
      "microbatches kept\n",
      schedule.name.c_str(), schedule.world(), schedule.stages(), schedule.microbatches,
      100 * timeline.bubble_over_ideal(), 100 * timeline.idle_fraction(),
      *std::max_element(held.begin(), held.end()));
  for (std::size_t rank = 0; request.list && rank < schedule.ranks.size(); ++rank) {
    std::printf("rank %zu:", rank);
    for (const fsdp::Action& action : schedule.ranks[rank]) std::printf(" %s", fsdp::text_of(action).c_str());
    std::printf("\n");
  }
  write(request.svg, fsdp::svg(timeline, schedule.name));
  write(request.trace, fsdp::chrome_trace(timeline, schedule.name));
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  Request request;
  CLI::App app(
      "Checks, simulates and draws a pipeline schedule. Costs are those of one microbatch on a whole rank.");
  app.add_option("--schedule", request.schedule)
      ->check(CLI::IsMember({"gpipe", "1f1b", "interleaved", "zb-h1", "zbv"}));
  app.add_option("--ranks", request.ranks)->check(CLI::Range(1, 1024));
  app.add_option("--microbatches", request.microbatches)->check(CLI::Range(1, 65536));
  app.add_option("--chunks", request.chunks, "stages a rank, of interleaved")->check(CLI::Range(1, 64));
  app.add_option("--recompute", request.recompute, "where activations are made again")
      ->check(CLI::IsMember({"none", "fused", "hoisted"}));
  app.add_option("--capacity", request.capacity, "messages a channel holds")->check(CLI::Range(1, 65536));
  app.add_option("--forward", request.costs.forward)->check(CLI::NonNegativeNumber);
  app.add_option("--input", request.costs.input, "gradient of the input")->check(CLI::NonNegativeNumber);
  app.add_option("--weight", request.costs.weight, "gradient of the weights; nearly 0 for LoRA")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--transfer", request.costs.transfer)->check(CLI::NonNegativeNumber);
  app.add_option("--svg", request.svg, "picture to write");
  app.add_option("--trace", request.trace, "Chrome trace to write");
  app.add_flag("--list", request.list, "print every rank's actions");
  try {
    app.parse(count, arguments);
    return run(request);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 2;
}

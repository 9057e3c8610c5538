// SPDX-License-Identifier: Apache-2.0
// Training in processes, and the losses they report back.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>

#include "kernels/fsdp/checkpoint/sample_test.hpp"
#include "kernels/fsdp/group/processes_test.hpp"
#include "tests/fsdp/training.hpp"

namespace assay::testing {

/// The two groups of a rank.
template <class Backend = kernels::fsdp::SocketBackend>
kernels::fsdp::RankGroups groups_of(const kernels::fsdp::RankContext& context) {
  return {context.group<Backend>({.group = "gather"}), context.group<Backend>({.group = "reduce"})};
}

/// Groups of `size` neighbours keep a whole base each; 1: every rank.
inline kernels::fsdp::RankGroups hybrid_groups_of(const kernels::fsdp::RankContext& context, int size) {
  const std::string name = "gather" + std::to_string(context.rank / size);
  return {c10::make_intrusive<kernels::fsdp::SocketBackend>(context.store(), context.rank % size, size,
                                                            kernels::fsdp::SocketOptions{.group = name}),
          context.group({.group = "reduce"})};
}

/// Runs `body` on `world` ranks, each with one thread, and gives what rank 0 returned.
inline std::vector<double> losses_of(
    int world, const std::function<std::vector<double>(const kernels::fsdp::RankContext&)>& body) {
  const kernels::fsdp::TemporaryFolder folder;
  const auto file = folder.path() / "losses";
  kernels::fsdp::expect_all_ok(
      kernels::fsdp::in_processes(world, [&](const kernels::fsdp::RankContext& context) {
        at::set_num_threads(1);
        const std::vector<double> losses = body(context);
        if (context.rank == 0)
          std::ofstream(file, std::ios::binary)
              .write(reinterpret_cast<const char*>(losses.data()),
                     static_cast<std::streamsize>(losses.size() * sizeof(double)));
      }));
  std::ifstream stored(file, std::ios::binary);
  std::vector<double> losses;
  for (double loss = 0; stored.read(reinterpret_cast<char*>(&loss), sizeof(loss));) losses.push_back(loss);
  return losses;
}

/// A whole run of every rank's share.
template <class Backend = kernels::fsdp::SocketBackend>
std::vector<double> sharded_losses(int world, const RunOptions& options = {}) {
  return losses_of(world, [&](const kernels::fsdp::RankContext& context) {
    Problem p = training_problem(options.sequences.empty() ? sequences_of(context.rank, context.world)
                                                           : options.sequences);
    return run_steps(*sharded_step(p, groups_of<Backend>(context), options));
  });
}

/// The largest relative difference; infinite where one has other steps, or a NaN.
inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size() || a.empty())
    return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]) / std::abs(b[i]);
    largest = difference <= largest ? largest : difference;  // a NaN stays
  }
  return largest == largest ? largest : std::numeric_limits<double>::infinity();
}

/// How far one process is from itself when it sums the same batch in another order: what a sharded run may be
/// off.
inline double band() {
  static const double difference = [] {
    const std::vector<double> one = sharded_losses(1);
    double largest = 0;
    for (const auto& order : {std::vector<std::int64_t>{3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}})
      largest = std::max(largest, largest_difference(sharded_losses(1, {.sequences = order}), one));
    std::printf("[ band ] %.2e of the loss over %d steps, by the order of the sequences alone\n", largest,
                kSteps);
    return largest;
  }();
  return difference;
}

}  // namespace assay::testing

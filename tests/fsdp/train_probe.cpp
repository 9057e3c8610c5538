// SPDX-License-Identifier: Apache-2.0
// A training job as a launcher runs it: the first attempt empties `--root DIR` and may be killed
// (`--killed`), a further one goes on from the newest checkpoint; saves every third step. `--losses FILE` to
// write the last loss to or, with `--expect`, to compare it with.
#include <ATen/Parallel.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "kernels/fsdp/engine/save_together.hpp"
#include "kernels/fsdp/group/rendezvous.hpp"
#include "kernels/fsdp/group/socket_backend.hpp"
#include "tests/fsdp/training.hpp"

namespace fsdp = assay::kernels::fsdp;

namespace {

struct Job {
  std::filesystem::path root, losses;
  bool expect = false, killed = false;
};

Job job_of(int count, char** arguments) {
  Job job;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--expect")
      job.expect = true;
    else if (name == "--killed")
      job.killed = true;
    else if (i + 1 < count)
      (name == "--root" ? job.root : job.losses) = arguments[++i];
  }
  return job;
}

double train(const Job& job, const fsdp::RankIdentity& identity, const fsdp::RankGroups& groups) {
  using namespace assay::testing;
  Problem p = training_problem(sequences_of(identity.rank, identity.world));
  const auto step = sharded_step(p, groups, {});
  int done = 0;
  if (!fsdp::committed_steps(job.root).empty()) {
    const auto checkpoint = fsdp::ShardedCheckpoint::open_newest(job.root);
    step->adapters().restore(checkpoint);
    done = static_cast<int>(checkpoint.step());
    std::printf("rank %d goes on behind step %d\n", identity.rank, done);
  }
  fsdp::PosixFiles files;
  double loss = 0;
  for (int i = done + 1; i <= kSteps; ++i) {
    if (job.killed && i == 8 && identity.rank == 1 && identity.run.ends_with("/0"))
      raise(SIGKILL);
    loss = run_steps(*step, i, i)[0];
    if (i % 3 == 0)
      fsdp::save_together(files, {.root = job.root, .step = i, .model = "tiny", .state = {}},
                          step->adapters().parts(), *groups.reduce);
  }
  return loss;
}

/// To the bit: hexadecimal.
int report(const Job& job, double loss) {
  char text[64];
  std::snprintf(text, sizeof(text), "%a", loss);
  if (!job.expect) {
    std::ofstream(job.losses) << text;
    return 0;
  }
  std::string wanted;
  std::ifstream(job.losses) >> wanted;
  std::printf("last loss %s, uninterrupted %s: %s\n", text, wanted.c_str(),
              wanted == text ? "the same bits" : "DIFFERENT");
  return wanted == text ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  at::set_num_threads(1);
  const Job job = job_of(count, arguments);
  try {
    const auto identity = fsdp::identity_from(fsdp::process_environment);
    if (identity.rank == 0 && identity.run.ends_with("/0"))  // nobody looks before the ranks have met
      std::filesystem::remove_all(job.root);
    const auto store = fsdp::meet(identity);
    const auto group = [&](const char* name) {
      return c10::make_intrusive<fsdp::SocketBackend>(
          store, identity.rank, identity.world,
          fsdp::SocketOptions{.group = name, .timeout = std::chrono::seconds(20)});
    };
    const fsdp::RankGroups groups{group("gather"), group("reduce")};
    const double loss = train(job, identity, groups);
    groups.reduce->barrier();
    return identity.rank == 0 ? report(job, loss) : 0;
  } catch (const c10::Error& error) {
    std::fprintf(stderr, "%s\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 2;
}

// SPDX-License-Identifier: Apache-2.0
// fsdp_rank PLAN FOLDER: one rank of a training or a pipeline, as a launcher starts it (kernels/fsdp/launch).
// Reads the plan and writes FOLDER/rank<number>.json; what went wrong is in there too.
#include <ATen/Parallel.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "kernels/fsdp/group/rendezvous.hpp"
#include "kernels/fsdp/group/socket_backend.hpp"
#ifdef ASSAY_NCCL
#include "kernels/fsdp/nccl/nccl_group.hpp"
#endif
#include "suites/fsdp/rank/train.hpp"
#include "suites/fsdp/rank/waiting_pipeline.hpp"

namespace engine = assay::kernels::fsdp;
namespace suite = assay::suites::fsdp;

namespace {

constexpr std::chrono::seconds kTimeout{60};

nlohmann::json read(const std::filesystem::path& file) {
  std::ifstream in(file);
  return nlohmann::json::parse(in);
}

/// Where the plan says that ranks run.
suite::RankPlace place_of(const std::string& device, const engine::RankIdentity& identity) {
  const auto store = engine::meet(identity, kTimeout);
  suite::RankPlace place{
      .rank = identity.rank, .world = identity.world, .make_group = {}, .make_host_group = {}};
  place.make_group = place.make_host_group = [store](const std::string& name, int rank, int size) {
    return c10::make_intrusive<engine::SocketBackend>(
        store, rank, size, engine::SocketOptions{.group = name, .timeout = kTimeout});
  };
  if (device == "cpu")
    return place;
#ifdef ASSAY_NCCL
  engine::use_gpu(identity.local_rank);
  place.device = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(identity.local_rank));
  place.make_group = [store](const std::string& name, int rank, int size) {
    return engine::nccl_group(store, name, rank, size, kTimeout);
  };
  return place;
#else
  throw std::runtime_error("expected a build with NCCL's header for device " + device +
                           ", found one without: install the wheel nvidia-nccl-cu13 and build again");
#endif
}

/// What the rank reports: of a pipeline where the plan has a schedule, of a training else.
nlohmann::json run(const nlohmann::json& plan, const engine::RankIdentity& identity) {
  const suite::RankPlace place = place_of(plan.value("device", "cpu"), identity);
  if (plan.contains("schedule"))
    return suite::run_waiting_pipeline(plan.get<suite::PipelinePlan>(), place);
  return suite::train(plan.get<suite::RunPlan>(), place);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "expected: fsdp_rank PLAN FOLDER, found %d arguments\n", count - 1);
    return 2;
  }
  at::set_num_threads(1);
  int rank = 0;
  nlohmann::json report;
  try {
    const auto identity = engine::identity_from(engine::process_environment);
    rank = identity.rank;
    report = run(read(arguments[1]), identity);
  } catch (const c10::Error& error) {
    report["error"] = error.what_without_backtrace();
  } catch (const std::exception& error) {
    report["error"] = error.what();
  }
  std::ofstream(std::filesystem::path(arguments[2]) / ("rank" + std::to_string(rank) + ".json")) << report;
  return report.value("error", "").empty() ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
// A program as launchers start it: says who it is, meets the others, sums the ranks. With `--ranks N` it
// starts itself N times;
// `--fail RANK` makes one end before the sum.
#include <ATen/ops/full.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/fsdp/group/rendezvous.hpp"
#include "kernels/fsdp/group/socket_backend.hpp"
#include "kernels/fsdp/launch/spawn.hpp"

namespace fsdp = assay::kernels::fsdp;

namespace {

int be_a_rank(int failing) {
  const auto identity = fsdp::identity_from(fsdp::process_environment);
  const auto group =
      c10::make_intrusive<fsdp::SocketBackend>(fsdp::meet(identity), identity.rank, identity.world,
                                               fsdp::SocketOptions{.timeout = std::chrono::seconds(20)});
  if (identity.rank == failing)
    return 7;
  std::vector<at::Tensor> sum{at::full({1}, identity.rank + 1, at::kLong)};
  group->allreduce(sum, {});
  const long expected = identity.world * (identity.world + 1) / 2, found = sum[0].item<long>();
  std::printf("rank %d of %d by %s: sum %ld\n", identity.rank, identity.world, identity.launcher.c_str(),
              found);
  group->barrier({});  // rank 0 serves the store: nobody leaves before all have what they need
  return found == expected ? 0 : 1;
}

int start_ranks(const char* self, int ranks, const char* failing) {
  int code = 0;
  for (const auto& end :
       fsdp::run_ranks({self, "--fail", failing}, {.ranks = ranks, .grace = std::chrono::seconds(5)})) {
    std::printf("rank %d ended with %s%s\n", end.rank, end.how.c_str(), end.stopped ? ", stopped" : "");
    code = end.ok && code == 0 ? 0 : 1;
  }
  return code;
}

}  // namespace

int main(int count, char** arguments) {
  int ranks = 0;
  const char* failing = "-1";
  for (int i = 1; i + 1 < count; i += 2) {
    if (std::strcmp(arguments[i], "--ranks") == 0)
      ranks = std::atoi(arguments[i + 1]);
    if (std::strcmp(arguments[i], "--fail") == 0)
      failing = arguments[i + 1];
  }
  try {
    return ranks > 0 ? start_ranks(arguments[0], ranks, failing) : be_a_rank(std::atoi(failing));
  } catch (const c10::Error& error) {
    std::fprintf(stderr, "%s\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 2;
}

// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/group/rendezvous.hpp"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace assay::kernels::fsdp {

c10::intrusive_ptr<c10d::Store> meet(const RankIdentity& identity, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(identity.port);
  options.isServer = identity.rank == 0 && !identity.store_is_up;
  options.numWorkers = identity.world;
  options.waitWorkers = false;  // groups wait for each other themselves, and say who is missing
  options.timeout = timeout;
  return c10::make_intrusive<c10d::PrefixStore>("assay/" + identity.run,
                                                c10::make_intrusive<c10d::TCPStore>(identity.host, options));
}

}  // namespace assay::kernels::fsdp

// SPDX-License-Identifier: Apache-2.0
// Candidates: the general path, logits chunk by chunk through the user's function; the library's own choice
// of chunks, and fixed ones that show that the result does not depend on it.
#include "harness/core/registry.hpp"
#include "suites/backprop/memory_efficient_loss.hpp"
#include "suites/backprop/torch_adapter.hpp"

namespace assay::suites::backprop {
namespace {

using harness::DeviceKind;
using kernels::backprop::ChunkChoice;

harness::Implementation chunked(const std::string& name, DeviceKind device, const std::string& about,
                                const ChunkChoice& chunks) {
  return torch_implementation(
      name, harness::Role::kCandidate, device, about,
      [chunks](const BackpropCase& c, const CaseTensors& tensors) {
        return loss_and_gradients(c, tensors, [&](const BackpropCase& of, const CaseTensors& t) {
          return memory_efficient_loss(of, t, chunks);
        });
      },
      memory_efficient_sources({"suites/backprop/impl_memory_efficient.cpp"}));
}

/// A measured case has chunks of thousands of rows: 64 would time launches, not the method.
std::optional<std::string> only_small(const harness::Case& which, const harness::DeviceFacts&) {
  return which.measured
             ? std::optional<std::string>("chunks of 64 rows are for cases that are judged, not timed")
             : std::nullopt;
}

void add(LossKind loss, DeviceKind device) {
  const std::string challenge = challenge_name(loss);
  const harness::RegisterImplementation automatic(challenge, [device] {
    return chunked("memory_efficient", device,
                   "Chunks of logits through the loss function, gradients by autograd", {});
  });
  const harness::RegisterImplementation fixed(challenge, [device] {
    harness::Implementation out = chunked("memory_efficient_rows64", device, "The same in chunks of 64 rows",
                                          {.rows = 64, .bytes = {}});
    out.unsupported = only_small;
    return out;
  });
}

const bool kRegistered = [] {
  for (const LossKind loss : kLossKinds) {
    for (const DeviceKind device : {DeviceKind::kCpu, DeviceKind::kCuda}) add(loss, device);
  }
  return true;
}();

}  // namespace
}  // namespace assay::suites::backprop

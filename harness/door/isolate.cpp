// SPDX-License-Identifier: Apache-2.0
#include "harness/door/isolate.hpp"

#include <unistd.h>

#include <climits>
#include <stdexcept>
#include <utility>

#include "harness/core/outside.hpp"
#include "harness/door/session.hpp"
#include "harness/door/watch.hpp"

namespace assay::harness::door {
namespace {

/// This program's own file, under a name that stays when the working folder changes.
std::string own_program() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof(path));
  if (length <= 0)
    throw std::runtime_error("cannot find this program's own file: /proc is not mounted");
  return {path, static_cast<std::size_t>(length)};
}

std::vector<std::string> serving(const std::string& flag, const std::string& value, const Options& options) {
  std::vector<std::string> words = {own_program(), "serve-candidate", flag, value};
  if (!options.weights.empty())
    words.insert(words.end(), {"--weights", options.weights});
  return words;
}

/// Everything a row's sessions need, kept as long as the implementation is.
struct Plan {
  Target target;
  std::shared_ptr<const Challenge> challenge;
  DeviceKind device;
  Limits limits;
  bool deterministic;
  bool verified_there;  ///< CUDA: streams, graphs and host synchronisation are judged in the process

  Invocation prepare(const Case& which, const TensorSet& inputs, TensorSet& outputs) const {
    auto session = std::make_shared<Session>(target, Row{*challenge, which, device},
                                             Specs{specs_of(inputs), specs_of(outputs)}, 1, limits);
    if (verified_there)
      session->verify();
    return
        [session, &inputs, &outputs](harness::Stream stream) { session->call(0, inputs, outputs, stream); };
  }

  RemoteCalls prepare_remote(const Case& which, const std::vector<TensorSet>& inputs) const {
    const Row row{*challenge, which, device};
    const int sets = static_cast<int>(inputs.size());
    const Specs specs{specs_of(inputs.front()), challenge->outputs(which)};
    auto session = std::make_shared<Session>(target, row, specs, sets, limits);
    auto watch = std::make_shared<Watch>(*session, row, inputs, deterministic);
    return {
        .sets = sets,
        .window_ns = [session, watch](std::int64_t first, std::int64_t count,
                                      std::int64_t round) { return watch->window_ns(first, count, round); },
        .memory = [session] { return session->memory(); }};
  }
};

void call_elsewhere(Implementation& implementation, Plan plan) {
  const auto shared = std::make_shared<const Plan>(std::move(plan));
  implementation.prepare = [shared](const Case& which, const TensorSet& inputs, TensorSet& outputs,
                                    CallStyle) { return shared->prepare(which, inputs, outputs); };
  implementation.prepare_remote = [shared](const Case& which, const std::vector<TensorSet>& inputs) {
    return shared->prepare_remote(which, inputs);
  };
  // Seen from here a call waits for its process, and its results are copied; seen from there neither is true.
  implementation.synchronises = true;
  implementation.copies_results = false;
}

}  // namespace

Implementation isolated(const Implementation& original, std::shared_ptr<const Challenge> challenge,
                        const Options& options) {
  Implementation out = original;
  call_elsewhere(out, {.target = {original.name, serving("--implementation", original.name, options), true},
                       .challenge = std::move(challenge),
                       .device = original.device,
                       .limits = options.limits,
                       .deterministic = original.deterministic,
                       .verified_there = original.device == DeviceKind::kCuda});
  return out;
}

Implementation implementation_of(const Candidate& candidate, DeviceKind device,
                                 std::shared_ptr<const Challenge> challenge, const Options& options) {
  const bool library = candidate.kind == Candidate::Kind::kLibrary;
  Implementation out;
  out.name = candidate.name;
  out.role = Role::kCandidate;
  out.device = device;
  out.about = (library ? "library " : "command ") + candidate.what;
  out.judged_sha256 = candidate.sha256;
  out.target = [device] {
    return std::pair(std::string(device == DeviceKind::kCpu ? "cpu" : ""), std::string("outside"));
  };
  const std::vector<std::string> words =
      library ? serving("--library", candidate.what, options)
              : std::vector<std::string>{"/bin/sh", "-c", "exec " + candidate.what};
  call_elsewhere(out, {.target = {candidate.name, words, library},
                       .challenge = std::move(challenge),
                       .device = device,
                       .limits = options.limits,
                       .deterministic = true,
                       .verified_there = library && device == DeviceKind::kCuda});
  return out;
}

}  // namespace assay::harness::door

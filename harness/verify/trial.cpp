// SPDX-License-Identifier: Apache-2.0
// Calling an implementation so that whatever it does wrong becomes a CallFailed here and now, not an error
// found later.
#include "harness/verify/trial.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <new>

#include "harness/core/interrupt.hpp"
#include "harness/core/outside.hpp"
#include "harness/verify/describe.hpp"

namespace assay::harness {
namespace {

TensorSet allocate_outputs(const Subject& subject) {
  TensorSet outputs(subject.implementation.device);
  for (const TensorSpec& spec : subject.challenge.outputs(subject.which)) {
    outputs.add(spec);
  }
  return outputs;
}

std::string words_of(const char* when, cudaError_t error) {
  return fmt::format("CUDA reports {} ({}) {}", cudaGetErrorString(error), cudaGetErrorName(error), when);
}

}  // namespace

Trial::Trial(const Subject& judged)
    : subject(judged),
      inputs(judged.host_inputs.copy_to(judged.implementation.device)),
      outputs(allocate_outputs(judged)),
      stream(judged.implementation.device) {}

void Trial::attempt(const char* what, const std::function<void()>& foreign) {
  try {
    foreign();
  } catch (const OutOfMemory&) {
    throw;
  } catch (const RowEnded&) {
    throw;
  } catch (const Interrupted&) {
    throw;
  } catch (const Skip&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(fmt::format("the heap was exhausted in {}", what));
  } catch (const std::exception& error) {
    throw CallFailed(fmt::format("{} threw: {}", what, error.what()));
  } catch (...) {
    throw CallFailed(fmt::format("{} threw something that is no std::exception", what));
  }
}

void Trial::prepare() {
  attempt("prepare",
          [&] { call_ = subject.implementation.prepare(subject.which, inputs, outputs, CallStyle::kInto); });
  if (!call_) {
    throw CallFailed("prepare returned no call; it must throw Skip with the reason where it cannot run");
  }
  finish();
}

void Trial::load_inputs(const TensorSet& from) {
  for (const TensorView& to : inputs.views()) {
    const TensorView& source = from.at(to.name);
    if (source.bytes() != to.bytes()) {
      throw std::invalid_argument(
          fmt::format("input '{}': expected {} bytes as in the first input set, found {}", to.name,
                      to.bytes(), source.bytes()));
    }
    copy_bytes(to.data, to.device, source.data, source.device, to.bytes());
  }
}

void Trial::run(std::uint8_t poison) {
  outputs.fill(poison);
  invoke();
  finish();
}

void Trial::invoke() {
  attempt("the call", [&] { call_(stream); });
}

void Trial::finish() {
  if (!on_cuda()) {
    return;
  }
  const cudaError_t left = cudaGetLastError();
  const cudaError_t ended = cudaDeviceSynchronize();
  static_cast<void>(cudaGetLastError());
  if (ended != cudaSuccess) {
    throw CallFailed(words_of("when the device is waited for", ended));
  }
  if (left != cudaSuccess &&
      left != cudaErrorNotReady) {  // "not ready" is the answer to a query, not an error
    throw CallFailed(words_of("left behind by the call; check every launch", left));
  }
}

std::optional<std::string> Trial::disagreement(const TensorSet& found, const Answer& answer) const {
  if (found.digest() == answer.digest) {
    return std::nullopt;
  }
  const TensorSet host = found.copy_to(DeviceKind::kCpu);
  const Parity against = compare(host, *answer.oracle, answer.rule, &answer.limits);
  if (passes(against)) {
    return std::nullopt;
  }
  return describe_mismatch(against, host);
}

}  // namespace assay::harness

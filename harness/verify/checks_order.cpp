// SPDX-License-Identifier: Apache-2.0
// Checks on when the work happens: on the given stream, without blocking the host, again and again.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "harness/verify/capture.hpp"
#include "harness/verify/checks.hpp"

namespace assay::harness {
namespace {

// Queued work is held back this long, longer at each try: a host that enqueues slowly must not look like one
// that waits.
constexpr double kDelaysUs[] = {5e3, 50e3, 500e3};
constexpr int kReplays = 8;
// A stream takes about a thousand launches before the host has to wait for it.
constexpr std::size_t kNodesThatFillAQueue = 512;

void copy_on_stream(const TensorSet& to, const TensorSet& from, Stream stream) {
  for (const TensorView& view : to.views()) {
    ASSAY_HARNESS_CUDA(
        cudaMemcpyAsync(view.data, from.at(view.name).data, view.bytes(), cudaMemcpyDeviceToDevice, stream));
  }
}

TensorSet same_specs(const TensorSet& set) {
  TensorSet copy(set.device());
  for (const TensorView& view : set.views()) {
    copy.add({view.name, view.dtype, view.shape});
  }
  return copy;
}

/// True if the call left the host while the stream was still held back for `delay_us` before it.
bool returns_during_delay(Trial& trial, double delay_us) {
  trial.outputs.fill(kPoison);
  enqueue_delay(trial.stream, delay_us);
  const StreamMark delay_ended(trial.stream);
  trial.invoke();
  const bool early = !delay_ended.passed();
  trial.finish();
  return early;
}

/// Nothing that waits for the device can be captured, so a long graph means that the queue was full, not that
/// it waited.
bool launches_fill_the_queue(Trial& trial) {
  try {
    const CapturedGraph graph(trial.stream, [&] { trial.invoke(); });
    return graph.nodes() >= kNodesThatFillAQueue;
  } catch (const CaptureFailed&) {
    return false;
  }
}

/// `again` repeats the call; outputs are poisoned before the first and the last time and judged after both.
template <class Again>
Reason repeat(Trial& trial, const char* what, Again&& again) {
  for (int i = 1; i <= kReplays; ++i) {
    const bool judged = i == 1 || i == kReplays;
    if (judged) {
      trial.outputs.fill(kPoison);
    }
    again();
    trial.finish();
    if (judged) {
      if (const Reason reason = trial.disagreement(trial.outputs, trial.first_answer)) {
        return fmt::format("{} {} of {}: {}", what, i, kReplays, *reason);
      }
    }
  }
  trial.load_inputs(trial.subject.second_inputs);
  trial.outputs.fill(kPoison);
  again();
  trial.finish();
  const Reason reason = trial.disagreement(trial.outputs, trial.second_answer);
  trial.load_inputs(trial.subject.host_inputs);
  return reason ? Reason(fmt::format("{} after the inputs changed in place: {}", what, *reason))
                : std::nullopt;
}

}  // namespace

/// On the given stream: a delay, new inputs copied over the old, the call, a copy of the outputs. Work on any
/// other stream (another one, the legacy or the per-thread default stream) does not wait for the delay and
/// reads the old inputs, or is not in the copy; the stream is non-blocking, so the legacy stream does not
/// wait for it either.
Reason check_stream(Trial& trial) {
  if (!trial.on_cuda()) {
    return std::nullopt;
  }
  const TensorSet new_inputs = trial.subject.second_inputs.copy_to(DeviceKind::kCuda);
  const TensorSet snapshot = same_specs(trial.outputs);
  Reason reason;
  for (const double delay_us : kDelaysUs) {
    trial.load_inputs(trial.subject.host_inputs);
    trial.outputs.fill(kPoison);
    enqueue_delay(trial.stream, delay_us);
    const StreamMark delay_ended(trial.stream);
    copy_on_stream(trial.inputs, new_inputs, trial.stream);
    trial.invoke();
    copy_on_stream(snapshot, trial.outputs, trial.stream);
    const bool queued_in_time = !delay_ended.passed();
    Trial::attempt("the call", [&] { trial.stream.synchronize(); });
    trial.finish();
    reason = trial.disagreement(snapshot, trial.second_answer);
    if (reason || queued_in_time || trial.subject.implementation.synchronises) {
      break;
    }
  }
  trial.load_inputs(trial.subject.host_inputs);
  return reason ? Reason(
                      "the work is not ordered on the given stream: with the inputs changed on it just "
                      "before the "
                      "call and the outputs copied on it just after, " +
                      *reason)
                : std::nullopt;
}

Reason check_host_sync(Trial& trial) {
  if (!trial.on_cuda() || trial.subject.implementation.synchronises) {
    return std::nullopt;
  }
  for (const double delay_us : kDelaysUs) {
    if (returns_during_delay(trial, delay_us)) {
      return std::nullopt;
    }
  }
  if (launches_fill_the_queue(trial)) {
    return std::nullopt;
  }
  return fmt::format(
      "the call blocks the host until the stream's earlier work is done (it held out {} ms); declare "
      "`synchronises`, or do not wait",
      kDelaysUs[2] / 1e3);
}

Reason check_graph_replay(Trial& trial) {
  if (!trial.on_cuda() || trial.subject.implementation.synchronises) {
    return repeat(trial, "call", [&] { trial.invoke(); });
  }
  try {
    const CapturedGraph graph(trial.stream, [&] { trial.invoke(); });
    return repeat(trial, "replay",
                  [&] { Trial::attempt("the replay", [&] { graph.launch(trial.stream); }); });
  } catch (const CaptureFailed& error) {
    return fmt::format("the call cannot be captured in a CUDA graph: {}", error.what());
  }
}

}  // namespace assay::harness

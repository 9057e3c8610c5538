// SPDX-License-Identifier: Apache-2.0
// Wrong implementations on the GPU: every value fault of the CPU, and those that only streams and graphs can
// have.
#include <memory>
#include <stdexcept>

#include "harness/selftest/scale_cuda.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness::selftest {
namespace {

constexpr DeviceKind kCuda = DeviceKind::kCuda;
using Call = void (*)(const ScaleViews&, cudaStream_t);

/// Answers every call with what it computed at the first, on the right stream.
struct CachedAnswer {
  std::shared_ptr<TensorSet> cache = std::make_shared<TensorSet>(kCuda);
  void operator()(const ScaleViews& v, cudaStream_t stream) const {
    const bool first = cache->views().empty();
    if (first) {
      launch_scale(v, Fault::kNone, stream);
    }
    for (const TensorView& view : {v.up, v.down}) {
      const TensorView kept = first ? cache->add({view.name, view.dtype, view.shape}) : cache->at(view.name);
      ASSAY_HARNESS_CUDA(cudaMemcpyAsync(first ? kept.data : view.data, first ? view.data : kept.data,
                                         view.bytes(), cudaMemcpyDeviceToDevice, stream));
    }
  }
};

struct OtherStream {
  std::shared_ptr<OwnedStream> other = std::make_shared<OwnedStream>(kCuda);
  void operator()(const ScaleViews& v, cudaStream_t) const { launch_scale(v, Fault::kNone, *other); }
};

/// Waits for the given stream as it should, but the given stream does not wait for it.
struct NotJoined {
  std::shared_ptr<OwnedStream> other = std::make_shared<OwnedStream>(kCuda);
  void operator()(const ScaleViews& v, cudaStream_t stream) const {
    cudaEvent_t fork = nullptr;
    ASSAY_HARNESS_CUDA(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    ASSAY_HARNESS_CUDA(cudaEventRecord(fork, stream));
    ASSAY_HARNESS_CUDA(cudaStreamWaitEvent(*other, fork, 0));
    ASSAY_HARNESS_CUDA(cudaEventDestroy(fork));
    enqueue_delay(*other, 2000.0);  // so that it cannot win the race against the copy on the given stream
    launch_scale(v, Fault::kNone, *other);
  }
};

void legacy_stream(const ScaleViews& v, cudaStream_t) {
  launch_scale(v, Fault::kNone, cudaStreamLegacy);
}

void per_thread_stream(const ScaleViews& v, cudaStream_t) {
  launch_scale(v, Fault::kNone, cudaStreamPerThread);
}

bool capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  ASSAY_HARNESS_CUDA(cudaStreamIsCapturing(stream, &status));
  return status != cudaStreamCaptureStatusNone;
}

void waits_for_stream(const ScaleViews& v, cudaStream_t stream) {
  launch_scale(v, Fault::kNone, stream);
  if (!capturing(stream)) {  // the sly kind, which can be captured all the same
    ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream));
  }
}

void waits_for_device(const ScaleViews& v, cudaStream_t stream) {
  launch_scale(v, Fault::kNone, stream);
  ASSAY_HARNESS_CUDA(cudaDeviceSynchronize());
}

/// A query does not block, but it cannot be captured.
void queries_stream(const ScaleViews& v, cudaStream_t stream) {
  launch_scale(v, Fault::kNone, stream);
  static_cast<void>(cudaStreamQuery(stream));
  static_cast<void>(cudaGetLastError());
}

void fails_unchecked(const ScaleViews& v, cudaStream_t stream) {
  launch_scale(v, Fault::kNone, stream);
  launch_unchecked_failure(stream);
}

void throws(const ScaleViews&, cudaStream_t) {
  throw std::runtime_error("this kernel does not do what it should");
}

struct Fixed {
  const char* name;
  const char* about;
  const char* check;
  Fault fault;
};
constexpr Fixed kInKernel[] = {
    {"nan_in_one_element_cuda", "one NaN", checks::kParity, Fault::kNanInOneElement},
    {"one_wrong_tile_cuda", "one 128x128 tile holds x", checks::kParity, Fault::kOneWrongTile},
    {"stale_memory_cuda", "the last 5 elements are not written", checks::kUnwritten, Fault::kTailNotWritten},
    {"input_mutated_cuda", "changes x[0]", checks::kInputMutated, Fault::kInputMutated},
    {"write_past_end_cuda", "writes one element behind an output", checks::kCanary, Fault::kWritePastEnd},
    {"write_before_begin_cuda", "writes one element before an output", checks::kCanary,
     Fault::kWriteBeforeBegin},
    {"all_zeros_cuda", "writes zeros", checks::kParity, Fault::kAllZeros},
    {"swapped_outputs_cuda", "up and down exchanged", checks::kParity, Fault::kSwappedOutputs},
    {"slightly_inexact_cuda", "rounds toward zero", checks::kParity, Fault::kRoundedTowardZero},
};

struct OnHost {
  const char* name;
  const char* about;
  const char* check;
  Call call;
};
constexpr OnHost kOnHost[] = {
    {"no_op_cuda", "does nothing", checks::kUnwritten, [](const ScaleViews&, cudaStream_t) {}},
    {"legacy_stream_cuda", "works on the legacy default stream", checks::kStream, legacy_stream},
    {"per_thread_stream_cuda", "works on the per-thread default stream", checks::kStream, per_thread_stream},
    {"waits_for_stream_cuda", "synchronises the stream, except while capturing", checks::kHostSync,
     waits_for_stream},
    {"waits_for_device_cuda", "synchronises the device", checks::kHostSync, waits_for_device},
    {"queries_stream_cuda", "cannot be captured", checks::kGraphReplay, queries_stream},
    {"fails_unchecked_cuda", "leaves a failed launch behind", checks::kRunError, fails_unchecked},
    {"throws_cuda", "throws", checks::kRunError, throws},
};

Implementation made_of(const char* name, const char* about, const char* check,
                       std::function<Enqueue()> make) {
  return with_enqueue(wrong_one(name, kCuda, about, check), std::move(make));
}

}  // namespace

std::vector<Implementation> scale_cuda_mutants() {
  std::vector<Implementation> all;
  for (const Fixed& mutant : kInKernel) {
    all.push_back(made_of(mutant.name, mutant.about, mutant.check, [fault = mutant.fault]() -> Enqueue {
      return [fault](const ScaleViews& v, cudaStream_t stream) { launch_scale(v, fault, stream); };
    }));
  }
  for (const OnHost& mutant : kOnHost) {
    all.push_back(
        made_of(mutant.name, mutant.about, mutant.check, [call = mutant.call]() -> Enqueue { return call; }));
  }
  all.push_back(made_of("cached_answer_cuda", "repeats its first answer", checks::kStaleInput,
                        []() -> Enqueue { return CachedAnswer{}; }));
  all.push_back(made_of("other_stream_cuda", "works on a stream of its own", checks::kStream,
                        []() -> Enqueue { return OtherStream{}; }));
  all.push_back(made_of("not_joined_cuda", "forks to another stream and does not join", checks::kStream,
                        []() -> Enqueue { return NotJoined{}; }));
  all.push_back(made_of("nondeterministic_cuda", "last bits vary", checks::kDeterminism,
                        []() -> Enqueue { return CountedFault(Fault::kLastBitVaries); }));
  all.push_back(made_of("right_at_first_cuda", "wrong from the 9th execution on", checks::kGraphReplay,
                        []() -> Enqueue { return CountedFault(Fault::kRightAtFirst); }));
  return all;
}

}  // namespace assay::harness::selftest

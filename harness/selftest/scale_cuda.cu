// SPDX-License-Identifier: Apache-2.0
// The kernel of selftest/scale and its faults.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "harness/selftest/scale_cuda.hpp"

namespace assay::harness::selftest {
namespace {

template <class T>
struct Scale {
  T* x;
  T *up, *down;
  std::int64_t begin, end, cols, count;
  Fault fault;
  unsigned* calls;
};

__device__ double to_double(float value) {
  return value;
}
__device__ double to_double(__nv_bfloat16 value) {
  return __bfloat162float(value);
}
__device__ void put(float& to, double value, bool toward_zero) {
  to = toward_zero ? __double2float_rz(value) : __double2float_rn(value);
}
__device__ void put(__nv_bfloat16& to, double value, bool toward_zero) {
  to = toward_zero ? __float2bfloat16_rz(__double2float_rz(value)) : __double2bfloat16(value);
}

template <class T>
__device__ bool in_wrong_tile(const Scale<T>& s, std::int64_t i) {
  const std::int64_t row = i / s.cols, col = i % s.cols;
  return row >= 128 && row < 256 && col < 128;
}

/// Faults that change values. `executions` is the number of executions before this one.
template <class T>
__device__ void spoil(const Scale<T>& s, std::int64_t i, unsigned executions) {
  if (s.fault == Fault::kNanInOneElement && i == s.count / 2) {
    put(s.down[i], __longlong_as_double(0x7FF8000000000000ll), false);
  } else if (s.fault == Fault::kOneWrongTile && in_wrong_tile(s, i)) {
    s.up[i] = s.x[i];
  } else if (s.fault == Fault::kAllZeros) {
    put(s.up[i], 0.0, false);
    put(s.down[i], 0.0, false);
  } else if (s.fault == Fault::kRightAtFirst && i == s.count - 1 && executions >= 8) {
    put(s.up[i], 0.0, false);
  } else if (s.fault == Fault::kLastBitVaries && executions % 2 == 1 && fabs(to_double(s.up[i])) < 0.25) {
    reinterpret_cast<unsigned char*>(&s.up[i])[0] ^= 1;
  }
}

/// Faults that touch what is not theirs, done by the thread of the last element.
template <class T>
__device__ void trespass(const Scale<T>& s) {
  if (s.fault == Fault::kInputMutated) {
    put(s.x[0], to_double(s.x[0]) + 1.0, false);
  } else if (s.fault == Fault::kWritePastEnd) {
    put(s.down[s.count], 0.0, false);
  } else if (s.fault == Fault::kWriteBeforeBegin) {
    put(s.up[-1], 0.0, false);
  }
}

template <class T>
__global__ void scale_kernel(Scale<T> s) {
  const std::int64_t i = s.begin + static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= s.end || (s.fault == Fault::kTailNotWritten && i >= s.count - 5)) {
    return;
  }
  const double twice = 2.0 * to_double(s.x[i]);
  const bool toward_zero = s.fault == Fault::kRoundedTowardZero, swapped = s.fault == Fault::kSwappedOutputs;
  put((swapped ? s.down : s.up)[i], twice + 1.0, toward_zero);
  put((swapped ? s.up : s.down)[i], 1.0 - twice, toward_zero);
  spoil(s, i, s.calls != nullptr ? *s.calls : 0);
  if (i == s.count - 1) {
    trespass(s);
  }
}

__global__ void count_kernel(unsigned* calls) {
  ++*calls;
}

template <class T>
void launch_as(const ScaleViews& v, std::int64_t begin, std::int64_t end, Fault fault, unsigned* calls,
               cudaStream_t stream) {
  constexpr int kThreads = 256;
  if (begin >= end) {
    return;
  }
  const Scale<T> arguments{v.x.as<T>(),      v.up.as<T>(), v.down.as<T>(), begin, end,
                           v.x.shape.back(), v.count(),    fault,          calls};
  const auto blocks = static_cast<unsigned>((end - begin + kThreads - 1) / kThreads);
  scale_kernel<<<blocks, kThreads, 0, stream>>>(arguments);
  ASSAY_HARNESS_CUDA(cudaGetLastError());
  if (calls != nullptr) {
    count_kernel<<<1, 1, 0, stream>>>(calls);
    ASSAY_HARNESS_CUDA(cudaGetLastError());
  }
}

}  // namespace

void launch_scale(const ScaleViews& views, std::int64_t begin, std::int64_t end, Fault fault, unsigned* calls,
                  cudaStream_t stream) {
  if (views.x.dtype == Dtype::kFloat32) {
    launch_as<float>(views, begin, end, fault, calls, stream);
  } else {
    launch_as<__nv_bfloat16>(views, begin, end, fault, calls, stream);
  }
}

CountedFault::CountedFault(Fault which)
    : fault(which), calls(std::make_shared<DeviceBuffer>(sizeof(unsigned), DeviceKind::kCuda)) {
  fill_bytes(calls->data(), DeviceKind::kCuda, 0, calls->bytes());
}

void CountedFault::operator()(const ScaleViews& views, cudaStream_t stream) const {
  launch_scale(views, fault, stream, reinterpret_cast<unsigned*>(calls->data()));
}

void launch_unchecked_failure(cudaStream_t stream) {
  count_kernel<<<1, 4096, 0, stream>>>(nullptr);
}

Implementation with_enqueue(Implementation implementation, std::function<Enqueue()> make_enqueue) {
  implementation.prepare = [make_enqueue](const Case&, const TensorSet& inputs, TensorSet& outputs,
                                          CallStyle) {
    return Invocation([views = views_of(inputs, outputs), enqueue = make_enqueue()](Stream stream) {
      enqueue(views, stream);
    });
  };
  return implementation;
}

}  // namespace assay::harness::selftest

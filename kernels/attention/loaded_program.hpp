// SPDX-License-Identifier: Apache-2.0
// A compiled program in the driver, and launches of its kernels.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

struct CUkern_st;
struct CUlib_st;

namespace assay::kernels::attention {

struct Launch {
  std::int64_t blocks = 0;
  int threads = 0, shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

class LoadedProgram {
 public:
  /// `code` is machine code, or PTX with a terminating zero. Stays loaded until the process ends: a graph may
  /// hold its kernels.
  explicit LoadedProgram(const std::string& code);

  /// `arguments`: pointers to the kernel's parameters in order. No blocks: no launch. Throws
  /// std::runtime_error with the driver's message.
  void launch(const char* kernel, const Launch& launch, std::vector<void*> arguments) const;

 private:
  CUkern_st* find(const char* kernel, int shared_bytes) const;

  CUlib_st* library_ = nullptr;
  mutable std::mutex mutex_;
  mutable std::map<std::string, CUkern_st*> kernels_;
  mutable std::set<std::pair<CUkern_st*, int>> allowed_;  ///< kernels and devices whose shared memory is set
};

}  // namespace assay::kernels::attention

// SPDX-License-Identifier: Apache-2.0
// What was really built: reads the GPU code inside binaries with cuobjdump, without a GPU.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace assay::harness {

/// One kernel for one architecture, as its machine code (SASS) says.
struct KernelCode {
  std::string kernel;  ///< "assay::kernels::nf4::dequantize_kernel<64>": no return type, no parameters
  std::string symbol;  ///< mangled
  std::string arch;    ///< "sm_90a"
  int registers = 0;
  int stack_bytes = 0;               ///< spilled registers and arrays that do not fit registers
  int shared_bytes = 0;              ///< static; sm_90 and newer count 1024 of their own
  int instructions = 0;              ///< without the padding NOPs
  int local_loads = 0;               ///< LDL: reads of spills or of arrays in local memory
  int local_stores = 0;              ///< STL
  std::map<int, int> global_loads;   ///< bytes a thread and instruction (LDG, LDGSTS) -> instructions
  std::map<int, int> global_stores;  ///< bytes a thread and instruction (STG) -> instructions
  int bulk_copies = 0;               ///< copy engine instructions (UBLKCP, UTMALDG, UTMASTG, …), any size
  int fused_multiply_adds = 0;       ///< FFMA: f32 a*b+c rounded once
  std::map<std::string, int> matrix_instructions;  ///< "HMMA.16816.F32" -> instructions
  /// "LDG.NA" -> instructions. After the dot as SASS says it: EF evict first, EL evict last, EU evict
  /// unchanged, LU last use, NA no allocation in L1, EFL2/ELL2 the same for L2, LTC128B prefetch into L2,
  /// CONSTANT read-only path; L2POLICY: the access carries a cache policy of its own (createpolicy).
  std::map<std::string, int> cache_hints;

  int widest_global_load() const { return global_loads.empty() ? 0 : global_loads.rbegin()->first; }
  int widest_global_store() const { return global_stores.empty() ? 0 : global_stores.rbegin()->first; }
  /// Nothing of this kernel lives in local memory: no spills, no stack.
  bool no_local_memory() const { return stack_bytes == 0 && local_loads == 0 && local_stores == 0; }
};

/// Architectures a binary carries: machine code ("sm_90a") and PTX for newer ones ("sm_80" compiles at load).
struct CodeTargets {
  std::vector<std::string> sass, ptx;
};

/// Sorted by kernel, then arch; empty for a binary without GPU code. Throws Skip (core/challenge.hpp) where
/// no cuobjdump is to be had, std::runtime_error for a file that is not there or that cuobjdump cannot read.
std::vector<KernelCode> read_code(const std::filesystem::path& binary);
std::vector<KernelCode> read_code(const std::vector<std::filesystem::path>& binaries);
CodeTargets read_targets(const std::filesystem::path& binary);

/// JSON array, one object a kernel and architecture: the evidence of checks about built code.
std::string to_json(const std::vector<KernelCode>& code);

}  // namespace assay::harness

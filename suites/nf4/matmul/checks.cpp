// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/matmul/checks.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/inspect/inspect.hpp"
#include "harness/memory/memory.hpp"
#include "harness/run/prepare.hpp"
#include "suites/nf4/launch_count.hpp"
#include "suites/nf4/matmul/suite.hpp"

namespace assay::suites::nf4::matmul {
namespace {

using harness::DeviceFacts;
using harness::DeviceKind;
using harness::KernelCode;
using json = nlohmann::ordered_json;

/// bf16 has no matrix instruction on sm_75: its kernels there only trap.
bool is_a_trap(const KernelCode& code) {
  return code.arch == "sm_75" && code.kernel.find("bfloat16") != std::string::npos;
}

json evidence_of(const std::vector<KernelCode>& codes) {
  json out = json::object();
  for (const KernelCode& code : codes) {
    json& arch = out.emplace(code.arch, json::object()).first.value();
    arch["kernels"] = arch.value("kernels", 0) + 1;
    arch["registers"] = std::max(arch.value("registers", 0), code.registers);
    for (const auto& [instruction, count] : code.matrix_instructions)
      arch["matrix_instructions"][instruction] = true;
  }
  return out;
}

std::string static_code(const DeviceFacts&) {
  std::vector<KernelCode> codes = harness::read_code(std::filesystem::read_symlink("/proc/self/exe"));
  std::erase_if(
      codes, [](const KernelCode& code) { return code.kernel.find("skinny_kernel") == std::string::npos; });
  if (codes.empty())
    throw harness::Skip("this build holds PTX only, no machine code to read");
  std::string faults;
  for (const KernelCode& code : codes) {
    if (!code.no_local_memory())
      faults += code.kernel + " on " + code.arch + " uses local memory; ";
    if (code.matrix_instructions.empty() && !is_a_trap(code))
      faults += code.kernel + " on " + code.arch + " has no matrix instruction; ";
  }
  if (!faults.empty())
    throw std::runtime_error(faults);
  return evidence_of(codes).dump();
}

std::string single_kernel_launch(const DeviceFacts& facts) {
  if (facts.kind != DeviceKind::kCuda)
    throw harness::Skip("needs a GPU: " + harness::cuda_unavailable_reason());
  const harness::Challenge& challenge = harness::Registry::instance().challenge(kMatmul);
  const harness::Case& which = harness::case_named(challenge, "1024x4096/m1/bf16");
  const harness::TensorSet inputs = challenge.make_inputs(which, which.seed).copy_to(DeviceKind::kCuda);
  harness::TensorSet outputs = harness::make_outputs(challenge, which, DeviceKind::kCuda);
  const auto call = harness::implementation_named(challenge, "skinny")
                        .prepare(which, inputs, outputs, harness::CallStyle::kInto);
  const LaunchCount count = count_launches(call);
  const harness::Memory memory = harness::measure_memory(call, DeviceKind::kCuda);
  const std::int64_t allocated = memory.tensors + memory.outside_torch;
  const json evidence{{"graph_kernel_nodes", count.kernels},
                      {"graph_other_nodes", count.others},
                      {"bytes_allocated", allocated}};
  if (count.kernels != 1 || count.others != 0 || allocated != 0)
    throw std::runtime_error("expected one kernel node and no allocation, found " + evidence.dump());
  return evidence.dump();
}

}  // namespace

std::vector<harness::Challenge::SuiteCheck> matmul_checks() {
  return {{"single_kernel_launch", false, "skinny", single_kernel_launch},
          {"static_code", false, "skinny", static_code}};
}

}  // namespace assay::suites::nf4::matmul

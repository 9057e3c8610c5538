// SPDX-License-Identifier: Apache-2.0
// What a time means in units of the machine, and whether it can be true.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "harness/measure/measure.hpp"

namespace assay::harness {
namespace {

constexpr double kSlack = 1.03;

bool counts_bytes(const std::string& ceiling) {
  return ceiling.ends_with("_gbps");
}

std::optional<std::string> above(const WorkDone& work, double ceiling) {
  // Positive form: a NaN anywhere is implausible too.
  if (work.achieved <= kSlack * ceiling) {
    return std::nullopt;
  }
  const char* unit = counts_bytes(work.ceiling) ? "GB/s" : "TFLOP/s";
  return fmt::format(
      "expected at most {:.0f} % of this machine's {:.1f} {} ({}), found {:.1f}: the work of the case was "
      "not done, or its bytes and flops are declared too large",
      100 * kSlack, ceiling, unit, work.ceiling, work.achieved);
}

}  // namespace

std::optional<std::string> implausible(const WorkDone& work) {
  return above(work, work.ceiling_value);
}

std::optional<std::string> implausible(const WorkDone& work, const Ceilings& ceilings) {
  if (!counts_bytes(work.ceiling)) {
    return implausible(work);
  }
  return above(work, std::max({work.ceiling_value, ceilings.copy_gbps, ceilings.fill_gbps}));
}

std::optional<double> ceiling_value(const std::string& name, const Ceilings& ceilings) {
  if (name == "copy_gbps") {
    return ceilings.copy_gbps;
  }
  if (name == "fill_gbps") {
    return ceilings.fill_gbps;
  }
  if (name == "matmul_bf16_tflops") {
    return ceilings.matmul_bf16_tflops;
  }
  if (name == "matmul_f16_tflops") {
    return ceilings.matmul_f16_tflops;
  }
  throw std::invalid_argument(fmt::format(
      "expected a ceiling of copy_gbps, fill_gbps, matmul_bf16_tflops, matmul_f16_tflops; found \"{}\"",
      name));
}

WorkDone work_done(const Work& work, double call_ns, const Ceilings& ceilings) {
  if (!(call_ns > 0)) {
    throw std::invalid_argument(fmt::format("work_done: expected a time above 0, found {} ns", call_ns));
  }
  const std::optional<double> ceiling = ceiling_value(work.ceiling, ceilings);
  if (!ceiling || !(*ceiling > 0)) {
    throw std::invalid_argument(fmt::format("work_done: {} was not measured on this device", work.ceiling));
  }
  WorkDone done;
  done.bytes = work.bytes;
  done.flops = work.flops;
  done.ceiling = work.ceiling;
  done.ceiling_value = *ceiling;
  // bytes/ns = GB/s, flops/ns = GFLOP/s
  done.achieved = counts_bytes(work.ceiling) ? static_cast<double>(work.bytes) / call_ns
                                             : static_cast<double>(work.flops) / call_ns / 1000.0;
  done.fraction = done.achieved / done.ceiling_value;
  return done;
}

}  // namespace assay::harness

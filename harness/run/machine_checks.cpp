// SPDX-License-Identifier: Apache-2.0
#include "harness/run/machine_checks.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "harness/measure/noise.hpp"
#include "harness/record/provenance.hpp"

namespace assay::harness {

Provenance provenance(const std::string& command) {
  Provenance out;
  out.commit = built_commit();
  out.utc = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  out.command = command;
  return out;
}

namespace {

Check machine_check(const DeviceInfo& device, const std::string& name,
                    const nlohmann::ordered_json& evidence) {
  Check check;
  check.suite = "harness";
  check.challenge = "harness/machine";
  check.check = name;
  check.outcome = "passed";
  check.evidence_json = evidence.dump();
  check.device = device;
  check.provenance = provenance("");
  return check;
}

}  // namespace

Check ceilings_check(const DeviceInfo& device, const Ceilings& ceilings) {
  nlohmann::ordered_json evidence;
  evidence["copy_gbps"] = ceilings.copy_gbps;
  evidence["fill_gbps"] = ceilings.fill_gbps;
  if (ceilings.matmul_bf16_tflops)
    evidence["matmul_bf16_tflops"] = *ceilings.matmul_bf16_tflops;
  if (ceilings.matmul_f16_tflops)
    evidence["matmul_f16_tflops"] = *ceilings.matmul_f16_tflops;
  evidence["event_overhead_us"] = ceilings.event_overhead_us;
  evidence["launch_us"] = ceilings.launch_us;
  if (device.kind == DeviceKind::kCuda) {
    if (const auto clocks = read_clocks()) {
      evidence["clocks"] = clocks->describe();
      evidence["sm_mhz"] = clocks->sm_mhz;
      evidence["memory_mhz"] = clocks->memory_mhz;
      evidence["temperature_c"] = clocks->temperature_c;
      evidence["power_w"] = clocks->power_w;
      evidence["throttle"] = suspicious_throttle(clocks->throttle_reasons);
    }
  }
  return machine_check(device, "ceilings", evidence);
}

Check noise_check(const DeviceInfo& device, int trials, const MeasureOptions& options) {
  MeasureOptions short_trials = options;
  short_trials.budget_seconds = std::min(options.budget_seconds, 0.5);
  const Noise noise = measure_noise(device, trials, short_trials);
  nlohmann::ordered_json evidence;
  evidence["trials"] = noise.trials;
  evidence["fraction_resolved"] = noise.fraction_resolved;
  evidence["minimum_detectable_percent"] = noise.minimum_detectable_percent;
  evidence["half_width_percent"] = noise.half_width_percent;
  return machine_check(device, "noise", evidence);
}

Check timing_check(const DeviceInfo& device, int trials) {
  constexpr int kPlanted = 4;
  MeasureOptions options;
  options.budget_seconds = 0.5;
  const Noise noise = measure_noise(device, trials, options);
  const SyntheticWork work(device);
  const Prepared usual = work.prepare(SyntheticWork::kUsualRounds);
  const Prepared slower = work.prepare(SyntheticWork::kUsualRounds * 103 / 100);
  int called_worse = 0;
  for (int i = 0; i < kPlanted; ++i) {
    options.seed = static_cast<std::uint64_t>(i) + 1;
    options.budget_seconds = 2.0;
    if (measure_pair(TimeMode::kGraph, slower, usual, device, options).verdict == Verdict::kWorse)
      ++called_worse;
  }
  Check check = machine_check(device, "timing",
                              {{"trials", noise.trials},
                               {"fraction_resolved", noise.fraction_resolved},
                               {"minimum_detectable_percent", noise.minimum_detectable_percent},
                               {"planted_percent", 3},
                               {"planted", kPlanted},
                               {"called_worse", called_worse}});
  if (!(noise.fraction_resolved <= 0.05) || called_worse != kPlanted) {
    check.outcome = "wrong";
    check.reason = fmt::format(
        "{:.0f} % of {} same-against-same trials were resolved, {} of {} planted 3 % slowdowns seen",
        100 * noise.fraction_resolved, noise.trials, called_worse, kPlanted);
  }
  return check;
}

}  // namespace assay::harness

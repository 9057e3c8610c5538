// SPDX-License-Identifier: Apache-2.0
// `doctor` and `list`: what there is.
#include <fmt/format.h>

#include <map>
#include <set>

#include "harness/cli/commands.hpp"
#include "harness/cli/selection.hpp"
#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/measure/measure.hpp"
#include "harness/record/provenance.hpp"

namespace assay::harness::cli {
namespace {

void print_device(const DeviceInfo& device) {
  const auto line = [](const std::string& name, const std::string& value) {
    fmt::print("  {:<14} {}\n", name, value);
  };
  fmt::print("{}\n", device.kind == DeviceKind::kCuda ? "GPU" : "CPU");
  line("name", device.name);
  line("architecture", device.arch);
  if (device.kind == DeviceKind::kCuda) {
    line("devices", std::to_string(device.count));
    line("multiproc.", std::to_string(device.multiprocessors));
  } else {
    line("cores", std::to_string(device.cores));
  }
  line("memory", fmt::format("{:.1f} GiB", static_cast<double>(device.memory_bytes) / (1 << 30)));
  line("last cache", fmt::format("{:.1f} MiB", static_cast<double>(device.l2_bytes) / (1 << 20)));
  if (!device.driver.empty())
    line("driver", device.driver);
  if (!device.cuda_runtime.empty())
    line("CUDA", device.cuda_runtime);
  if (!device.torch.empty())
    line("torch", device.torch);
}

void print_ceilings(const DeviceInfo& device, const Ceilings& c) {
  fmt::print("  {:<14} {:.1f} GB/s (read + written)\n", "copy", c.copy_gbps);
  fmt::print("  {:<14} {:.1f} GB/s\n", "fill", c.fill_gbps);
  if (c.matmul_bf16_tflops)
    fmt::print("  {:<14} {:.0f} TFLOP/s\n", "matmul bf16", *c.matmul_bf16_tflops);
  if (c.matmul_f16_tflops)
    fmt::print("  {:<14} {:.0f} TFLOP/s\n", "matmul f16", *c.matmul_f16_tflops);
  if (device.kind != DeviceKind::kCuda)
    return;
  fmt::print("  {:<14} {:.1f} us a launch, {:.1f} us an event pair\n", "overhead", c.launch_us,
             c.event_overhead_us);
  if (const auto clocks = read_clocks())
    fmt::print("  {:<14} {}\n", "clocks", clocks->describe());
}

}  // namespace

int doctor(const Common&) {
  fmt::print("built from commit {}\n\n", built_commit());
  const DeviceInfo cpu = describe(DeviceKind::kCpu);
  print_device(cpu);
  print_ceilings(cpu, measure_ceilings(cpu));
  fmt::print("\n");
  if (cuda_available()) {
    const DeviceInfo gpu = describe(DeviceKind::kCuda);
    print_device(gpu);
    print_ceilings(gpu, measure_ceilings(gpu));
  } else {
    fmt::print("GPU\n  not usable: {}\n", cuda_unavailable_reason());
  }
  fmt::print("\npeers and outside baselines\n");
  std::set<std::string> told;
  for (const Challenge& challenge : Registry::instance().challenges()) {
    for (const Implementation& i : challenge.implementations) {
      if (i.version.empty() || !told.insert(i.version).second)
        continue;
      fmt::print("  {:<14} {}\n", "found", i.version);
    }
  }
  if (told.empty())
    fmt::print("  none found: pip install bitsandbytes to compare with it\n");
  return 0;
}

namespace {

/// A challenge whose checks are its cases; whether any of them was asked for.
bool list_checks(const Challenge& challenge, const std::vector<std::string>& filters) {
  bool any = false;
  for (const Challenge::SuiteCheck& check : challenge.checks) {
    if (!matches(filters, challenge.name + "/checks/" + check.name))
      continue;
    if (!any)
      fmt::print("{}  {}\n\nchecks\n", challenge.name, challenge.about);
    any = true;
    fmt::print("  {:<30} {:<24} {}\n", check.name, check.subject, check.about);
  }
  if (any)
    fmt::print("\n");
  return any;
}

}  // namespace

int list(const Common& common) {
  int shown = 0;
  RunOptions any;
  any.filters = common.filters;
  for (const Challenge& challenge : Registry::instance().challenges()) {
    std::set<const Implementation*> implementations;
    std::vector<const Case*> cases;
    for (const Case& which : challenge.cases) {
      bool chosen = false;
      for (const Implementation& i : challenge.implementations) {
        if (i.role == Role::kMutant ||
            !matches(common.filters, challenge.name + "/" + which.name + "/" + i.name))
          continue;
        implementations.insert(&i);
        chosen = true;
      }
      if (chosen)
        cases.push_back(&which);
    }
    if (challenge.checks_are_cases && list_checks(challenge, common.filters))
      ++shown;
    if (cases.empty())
      continue;
    ++shown;
    fmt::print("{}  {}\n\ncases\n", challenge.name, challenge.about);
    for (const Case* which : cases) {
      fmt::print("  {:<56} {}{}\n", which->name,
                 which->on_request ? "on request"
                 : which->measured ? "verified and measured"
                                   : "verified",
                 which->source == "random" ? "" : ", from " + which->source);
    }
    fmt::print("\nimplementations\n");
    for (const Implementation& i : challenge.implementations) {
      if (implementations.count(&i) == 0)
        continue;
      fmt::print("  {:<30} {:<10} {:<5} {}\n", i.name, name_of(i.role), name_of(i.device), i.about);
    }
    fmt::print("\n");
  }
  if (shown == 0)
    throw UsageError("nothing matches the filter; `assay list` without one shows everything");
  return 0;
}

}  // namespace assay::harness::cli

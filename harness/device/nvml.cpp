// SPDX-License-Identifier: Apache-2.0
// NVML by dlopen, with its prototypes declared here (nvml.h 12/13, stable ABI). The device is found by PCI
// address, because NVML counts GPUs that CUDA_VISIBLE_DEVICES hides.
#include "harness/device/nvml.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <vector>

#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

using NvmlDevice = struct nvmlDevice_st*;
constexpr int kSuccess = 0;
constexpr unsigned kClockSm = 1, kClockMemory = 2;
constexpr unsigned kTemperatureGpu = 0;

struct Nvml {
  int (*initialize)() = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
  int (*device_by_pci)(const char*, NvmlDevice*) = nullptr;
  int (*clock)(NvmlDevice, unsigned, unsigned*) = nullptr;
  int (*temperature)(NvmlDevice, unsigned, unsigned*) = nullptr;
  int (*power_mw)(NvmlDevice, unsigned*) = nullptr;
  int (*throttle_reasons)(NvmlDevice, unsigned long long*) = nullptr;
};

template <class Function>
bool bind(void* library, Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

std::optional<Nvml> load() {
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  Nvml nvml;
  const bool complete = library != nullptr && bind(library, nvml.initialize, "nvmlInit_v2") &&
                        bind(library, nvml.driver_version, "nvmlSystemGetDriverVersion") &&
                        bind(library, nvml.device_by_pci, "nvmlDeviceGetHandleByPciBusId_v2") &&
                        bind(library, nvml.clock, "nvmlDeviceGetClockInfo") &&
                        bind(library, nvml.temperature, "nvmlDeviceGetTemperature") &&
                        bind(library, nvml.power_mw, "nvmlDeviceGetPowerUsage") &&
                        // Renamed to ...ClocksEventReasons in driver 535; every driver keeps the older name.
                        bind(library, nvml.throttle_reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
  return complete && nvml.initialize() == kSuccess ? std::optional(nvml) : std::nullopt;
}

const std::optional<Nvml>& nvml() {
  static const std::optional<Nvml> loaded = load();
  return loaded;
}

std::optional<NvmlDevice> current_device() {
  int device = 0;
  std::array<char, 32> address = {};
  ASSAY_HARNESS_CUDA(cudaGetDevice(&device));
  ASSAY_HARNESS_CUDA(cudaDeviceGetPCIBusId(address.data(), static_cast<int>(address.size()), device));
  NvmlDevice handle = nullptr;
  return nvml()->device_by_pci(address.data(), &handle) == kSuccess ? std::optional(handle) : std::nullopt;
}

struct Reason {
  std::uint64_t bit;
  const char* words;
  bool suspicious;
};

/// nvmlClocksEventReasons of nvml.h.
constexpr std::array kReasons = {
    Reason{0x001, "idle", false},
    Reason{0x002, "application clocks", false},
    Reason{0x004, "power cap", true},
    Reason{0x008, "hardware slowdown", true},
    Reason{0x010, "sync boost", true},
    Reason{0x020, "software thermal slowdown", true},
    Reason{0x040, "hardware thermal slowdown", true},
    Reason{0x080, "hardware power brake", true},
    Reason{0x100, "display clocks", false},
};

}  // namespace

std::string nvml_driver_version() {
  std::array<char, 96> version = {};
  const bool found =
      nvml().has_value() &&
      nvml()->driver_version(version.data(), static_cast<unsigned>(version.size())) == kSuccess;
  return found ? version.data() : "";
}

std::optional<ClockState> read_clocks() {
  if (!cuda_available() || !nvml().has_value()) {
    return std::nullopt;
  }
  const std::optional<NvmlDevice> device = current_device();
  if (!device) {
    return std::nullopt;
  }
  // A sensor that a board lacks leaves its field at 0; without the SM clock there is no state to speak of.
  ClockState state;
  unsigned power_mw = 0;
  unsigned long long reasons = 0;
  if (nvml()->clock(*device, kClockSm, &state.sm_mhz) != kSuccess) {
    return std::nullopt;
  }
  static_cast<void>(nvml()->clock(*device, kClockMemory, &state.memory_mhz));
  static_cast<void>(nvml()->temperature(*device, kTemperatureGpu, &state.temperature_c));
  static_cast<void>(nvml()->power_mw(*device, &power_mw));
  static_cast<void>(nvml()->throttle_reasons(*device, &reasons));
  state.power_w = power_mw / 1000.0;
  state.throttle_reasons = reasons;
  return state;
}

std::string suspicious_throttle(std::uint64_t reasons) {
  std::string words;
  for (const Reason& reason : kReasons) {
    if (reason.suspicious && (reasons & reason.bit) != 0) {
      words += (words.empty() ? "" : ", ") + std::string(reason.words);
    }
    reasons &= ~reason.bit;
  }
  if (reasons != 0) {
    words += fmt::format("{}reason bits {:#x}", words.empty() ? "" : ", ", reasons);
  }
  return words;
}

std::string ClockState::describe() const {
  const std::string slowed = suspicious_throttle(throttle_reasons);
  return fmt::format("{} MHz, {} °C, {}", sm_mhz, temperature_c, slowed.empty() ? "no throttling" : slowed);
}

}  // namespace assay::harness

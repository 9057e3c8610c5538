// SPDX-License-Identifier: Apache-2.0
#include "harness/door/opened_case.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "harness/core/registry.hpp"
#include "harness/run/prepare.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness::door {
namespace {

/// Never unloaded: threads of the library may still run when the process ends.
Lookup load_library(const std::string& path) {
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw std::runtime_error(std::string("the library cannot be loaded: ") + ::dlerror());
  return [library](const char* symbol) { return ::dlsym(library, symbol); };
}

Implementation library_implementation(const Challenge& challenge, DeviceKind device,
                                      const std::string& path) {
  if (!challenge.outside)
    throw Skip(challenge.name + " cannot be called from outside");
  Implementation out;
  out.name = "library";
  out.device = device;
  out.prepare = [outside = challenge.outside, lookup = load_library(path)](
                    const Case& which, const TensorSet& inputs, TensorSet& outputs, CallStyle) {
    return outside->bind(lookup, which, inputs, outputs);
  };
  return out;
}

Implementation implementation_for(const Challenge& challenge, DeviceKind device, const Served& served) {
  if (!served.library.empty())
    return library_implementation(challenge, device, served.library);
  const Implementation& found = implementation_named(challenge, served.implementation);
  if (found.find_version)
    found.find_version();  // peers start there what they need
  return found;
}

void add_all(const std::vector<TensorSpec>& specs, TensorSet& set) {
  for (const TensorSpec& spec : specs) set.add(spec);
}

/// Of the first baseline that passes here: what others are held against, where parity is not equality.
std::optional<BaselineErrors> baseline_errors(const Challenge& challenge, const Case& which,
                                              const Implementation& judged, const CaseData& first,
                                              const CaseData& second) {
  if (challenge.parity.exact || judged.role == Role::kBaseline)
    return std::nullopt;
  for (const Implementation& baseline : challenge.implementations) {
    if (baseline.role != Role::kBaseline || baseline.device != judged.device)
      continue;
    VerifyResult result =
        verify(challenge, which, baseline, first.inputs, second.inputs, first.oracle, second.oracle, nullptr);
    if (result.errors)
      return std::move(result.errors);
  }
  return std::nullopt;
}

}  // namespace

OpenedCase::OpenedCase(const Opening& opening, const Served& served)
    : challenge_(Registry::instance().challenge(opening.challenge)),
      case_(case_named(challenge_, opening.case_name)),
      device_(opening.device),
      implementation_(implementation_for(challenge_, opening.device, served)),
      stream_(opening.device) {
  for (const std::string& file : opening.files) sets_.push_back(map(opening, file));
  for (const auto& set : sets_)
    calls_.push_back(implementation_.prepare(case_, inputs_of(*set), outputs_of(*set), CallStyle::kInto));
}

std::unique_ptr<OpenedCase::Set> OpenedCase::map(const Opening& opening, const std::string& file) const {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0)
    throw std::runtime_error("cannot open the set " + file + ": " + std::strerror(errno));
  const Layout layout = layout_of(opening.specs);
  auto out = std::make_unique<Set>(device_);
  out->mapping = std::make_unique<Mapping>(fd, layout.bytes);
  ::close(fd);
  add_tensors(opening.specs, layout, out->mapping->data(), out->host_in, out->host_out);
  if (on_cuda()) {
    add_all(opening.specs.inputs, out->device_in);
    add_all(opening.specs.outputs, out->device_out);
  }
  return out;
}

OpenedCase::Set& OpenedCase::set(std::int64_t index) {
  return *sets_.at(static_cast<std::size_t>(index));
}

void OpenedCase::load(std::int64_t index) {
  mirror(set(index).host_in, set(index).device_in);
  mirror(set(index).host_out, set(index).device_out);
}

void OpenedCase::store(std::int64_t index) {
  mirror(set(index).device_in, set(index).host_in);
  mirror(set(index).device_out, set(index).host_out);
}

void OpenedCase::call_each(std::int64_t first, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    calls_[static_cast<std::size_t>(first + i) % calls_.size()](stream_);
}

void OpenedCase::run(std::int64_t first, std::int64_t count) {
  if (!on_cuda())
    return call_each(first, count);
  if (count <= 1 || implementation_.synchronises) {
    call_each(first, count);
  } else {
    auto& graph = graphs_[{first, count}];
    if (graph == nullptr)
      graph = std::make_unique<CapturedGraph>(stream_, [&] { call_each(first, count); });
    graph->launch(stream_);
  }
  ASSAY_HARNESS_CUDA(cudaGetLastError());
  // The device, not the stream: work that was put elsewhere is waited for, and clocked, as well.
  ASSAY_HARNESS_CUDA(cudaDeviceSynchronize());
}

Outcome OpenedCase::verify() {
  const CaseData first(challenge_, case_, case_.seed), second(challenge_, case_, case_.seed + 7919);
  const auto baseline = baseline_errors(challenge_, case_, implementation_, first, second);
  return harness::verify(challenge_, case_, implementation_, first.inputs, second.inputs, first.oracle,
                         second.oracle, baseline ? &*baseline : nullptr)
      .outcome;
}

}  // namespace assay::harness::door

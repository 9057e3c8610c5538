// SPDX-License-Identifier: Apache-2.0
#include "harness/door/shared_set.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "harness/core/outcome.hpp"
#include "harness/device/device.hpp"

namespace assay::harness::door {
namespace {

constexpr std::size_t kPage = 4096;
// Payloads at the same place of their pages would make stores wait for loads that only look alike (4K
// aliasing).
constexpr std::size_t kStagger = 512;

int make_file(std::size_t bytes) {
  const int fd = ::memfd_create("assay-set", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    throw std::runtime_error(std::string("cannot make shared memory: ") + std::strerror(errno));
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    const std::string why = std::strerror(errno);
    ::close(fd);
    throw OutOfMemory("cannot make " + std::to_string(bytes) + " bytes of shared memory: " + why);
  }
  return fd;
}

}  // namespace

std::vector<TensorSpec> specs_of(const TensorSet& set) {
  std::vector<TensorSpec> specs;
  for (const TensorView& view : set.views()) specs.push_back({view.name, view.dtype, view.shape});
  return specs;
}

Layout layout_of(const Specs& specs) {
  Layout layout;
  const auto place = [&](const TensorSpec& spec) {
    const std::size_t page = (layout.bytes + kPage - 1) / kPage * kPage;
    layout.offsets.push_back(page + kStagger * (layout.offsets.size() % (kPage / kStagger)));
    layout.bytes = layout.offsets.back() + TensorSet::guarded_bytes(spec);
  };
  for (const TensorSpec& spec : specs.inputs) place(spec);
  for (const TensorSpec& spec : specs.outputs) place(spec);
  std::byte* const begin =
      reinterpret_cast<std::byte*>(std::uintptr_t{kPage});  // nobody's; only distances count
  TensorSet inputs(DeviceKind::kCpu), outputs(DeviceKind::kCpu);
  add_tensors(specs, layout, begin, inputs, outputs);
  for (const TensorSet* set : {&inputs, &outputs}) {
    for (const TensorView& view : set->views())
      layout.payloads.push_back(static_cast<std::size_t>(view.as<std::byte>() - begin));
  }
  return layout;
}

Mapping::Mapping(int fd, std::size_t bytes) : bytes_(bytes) {
  void* const data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    throw std::runtime_error(std::string("cannot map shared memory: ") + std::strerror(errno));
  data_ = static_cast<std::byte*>(data);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping::~Mapping() {
  if (data_ != nullptr)
    ::munmap(data_, bytes_);
}

SharedSet::SharedSet(const Specs& specs)
    : fd_(make_file(layout_of(specs).bytes)),
      mapping_(fd_, layout_of(specs).bytes),
      inputs_(DeviceKind::kCpu),
      outputs_(DeviceKind::kCpu) {
  add_tensors(specs, layout_of(specs), mapping_.data(), inputs_, outputs_);
}

SharedSet::SharedSet(SharedSet&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      mapping_(std::move(other.mapping_)),
      inputs_(std::move(other.inputs_)),
      outputs_(std::move(other.outputs_)) {}

SharedSet::~SharedSet() {
  if (fd_ >= 0)
    ::close(fd_);
}

void add_tensors(const Specs& specs, const Layout& layout, std::byte* memory, TensorSet& inputs,
                 TensorSet& outputs) {
  std::size_t next = 0;
  for (const TensorSpec& spec : specs.inputs) inputs.add_at(spec, memory + layout.offsets[next++]);
  for (const TensorSpec& spec : specs.outputs) outputs.add_at(spec, memory + layout.offsets[next++]);
}

void mirror(const TensorSet& from, const TensorSet& to) {
  for (const TensorView& view : from.views()) {
    const std::span<std::byte> source = from.guarded(view.name), target = to.guarded(view.name);
    copy_bytes(target.data(), to.device(), source.data(), from.device(), source.size());
  }
}

}  // namespace assay::harness::door

// SPDX-License-Identifier: Apache-2.0
// One set of a case's tensors in memory that two processes see: inputs, then outputs, each between its canary
// zones as core/tensor.hpp has them. The judge's own sets stay in the judge; these are copies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/tensor.hpp"

namespace assay::harness::door {

struct Specs {
  std::vector<TensorSpec> inputs, outputs;
};
std::vector<TensorSpec> specs_of(const TensorSet& set);

/// Where each allocation begins in the file, and its payload behind the front zone; inputs first. `bytes` of
/// the whole.
struct Layout {
  std::vector<std::size_t> offsets, payloads;
  std::size_t bytes = 0;
};
Layout layout_of(const Specs& specs);

/// A mapping of `bytes` bytes of an open file, for reading and writing. Throws std::runtime_error.
class Mapping {
 public:
  Mapping(int fd, std::size_t bytes);
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// The judge's side: makes the memory. The other process cannot change its size, which would end whoever
/// reads it.
class SharedSet {
 public:
  explicit SharedSet(const Specs& specs);
  ~SharedSet();
  SharedSet(SharedSet&&) noexcept;
  SharedSet(const SharedSet&) = delete;

  int fd() const { return fd_; }
  std::size_t bytes() const { return mapping_.bytes(); }
  TensorSet& inputs() { return inputs_; }
  TensorSet& outputs() { return outputs_; }

 private:
  int fd_ = -1;
  Mapping mapping_;
  TensorSet inputs_, outputs_;
};

/// Tensors of a mapped file of that layout: what either side sees.
void add_tensors(const Specs& specs, const Layout& layout, std::byte* memory, TensorSet& inputs,
                 TensorSet& outputs);

/// Copies every allocation of `from` onto its namesake in `to`, zones included; on either device (blocking).
void mirror(const TensorSet& from, const TensorSet& to);

}  // namespace assay::harness::door

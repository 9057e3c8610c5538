// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes are either refused as a safetensors file with a UsageError, or every tensor of it
// lies inside the file and what is assembled as a 4-bit weight has exactly the lengths its block sizes
// demand.
//
// fuzz-sources: harness/io/safetensors_header_reader.cpp
// fuzz-sources: harness/io/safetensors_header.cpp harness/io/stored_tensor.cpp harness/io/strict_json.cpp
// fuzz-sources: suites/nf4/checkpoint_4bit.cpp suites/nf4/quant_state.cpp suites/nf4/host_weights.cpp
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/core/outcome.hpp"
#include "harness/io/safetensors_header.hpp"
#include "suites/nf4/checkpoint_4bit.hpp"

namespace {

using namespace assay;

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
  }
}

void check_layout(std::span<const std::byte> file, const harness::TensorTable& tensors) {
  std::size_t held = 0;
  for (const auto& [name, tensor] : tensors) {
    require(tensor.bytes.data() >= file.data() &&
                tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size(),
            "a tensor lies inside the file");
    require(tensor.numel() >= 0, "a tensor has a number of elements");
    require(tensor.bytes.size() == harness::stored_bytes(tensor.dtype, tensor.shape),
            "a tensor has the bytes of its shape");
    held += tensor.bytes.size();
  }
  require(held < file.size(), "tensors do not overlap");
}

void check_weights(const suites::nf4::HostWeights& weights) {
  const auto view = weights.view();
  const auto blocks = static_cast<std::size_t>(view.num_blocks());
  require(view.num_weights > 0, "a weight is not empty");
  require(weights.packed.size() >= static_cast<std::size_t>((view.num_weights + 1) / 2),
          "there is a nibble for each weight");
  if (view.nested()) {
    const auto groups = (blocks + static_cast<std::size_t>(view.nested_block_size) - 1) /
                        static_cast<std::size_t>(view.nested_block_size);
    require(weights.absmax_codes.size() == blocks && weights.nested_absmax.size() == groups,
            "there are statistics for each block");
    require(weights.nested_code.size() == 256 && std::isfinite(weights.nested_offset),
            "every code has a value");
  } else {
    require(weights.absmax.size() == blocks, "there is an absmax for each block");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    const harness::TensorTable tensors = harness::tensors_in(file, harness::parse_header(file));
    check_layout(file, tensors);
    std::set<std::string_view> claimed;
    for (const auto& stored : suites::nf4::find_4bit(tensors, claimed)) {
      require(claimed.contains(stored.name), "a 4-bit weight claims its tensors");
      check_weights(suites::nf4::load_4bit(stored));
    }
  } catch (const harness::UsageError&) {
    // refused: as good as read
  }
  return 0;
}

#ifdef ASSAY_LIBFUZZER
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

/// Changes the header's text or the data behind it, and mends the header's length: an edit that only breaks
/// the length teaches nothing.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  std::uint64_t header = 0;
  constexpr std::size_t kLength = sizeof(header);
  if (size >= kLength) {
    std::memcpy(&header, data, kLength);
  }
  if (size < kLength || header > size - kLength || seed % 16 == 0) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const std::size_t tail = size - kLength - header;
  if (seed % 4 == 1) {
    const std::size_t kept = kLength + header;
    return kept + LLVMFuzzerMutate(data + kept, tail, max_size - kept);
  }
  std::string behind(reinterpret_cast<const char*>(data) + kLength + header, tail);
  header = LLVMFuzzerMutate(data + kLength, header, max_size - kLength - tail);
  std::memcpy(data, &header, kLength);
  std::memcpy(data + kLength + header, behind.data(), tail);
  return kLength + header + tail;
}
#endif

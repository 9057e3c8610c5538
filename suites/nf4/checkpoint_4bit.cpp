// SPDX-License-Identifier: Apache-2.0
// See checkpoint_4bit.hpp. Everything is checked before anything is copied: sizes from the JSON are believed
// only after the lengths of the stored tensors, which the file cannot exceed, agree with them.
#include "suites/nf4/checkpoint_4bit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"
#include "suites/nf4/quant_state.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::quote;
using harness::StoredDtype;
using harness::StoredTensor;
using harness::TensorTable;
using harness::UsageError;
using kernels::nf4::Codebook;

constexpr std::string_view kStateMark = ".quant_state.bitsandbytes__";
constexpr std::array<std::string_view, 4> kCompanions{".absmax", ".quant_map", ".nested_absmax",
                                                      ".nested_quant_map"};
constexpr std::size_t kNestedCodes = 256;

// bitsandbytes' get_4bit_type as it is stored beside every weight, not as kernels decode it: code 8 of FP4 is
// +0 here.
constexpr std::array<float, 16> kNf4Map{
    -1.0F,
    -0.6961928009986877F,
    -0.5250730514526367F,
    -0.39491748809814453F,
    -0.28444138169288635F,
    -0.18477343022823334F,
    -0.09105003625154495F,
    0.0F,
    0.07958029955625534F,
    0.16093020141124725F,
    0.24611230194568634F,
    0.33791524171829224F,
    0.44070982933044434F,
    0.5626170039176941F,
    0.7229568362236023F,
    1.0F,
};
constexpr std::array<float, 16> kFp4Map{
    0.0F, 0.0625F / 12,  8.0F / 12,  1.0F,  4.0F / 12,  6.0F / 12,  2.0F / 12,  3.0F / 12,
    0.0F, -0.0625F / 12, -8.0F / 12, -1.0F, -4.0F / 12, -6.0F / 12, -2.0F / 12, -3.0F / 12};

std::vector<float> floats_of(const StoredTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), values.size() * sizeof(float));
  return values;
}

std::vector<std::uint8_t> bytes_of(const StoredTensor& tensor) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(tensor.bytes.data());
  return {first, first + tensor.bytes.size()};
}

/// The parts of one weight, fetched and checked one at a time; every complaint names the part.
class Parts {
 public:
  Parts(const TensorTable& tensors, std::string_view weight) : tensors_(tensors), weight_(weight) {}

  [[noreturn]] void fail(std::string_view part, const std::string& what) const {
    throw UsageError(fmt::format("4-bit weight {}: {}{}", quote(weight_), part, what));
  }

  bool has(std::string_view part) const { return tensors_.contains(weight_ + std::string(part)); }

  const StoredTensor& any(std::string_view part) const {
    const auto found = tensors_.find(weight_ + std::string(part));
    if (found == tensors_.end()) {
      fail(part, " expected, found no tensor of that name");
    }
    return found->second;
  }

  const StoredTensor& of(std::string_view part, StoredDtype dtype, std::int64_t count) const {
    const StoredTensor& tensor = any(part);
    if (tensor.dtype != dtype || tensor.numel() != count) {
      fail(part, fmt::format(": expected {} values of {}, found shape {} of {}", count, name_of(dtype),
                             harness::shape_text(tensor.shape), name_of(tensor.dtype)));
    }
    return tensor;
  }

  const StoredTensor& finite(std::string_view part, std::int64_t count) const {
    const StoredTensor& tensor = of(part, StoredDtype::kF32, count);
    const auto values = floats_of(tensor);
    const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    if (bad != values.end()) {
      fail(part, fmt::format(": expected finite values, found {} at {}", *bad, bad - values.begin()));
    }
    return tensor;
  }

  void require_map(const std::array<float, 16>& expected) const {
    const auto found = floats_of(of(".quant_map", StoredDtype::kF32, expected.size()));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (std::bit_cast<std::uint32_t>(found[i]) != std::bit_cast<std::uint32_t>(expected[i])) {
        fail(".quant_map",
             fmt::format(": expected bitsandbytes' table bit by bit, found {} instead of {} at {}", found[i],
                         expected[i], i));
      }
    }
  }

  /// Packed nibbles may be stored as any dtype; its bytes are what counts, rounded up to whole elements.
  const StoredTensor& packed(std::int64_t num_weights) const {
    const StoredTensor& tensor = any("");
    const auto element = static_cast<std::size_t>(std::max(bits_of(tensor.dtype), 8) / 8);
    const auto nibble_bytes = static_cast<std::size_t>(num_weights / 2 + num_weights % 2);
    const auto expected = (nibble_bytes + element - 1) / element * element;
    if (tensor.bytes.size() != expected) {
      fail("",
           fmt::format("expected {} bytes for {} weights, found {} (shape {} of {})", expected, num_weights,
                       tensor.bytes.size(), harness::shape_text(tensor.shape), name_of(tensor.dtype)));
    }
    return tensor;
  }

 private:
  const TensorTable& tensors_;
  std::string weight_;
};

Stored4bit check(const TensorTable& tensors, const std::string& weight, std::string_view quant_type) {
  const Parts parts(tensors, weight);
  const std::string state_part = std::string(kStateMark) + std::string(quant_type);
  const StoredTensor& text = parts.any(state_part);
  if (text.dtype != StoredDtype::kU8) {
    parts.fail(state_part, fmt::format(": expected JSON text in U8, found {}", name_of(text.dtype)));
  }
  const bool nested = parts.has(".nested_absmax") || parts.has(".nested_quant_map");
  QuantState state;
  try {
    state = parse_quant_state(harness::as_text(text.bytes), nested);
  } catch (const UsageError& error) {
    parts.fail(state_part, fmt::format(": {}", error.what()));
  }
  if (state.quant_type != quant_type) {
    parts.fail(state_part, fmt::format(": expected quant_type {}, found {}", quant_type, state.quant_type));
  }

  Stored4bit stored;
  stored.name = weight;
  stored.rows = state.rows;
  stored.cols = state.cols;
  stored.dtype = state.dtype;
  stored.codebook = quant_type == "nf4" ? Codebook::kNf4 : Codebook::kFp4;
  stored.block_size = state.block_size;
  stored.nested = nested;
  const std::int64_t num_weights = state.rows * state.cols;
  const std::int64_t blocks = num_weights / state.block_size + (num_weights % state.block_size != 0);
  stored.packed = parts.packed(num_weights);
  parts.require_map(stored.codebook == Codebook::kNf4 ? kNf4Map : kFp4Map);
  if (nested) {
    stored.absmax = parts.of(".absmax", StoredDtype::kU8, blocks);
    stored.nested_block_size = state.nested_block_size;
    stored.nested_absmax =
        parts.finite(".nested_absmax", (blocks + state.nested_block_size - 1) / state.nested_block_size);
    stored.nested_code = parts.finite(".nested_quant_map", kNestedCodes);
    stored.nested_offset = state.nested_offset;
  } else {
    stored.absmax = parts.finite(".absmax", blocks);
  }
  return stored;
}

/// Weight name to quant_type, from the names of the state tensors.
std::map<std::string, std::string_view> weights_with_state(const TensorTable& tensors) {
  std::map<std::string, std::string_view> found;
  for (const auto& [name, tensor] : tensors) {
    const auto mark = name.find(kStateMark);
    if (mark == std::string::npos) {
      continue;
    }
    const std::string weight = name.substr(0, mark);
    const auto quant_type = std::string_view(name).substr(mark + kStateMark.size());
    if (quant_type != "nf4" && quant_type != "fp4") {
      throw UsageError(fmt::format("4-bit weight {}: expected quant_type nf4 or fp4, found {}", quote(weight),
                                   quote(quant_type)));
    }
    if (!found.emplace(weight, quant_type).second) {
      throw UsageError(
          fmt::format("4-bit weight {}: expected one quant_state, found nf4 and fp4", quote(weight)));
    }
  }
  return found;
}

/// Statistics beside a weight that has no quant_state: the file lost it, and without it nothing can be
/// decoded.
void refuse_orphans(const TensorTable& tensors, const std::set<std::string_view>& claimed) {
  for (const auto& [name, tensor] : tensors) {
    for (const std::string_view part : kCompanions) {
      if (!name.ends_with(part) || claimed.contains(name)) {
        continue;
      }
      const auto weight = std::string_view(name).substr(0, name.size() - part.size());
      if (tensors.contains(weight)) {
        throw UsageError(fmt::format("4-bit weight {}: expected {}nf4 or {}fp4 beside {}, found neither",
                                     quote(weight), kStateMark, kStateMark, part));
      }
    }
  }
}

void claim(const TensorTable& tensors, const std::string& name, std::set<std::string_view>& claimed) {
  if (const auto found = tensors.find(name); found != tensors.end()) {
    claimed.insert(found->first);
  }
}

}  // namespace

std::vector<Stored4bit> find_4bit(const TensorTable& tensors, std::set<std::string_view>& claimed) {
  std::vector<Stored4bit> found;
  for (const auto& [weight, quant_type] : weights_with_state(tensors)) {
    found.push_back(check(tensors, weight, quant_type));
    claim(tensors, weight, claimed);
    claim(tensors, weight + std::string(kStateMark) + std::string(quant_type), claimed);
    for (const std::string_view part : kCompanions) {
      claim(tensors, weight + std::string(part), claimed);
    }
  }
  refuse_orphans(tensors, claimed);
  return found;
}

HostWeights load_4bit(const Stored4bit& stored) {
  HostWeights weights;
  weights.name = stored.name;
  weights.rows = stored.rows;
  weights.cols = stored.cols;
  weights.dtype = stored.dtype;
  weights.codebook = stored.codebook;
  weights.block_size = stored.block_size;
  weights.packed = bytes_of(stored.packed);
  if (stored.nested) {
    weights.absmax_codes = bytes_of(stored.absmax);
    weights.nested_block_size = stored.nested_block_size;
    weights.nested_absmax = floats_of(stored.nested_absmax);
    weights.nested_code = floats_of(stored.nested_code);
    weights.nested_offset = stored.nested_offset;
  } else {
    weights.absmax = floats_of(stored.absmax);
  }
  return weights;
}

}  // namespace assay::suites::nf4

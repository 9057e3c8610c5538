// SPDX-License-Identifier: Apache-2.0
// See checkpoint_dense.hpp.
#include "suites/nf4/checkpoint_dense.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"
#include "kernels/nf4/quantize.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::StoredDtype;
using harness::StoredTensor;
using kernels::nf4::ScalarType;

constexpr std::int32_t kNestedBlockSize = 256;
constexpr std::size_t kNestedCodes = 256;

struct NameRule {
  std::string_view last_part;  ///< of the dotted name
  std::string_view reason;
};
constexpr std::array kNotWeights{
    NameRule{"bias", "bias"},
    NameRule{"inv_freq", "rotary table"},
    NameRule{"freqs_cis", "rotary table"},
    NameRule{"cos_cached", "rotary table"},
    NameRule{"sin_cached", "rotary table"},
    NameRule{"scales", "quantization statistics"},
    NameRule{"zeros", "quantization statistics"},
    NameRule{"weight_scale", "quantization statistics"},
    NameRule{"weight_scale_inv", "quantization statistics"},
};

std::optional<ScalarType> scalar_type(StoredDtype dtype) {
  switch (dtype) {
    case StoredDtype::kF16:
      return ScalarType::kFloat16;
    case StoredDtype::kBf16:
      return ScalarType::kBfloat16;
    case StoredDtype::kF32:
      return ScalarType::kFloat32;
    default:
      return std::nullopt;
  }
}

/// The contents in memory that is aligned for `Word`; a file may place them anywhere.
template <class Word>
std::vector<Word> words_of(const StoredTensor& tensor) {
  std::vector<Word> words(tensor.bytes.size() / sizeof(Word));
  std::memcpy(words.data(), tensor.bytes.data(), tensor.bytes.size());
  return words;
}

/// A value is finite unless its exponent bits are all ones.
template <class Word>
void require_finite(std::string_view name, const StoredTensor& tensor, const std::vector<Word>& words,
                    Word exponent) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if ((words[i] & exponent) == exponent) {
      const auto cols = static_cast<std::size_t>(tensor.shape[1]);
      throw harness::UsageError(
          fmt::format("weight {}: expected finite values, found NaN or infinity at [{}, {}]",
                      harness::quote(name), i / cols, i % cols));
    }
  }
}

void nest(HostWeights& weights, int num_threads) {
  const auto blocks = static_cast<std::int64_t>(weights.absmax.size());
  weights.nested_block_size = kNestedBlockSize;
  weights.absmax_codes.resize(weights.absmax.size());
  weights.nested_absmax.resize((weights.absmax.size() + kNestedBlockSize - 1) / kNestedBlockSize);
  weights.nested_code.resize(kNestedCodes);
  kernels::nf4::dynamic_map(weights.nested_code.data());
  kernels::nf4::mean_absmax_cpu(weights.absmax.data(), blocks, &weights.nested_offset);
  kernels::nf4::QuantizeAbsmaxArgs args;
  args.absmax = weights.absmax.data();
  args.num_blocks = blocks;
  args.nested_code = weights.nested_code.data();
  args.offset = &weights.nested_offset;
  args.nested_block_size = kNestedBlockSize;
  args.absmax_codes = weights.absmax_codes.data();
  args.nested_absmax = weights.nested_absmax.data();
  kernels::nf4::quantize_absmax_cpu(args, num_threads);
  weights.absmax.clear();
}

template <class Word>
void quantize(HostWeights& weights, const StoredTensor& tensor, Word exponent, const QuantizeOnLoad& how) {
  const std::vector<Word> words = words_of<Word>(tensor);
  require_finite(weights.name, tensor, words, exponent);
  weights.packed.resize((words.size() + 1) / 2);
  weights.absmax.resize((words.size() + how.block_size - 1) / how.block_size);
  kernels::nf4::QuantizeArgs args;
  args.in = words.data();
  args.in_type = weights.dtype;
  args.num_weights = static_cast<std::int64_t>(words.size());
  args.block_size = how.block_size;
  args.codebook = how.codebook;
  args.packed = weights.packed.data();
  args.absmax = weights.absmax.data();
  kernels::nf4::quantize_cpu(args, how.num_threads);
  if (how.nested) {
    nest(weights, how.num_threads);
  }
}

}  // namespace

std::optional<std::string> reason_not_judged(std::string_view name, const StoredTensor& tensor) {
  if (tensor.shape.size() != 2) {
    return fmt::format("{}-D", tensor.shape.size());
  }
  if (!scalar_type(tensor.dtype)) {
    return fmt::format("dtype {}", name_of(tensor.dtype));
  }
  if (tensor.numel() == 0) {
    return "empty";
  }
  if (name.find("lora_") != std::string_view::npos) {
    return "LoRA factor";
  }
  const auto last_part = name.substr(name.find_last_of('.') + 1);
  for (const NameRule& rule : kNotWeights) {
    if (last_part == rule.last_part) {
      return std::string(rule.reason);
    }
  }
  return std::nullopt;
}

ScalarType scalar_type_of(const StoredTensor& tensor) {
  return scalar_type(tensor.dtype).value();
}

HostWeights quantize_dense(std::string_view name, const StoredTensor& tensor, const QuantizeOnLoad& how) {
  HostWeights weights;
  weights.name = name;
  weights.rows = tensor.shape.at(0);
  weights.cols = tensor.shape.at(1);
  weights.dtype = scalar_type_of(tensor);
  weights.codebook = how.codebook;
  weights.block_size = how.block_size;
  switch (weights.dtype) {
    case ScalarType::kFloat16:
      quantize<std::uint16_t>(weights, tensor, 0x7C00, how);
      break;
    case ScalarType::kBfloat16:
      quantize<std::uint16_t>(weights, tensor, 0x7F80, how);
      break;
    case ScalarType::kFloat32:
      quantize<std::uint32_t>(weights, tensor, 0x7F800000, how);
      break;
  }
  return weights;
}

}  // namespace assay::suites::nf4

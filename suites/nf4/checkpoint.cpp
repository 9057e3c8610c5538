// SPDX-License-Identifier: Apache-2.0
// See checkpoint.hpp.
#include "suites/nf4/checkpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::suites::nf4 {

using harness::UsageError;

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  Checkpoint checkpoint(harness::CheckpointFiles::open(path));
  const harness::TensorTable& tensors = checkpoint.files_.tensors();
  std::set<std::string_view> claimed;
  try {
    checkpoint.stored_4bit_ = find_4bit(tensors, claimed);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", checkpoint.files_.path().string(), error.what()));
  }
  for (const Stored4bit& stored : checkpoint.stored_4bit_) {
    checkpoint.weights_.push_back({stored.name, stored.rows, stored.cols, stored.dtype, true});
  }
  for (const auto& [name, tensor] : tensors) {
    if (claimed.contains(name)) {
      continue;
    }
    if (auto reason = reason_not_judged(name, tensor)) {
      checkpoint.ignored_.push_back({name, std::move(*reason)});
    } else {
      checkpoint.weights_.push_back({name, tensor.shape[0], tensor.shape[1], scalar_type_of(tensor), false});
    }
  }
  if (checkpoint.weights_.empty()) {
    throw UsageError(
        fmt::format("{}: expected a matrix of F16, BF16 or F32, or of bitsandbytes-4bit, found {}",
                    checkpoint.files_.path().string(), checkpoint.summary()));
  }
  std::sort(checkpoint.weights_.begin(), checkpoint.weights_.end(),
            [](const WeightSource& a, const WeightSource& b) { return a.name < b.name; });
  return checkpoint;
}

std::string Checkpoint::summary() const {
  std::map<std::string, int> counts;
  for (const IgnoredTensor& tensor : ignored_) {
    ++counts[tensor.reason];
  }
  std::vector<std::string> reasons;
  for (const auto& [reason, count] : counts) {
    reasons.push_back(fmt::format("{} {}", count, reason));
  }
  std::string text = fmt::format("{} matrices, {} of them in 4 bit", weights_.size(), stored_4bit_.size());
  if (!reasons.empty()) {
    text += fmt::format("; {} other tensors ignored ({})", ignored_.size(), fmt::join(reasons, ", "));
  }
  return text;
}

HostWeights Checkpoint::load(const std::string& name, const QuantizeOnLoad& how) const {
  const auto source =
      std::find_if(weights_.begin(), weights_.end(), [&](const WeightSource& w) { return w.name == name; });
  if (source == weights_.end()) {
    throw UsageError(fmt::format("{}: expected one of its {} matrices, found {}", files_.path().string(),
                                 weights_.size(), harness::quote(name)));
  }
  if (!source->quantized_on_disk) {
    try {
      return quantize_dense(name, files_.tensors().at(name), how);
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("{}: {}", files_.path().string(), error.what()));
    }
  }
  return load_4bit(*std::find_if(stored_4bit_.begin(), stored_4bit_.end(),
                                 [&](const Stored4bit& stored) { return stored.name == name; }));
}

}  // namespace assay::suites::nf4

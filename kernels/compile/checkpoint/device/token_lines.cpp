// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/device/token_lines.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace assay::kernels::compile::checkpoint {
namespace {

void add(const std::vector<std::int64_t>& sequence, PackedBatch& batch) {
  batch.tokens.insert(batch.tokens.end(), sequence.begin(), sequence.end());
  batch.labels.insert(batch.labels.end(), sequence.begin() + 1, sequence.end());
  batch.labels.push_back(-100);
  batch.boundaries.push_back(static_cast<std::int32_t>(batch.tokens.size()));
}

std::vector<std::int64_t> ids_of(const std::string& line, std::int64_t vocab) {
  std::vector<std::int64_t> ids;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc{} || end != word.data() + word.size() || id < 0 || id >= vocab)
      throw std::invalid_argument("expected token ids from 0 to " + std::to_string(vocab - 1) + ", found '" +
                                  word.substr(0, 40) + "'");
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

StepInputs PackedBatch::inputs(const StepSettings& settings) const {
  return {
      .tokens = tokens, .labels = labels, .boundaries = boundaries, .positions = {}, .settings = settings};
}

std::vector<std::vector<std::int64_t>> read_token_lines(const std::filesystem::path& file,
                                                        std::int64_t vocab) {
  std::ifstream in(file);
  if (!in)
    throw std::invalid_argument(file.string() + ": expected a readable file, found none");
  std::vector<std::vector<std::int64_t>> sequences;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    try {
      sequences.push_back(ids_of(line, vocab));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(file.string() + ":" + std::to_string(number) + ": " + error.what());
    }
    if (sequences.back().empty())
      sequences.pop_back();
  }
  return sequences;
}

std::vector<PackedBatch> pack_sequences(const std::vector<std::vector<std::int64_t>>& sequences,
                                        const StepCapacity& capacity) {
  if (sequences.empty())
    throw std::invalid_argument("expected sequences of tokens, found none");
  const std::int64_t longest = std::min(capacity.longest_sequence, capacity.tokens);
  std::vector<PackedBatch> batches(1);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const std::int64_t length = std::ssize(sequences[i]);
    if (length > longest)
      throw std::invalid_argument("sequence " + std::to_string(i + 1) + ": expected at most " +
                                  std::to_string(longest) + " tokens, found " + std::to_string(length) +
                                  "; cut it or give the step more");
    if (std::ssize(batches.back().tokens) + length > capacity.tokens ||
        std::ssize(batches.back().boundaries) > capacity.sequences)
      batches.emplace_back();
    add(sequences[i], batches.back());
  }
  return batches;
}

}  // namespace assay::kernels::compile::checkpoint

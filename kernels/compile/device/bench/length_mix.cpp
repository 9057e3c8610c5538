// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/bench/length_mix.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>

namespace assay::kernels::compile::bench {
namespace {

std::vector<Lengths> read_lengths(const std::string& file) {
  std::ifstream in(file);
  if (!in)
    throw std::invalid_argument("expected a file of lengths, a line a step, found none at " + file);
  std::vector<Lengths> steps;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Lengths lengths;
    for (std::int64_t length = 0; words >> length;) {
      if (length < 1)
        throw std::invalid_argument("expected lengths of at least 1, found " + std::to_string(length) +
                                    " in " + file);
      lengths.push_back(length);
    }
    if (!words.eof())
      throw std::invalid_argument("expected lengths, found '" + line + "' in " + file);
    if (!lengths.empty())
      steps.push_back(std::move(lengths));
  }
  if (steps.empty())
    throw std::invalid_argument("expected at least one line of lengths, found none in " + file);
  return steps;
}

}  // namespace

Lengths seeded_lengths(std::int64_t budget, std::uint64_t seed) {
  if (budget < kShortest)
    throw std::invalid_argument("expected a budget of at least " + std::to_string(kShortest) +
                                " tokens, found " + std::to_string(budget));
  const std::int64_t most = std::min(kLongest, budget);
  const double low = std::log(static_cast<double>(kShortest)), high = std::log(static_cast<double>(most));
  std::mt19937_64 random(seed);
  Lengths lengths;
  std::int64_t left = budget;
  while (left >= kShortest) {
    // The generator's bits are the standard's; a distribution's are the library's.
    const double part = static_cast<double>(random() >> 11) * 0x1p-53;
    const auto length = static_cast<std::int64_t>(std::exp(low + part * (high - low)));
    lengths.push_back(std::clamp(length, kShortest, std::min(most, left)));
    left -= lengths.back();
  }
  if (lengths.back() + left <= most)
    lengths.back() += left;
  return lengths;
}

std::vector<Lengths> lengths_of_steps(const BenchOptions& options, int count) {
  std::vector<Lengths> steps;
  if (options.packed.empty())
    return std::vector<Lengths>(static_cast<std::size_t>(count),
                                Lengths(static_cast<std::size_t>(options.batch), options.length));
  if (options.packed == "seeded") {
    for (int i = 0; i < count; ++i)
      steps.push_back(seeded_lengths(options.batch * options.length, static_cast<std::uint64_t>(i)));
    return steps;
  }
  const std::vector<Lengths> lines = read_lengths(options.packed);
  for (int i = 0; i < count; ++i) steps.push_back(lines[static_cast<std::size_t>(i) % lines.size()]);
  return steps;
}

MixCapacity capacity_of(const std::vector<Lengths>& steps) {
  MixCapacity most;
  for (const Lengths& lengths : steps) {
    most.tokens = std::max(most.tokens, std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
    most.sequences = std::max(most.sequences, static_cast<std::int64_t>(lengths.size()));
    most.longest = std::max(most.longest, std::ranges::max(lengths));
  }
  return most;
}

}  // namespace assay::kernels::compile::bench

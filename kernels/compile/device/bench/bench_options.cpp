// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/bench/bench_options.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <stdexcept>

namespace assay::kernels::compile::bench {
namespace {

constexpr const char* kUsage =
    "compiled_step_bench [--shape 8b|1b|tiny | --model FOLDER [--adapter-out FOLDER]] [--batch N] [--length "
    "L] [--packed seeded|FILE]\n"
    "  [--keep everything|products|attention|input] [--type bf16|f16] [--base nf4|dense] [--rank R]\n"
    "  [--adapters begin|end] [--chunk-rows N] [--steps N] [--cache FOLDER] [--json FILE] [--profile]\n";

std::invalid_argument refuse(const std::string& expected, const std::string& found) {
  return std::invalid_argument("expected " + expected + ", found " + found + "\n" + kUsage);
}

std::int64_t number(const std::string& name, const std::string& word, std::int64_t least) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || value < least)
    throw refuse("a number of at least " + std::to_string(least) + " behind " + name, "'" + word + "'");
  return value;
}

template <class Value>
Value one_of(const std::string& name, const std::string& word, const std::map<std::string, Value>& known) {
  const auto found = known.find(word);
  if (found != known.end())
    return found->second;
  std::string words;
  for (const auto& [text, value] : known) words += (words.empty() ? "" : ", ") + text;
  throw refuse("one of " + words + " behind " + name, "'" + word + "'");
}

const std::map<std::string, Keep> kKeeps = {{"everything", Keep::kEverything},
                                            {"products", Keep::kProducts},
                                            {"attention", Keep::kAttention},
                                            {"input", Keep::kInput}};

const std::map<std::string, LlamaShape> kShapes = {{"8b",
                                                    {.layers = 32,
                                                     .hidden = 4096,
                                                     .intermediate = 14336,
                                                     .heads = 32,
                                                     .kv_heads = 8,
                                                     .head_dim = 128,
                                                     .vocab = 128256}},
                                                   {"1b",
                                                    {.layers = 16,
                                                     .hidden = 2048,
                                                     .intermediate = 8192,
                                                     .heads = 32,
                                                     .kv_heads = 8,
                                                     .head_dim = 64,
                                                     .vocab = 128256,
                                                     .tied = true}},
                                                   {"tiny",
                                                    {.layers = 2,
                                                     .hidden = 128,
                                                     .intermediate = 192,
                                                     .heads = 2,
                                                     .kv_heads = 1,
                                                     .head_dim = 64,
                                                     .vocab = 1000}}};

}  // namespace

BenchOptions parse_options(std::span<const char* const> words) {
  BenchOptions o;
  using Set = std::function<void(const std::string& name, const std::string& word)>;
  const std::map<std::string, Set> options = {
      {"--shape", [&](auto& name, auto& word) { one_of(name, word, kShapes), o.shape = word; }},
      {"--batch", [&](auto& name, auto& word) { o.batch = number(name, word, 1); }},
      {"--length", [&](auto& name, auto& word) { o.length = number(name, word, 1); }},
      {"--packed", [&](auto&, auto& word) { o.packed = word; }},
      {"--keep", [&](auto& name, auto& word) { o.keep = one_of(name, word, kKeeps); }},
      {"--type",
       [&](auto& name, auto& word) {
         o.compute = one_of<ComputeType>(name, word,
                                         {{"bf16", ComputeType::kBfloat16}, {"f16", ComputeType::kFloat16}});
       }},
      {"--base",
       [&](auto& name, auto& word) {
         o.packed_base = one_of<bool>(name, word, {{"nf4", true}, {"dense", false}});
       }},
      {"--adapters",
       [&](auto& name, auto& word) {
         o.adapters_begin = one_of<bool>(name, word, {{"begin", true}, {"end", false}});
       }},
      {"--rank", [&](auto& name, auto& word) { o.rank = number(name, word, 1); }},
      {"--chunk-rows", [&](auto& name, auto& word) { o.chunk_rows = number(name, word, 1); }},
      {"--steps", [&](auto& name, auto& word) { o.steps = static_cast<int>(number(name, word, 1)); }},
      {"--model", [&](auto&, auto& word) { o.model = word; }},
      {"--adapter-out", [&](auto&, auto& word) { o.adapter_out = word; }},
      {"--json", [&](auto&, auto& word) { o.json = word; }},
      {"--cache", [&](auto&, auto& word) { o.cache = word; }}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string name = words[i];
    if (name == "--profile") {
      o.profile = true;
      continue;
    }
    const auto option = options.find(name);
    if (option == options.end())
      throw refuse("an option", "'" + name + "'");
    if (++i == words.size())
      throw refuse("a value behind " + name, "none");
    option->second(name, words[i]);
  }
  if (!o.adapter_out.empty() && o.model.empty())
    throw refuse("--model beside --adapter-out", "none");
  if (!o.model.empty())
    o.shape = o.model.string();
  return o;
}

LlamaShape shape_of(const BenchOptions& options) {
  LlamaShape shape = one_of("--shape", options.shape, kShapes);
  shape.lora_rank = options.rank;
  return shape;
}

double rope_theta(const std::string& shape) {
  return shape == "tiny" ? 1e4 : 5e5;
}

std::string name_of(Keep keep) {
  for (const auto& [name, value] : kKeeps)
    if (value == keep)
      return name;
  throw std::logic_error("unknown policy");
}

}  // namespace assay::kernels::compile::bench

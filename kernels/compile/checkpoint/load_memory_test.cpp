// SPDX-License-Identifier: Apache-2.0
// How much host memory a load takes at most: every allocation of this program is counted.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "kernels/compile/checkpoint/json_object.hpp"
#include "kernels/compile/checkpoint/step_checkpoint.hpp"
#include "kernels/compile/checkpoint/temporary_folder_test.hpp"

namespace {

std::atomic<std::int64_t> live{0}, most{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  void* const memory = alignment <= alignof(std::max_align_t)
                           ? std::malloc(bytes)
                           : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr)
    throw std::bad_alloc();
  const std::int64_t now = live += static_cast<std::int64_t>(malloc_usable_size(memory));
  for (std::int64_t before = most; before < now && !most.compare_exchange_weak(before, now);) {
  }
  return memory;
}
void forget(void* memory) {
  if (memory != nullptr)
    live -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) {
  return counted(bytes, 1);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
// Sanitizers have arrays' operators of their own, which do not come to those above.
void* operator new[](std::size_t bytes) {
  return counted(bytes, 1);
}
void operator delete[](void* memory) noexcept {
  forget(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  forget(memory);
}
void operator delete(void* memory) noexcept {
  forget(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  forget(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  forget(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  forget(memory);
}

namespace assay::kernels::compile::checkpoint {
namespace {

constexpr std::int64_t kHidden = 512, kVocab = 3000, kIntermediate = 1024;

/// All weights of one value, 2^-6, which every type holds.
void write_model(const testing::TemporaryFolder& folder, const std::string& type) {
  folder.write("config.json", Json{{"model_type", "llama"},
                                   {"hidden_size", kHidden},
                                   {"intermediate_size", kIntermediate},
                                   {"num_hidden_layers", 4},
                                   {"num_attention_heads", 4},
                                   {"num_key_value_heads", 2},
                                   {"vocab_size", kVocab},
                                   {"tie_word_embeddings", true}}
                                  .dump());
  StepOptions options;
  options.shape = read_llama_config(folder.path() / "config.json").shape;
  options.tokens = 4, options.sequences = 1;
  const std::string element = type == "F32" ? std::string("\0\0\x80\x3c", 4) : std::string("\x80\x3c", 2);
  Json header = Json::object();
  std::uint64_t end = 0;
  for (const Buffer& buffer : step_program(options).buffers) {
    if (buffer.role != Role::kFrozen || buffer.name == "frequencies")
      continue;
    const std::uint64_t begin = end;
    end += static_cast<std::uint64_t>(buffer.rows * buffer.columns) * element.size();
    const Json shape = buffer.rows == 1 ? Json({buffer.columns}) : Json({buffer.rows, buffer.columns});
    header[tensor_name(buffer)] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  std::string data;
  data.reserve(end);
  while (data.size() < end) data += element;
  folder.write("model.safetensors", header.dump(), data);
}

class Discard final : public WeightSink {
 public:
  void dense(const std::string&, std::span<const std::byte> elements) override { bytes += elements.size(); }
  void packed(const std::string&, const nf4::PackedWeights& weights) override {
    bytes += static_cast<std::size_t>(weights.num_weights / 2);
  }
  void adapter(const std::string&, std::span<const float> values) override { bytes += values.size_bytes(); }
  std::size_t bytes = 0;
};

std::int64_t peak_of_load(const StepCheckpoint& checkpoint) {
  checkpoint.load(*std::make_unique<Discard>());  // threads and tables that stay are made by the first
  const std::int64_t before = live;
  most = before;
  Discard sink;
  checkpoint.load(sink);
  EXPECT_GT(sink.bytes, std::size_t{4} * 4 * kHidden * kHidden / 2);
  return most - before;
}

/// What is read at once, small objects and the quantizer's table of steps.
constexpr std::int64_t kSmall = 160 << 10;

TEST(Load, holds_one_tensor_and_its_packed_form_at_most) {
  for (const auto& [type, bytes] : {std::pair<std::string, std::int64_t>{"BF16", 2}, {"F32", 4}}) {
    const testing::TemporaryFolder folder;
    write_model(folder, type);
    const std::int64_t linear = kIntermediate * kHidden;
    const std::int64_t packed = linear / 2 + linear / 64 * (1 + 4) + linear / 64 / 256 * 4 + 1024;
    const std::int64_t embedding = kVocab * kHidden * bytes;
    for (const bool packed_base : {true, false}) {
      const StepCheckpoint checkpoint(folder.path(), {.tokens = 16, .packed_base = packed_base});
      const std::int64_t peak = peak_of_load(checkpoint);
      EXPECT_LE(peak, std::max(embedding, linear * bytes + packed) + kSmall) << type << " " << packed_base;
      EXPECT_GE(peak, embedding) << type << ": the count sees nothing";
    }
  }
}

TEST(Load, quantizing_holds_the_weight_its_codes_and_its_absmax_at_most) {
  const testing::TemporaryFolder folder;
  write_model(folder, "BF16");
  const StepCheckpoint checkpoint(folder.path(), {.tokens = 16});
  class Weights final : public WeightSink {
   public:
    void dense(const std::string&, std::span<const std::byte>) override { most = live.load(); }
    void packed(const std::string&, const nf4::PackedWeights&) override {
      peak = std::max<std::int64_t>(peak, most - before);
      most = live.load();
    }
    void adapter(const std::string&, std::span<const float>) override {}
    std::int64_t before = live, peak = 0;
  } weights;
  checkpoint.load(weights);
  const std::int64_t linear = kIntermediate * kHidden;
  EXPECT_LE(weights.peak, linear * 2 + linear / 2 + linear / 64 * 5 + kSmall);
  EXPECT_GE(weights.peak, linear * 2 + linear / 2);
}

}  // namespace
}  // namespace assay::kernels::compile::checkpoint

// SPDX-License-Identifier: Apache-2.0
// safetensors files: bytes that are no numbers, files that are not covered, headers of an unlucky length.

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "kernels/compile/checkpoint/packed_memory.hpp"
#include "kernels/compile/checkpoint/stored_file.hpp"
#include "kernels/compile/checkpoint/stored_model.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/temporary_folder.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

namespace fs = std::filesystem;
namespace ours = kernels::compile::checkpoint;
using Json = nlohmann::ordered_json;
using Bytes = std::vector<std::uint8_t>;

// ---- 4-bit weights stored as bf16

constexpr std::int64_t kSide = 512;  // weights of a side: 2^16 bf16 elements hold them

/// Every pattern of 16 bits once: among them all NaN of bf16.
Bytes every_pattern() {
  Bytes out;
  for (int i = 0; i < 1 << 16; ++i)
    out.push_back(static_cast<std::uint8_t>(i)), out.push_back(static_cast<std::uint8_t>(i >> 8));
  return out;
}

/// The tensors of a safetensors file, one behind the other.
struct File {
  Json header;
  std::string data;
  void add(const std::string& name, const char* type, const Json& shape, const void* from,
           std::size_t bytes) {
    header[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {data.size(), data.size() + bytes}}};
    data.append(static_cast<const char*>(from), bytes);
  }
};

fs::path four_bit_file(const TemporaryFolder& folder) {
  const Bytes packed = every_pattern();
  const std::size_t blocks = kSide * kSide / 64;
  const Bytes absmax(blocks, 3);
  const std::vector<float> nested_absmax(blocks / 256, 1.0f), map(256, 0.5f);
  const auto codes = kernels::nf4::code_table(kernels::nf4::Codebook::kNf4);
  const std::string state = Json{
      {"quant_type", "nf4"},     {"blocksize", 64},         {"dtype", "bfloat16"},
      {"shape", {kSide, kSide}}, {"nested_blocksize", 256}, {"nested_dtype", "float32"},
      {"nested_offset", 0.25}}.dump();
  File file;
  file.add("w", "BF16", {packed.size() / 2, 1}, packed.data(), packed.size());
  file.add("w.absmax", "U8", {blocks}, absmax.data(), absmax.size());
  file.add("w.quant_map", "F32", {16}, codes.data(), 64);
  file.add("w.nested_absmax", "F32", {nested_absmax.size()}, nested_absmax.data(), 4 * nested_absmax.size());
  file.add("w.nested_quant_map", "F32", {256}, map.data(), 1024);
  file.add("w.quant_state.bitsandbytes__nf4", "U8", {state.size()}, state.data(), state.size());
  return folder.write("model.safetensors", safetensors_bytes(file.header.dump(), file.data));
}

using ReadPacked = std::function<Bytes(const fs::path& folder)>;

Bytes read_packed(const fs::path& folder) {
  return ours::read_four_bit(ours::StoredModel(folder), "w", kSide, kSide).packed;
}

/// A copy that goes through bf16 as numbers: one NaN is as good as another.
Bytes read_as_numbers(const fs::path& folder) {
  Bytes bytes = read_packed(folder);
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint16_t bits;
    std::memcpy(&bits, &bytes[i], 2);
    if ((bits & 0x7FFF) > 0x7F80)
      bits = 0x7FFF;
    std::memcpy(&bytes[i], &bits, 2);
  }
  return bytes;
}

void bytes_survive(const ReadPacked& read) {
  const TemporaryFolder folder;
  four_bit_file(folder);
  const Bytes truth = every_pattern(), found = answer([&] { return read(folder.path()); });
  demand(found.size() == truth.size(), text(truth.size(), " bytes"), text(found.size()));
  std::size_t changed = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) changed += found[i] != truth[i] ? 1 : 0;
  demand(changed == 0, "the bytes of the file", text(changed, " of ", truth.size(), " changed"));
}

// ---- coverage and headers

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

using CountTensors = std::function<std::size_t(const fs::path&)>;

std::size_t count_tensors(const fs::path& path) {
  return ours::StoredFile(path).tensors().size();
}

/// Where tensors end is held against where the file ends: equal where `strict`, else not behind it.
std::size_t count_plainly(const fs::path& path, bool strict) {
  const std::string bytes = text_of(path);
  std::uint64_t length = 0, end = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const Json header = Json::parse(bytes.substr(8, length));
  for (const auto& [name, tensor] : header.items())
    end = std::max(end, 8 + length + tensor["data_offsets"][1].get<std::uint64_t>());
  if (strict ? end != bytes.size() : end > bytes.size())
    throw std::invalid_argument("tensors and file do not end together");
  return header.size();
}
std::size_t count_with_loose_ends(const fs::path& path) {
  return count_plainly(path, false);
}
std::size_t count_strictly(const fs::path& path) {
  return count_plainly(path, true);
}

void files_are_covered(const CountTensors& count) {
  const TemporaryFolder folder;
  File file;
  file.add("a", "U8", {4}, "abcd", 4);
  const std::string whole = safetensors_bytes(file.header.dump(), file.data);
  const std::size_t found = answer([&] { return count(folder.write("whole", whole)); });
  demand(found == 1, "one tensor", text(found));
  demand_refusal("a file that ends too early",
                 [&] { count(folder.write("short", whole.substr(0, whole.size() - 1))); });
  demand_refusal("a file with bytes behind its tensors",
                 [&] { count(folder.write("long", whole + "trailing")); });
}

/// Headers of up to 100,000 bytes are looked for in the first `asked` bytes.
std::size_t count_in_first(std::size_t asked, const fs::path& path) {
  constexpr std::size_t kFirst = 100'000;
  const std::string bytes = text_of(path).substr(0, asked);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kFirst)
    return count_tensors(path);
  return Json::parse(bytes.substr(8, length)).size();
}

/// The 8 bytes of the length are forgotten.
std::size_t count_in_first_bytes(const fs::path& path) {
  return count_in_first(100'000, path);
}
std::size_t count_behind_length(const fs::path& path) {
  return count_in_first(8 + 100'000, path);
}

void headers_of_any_length(const CountTensors& count) {
  const TemporaryFolder folder;
  for (const std::size_t length :
       {std::size_t{99'992}, std::size_t{99'994}, std::size_t{100'000}, std::size_t{100'008}}) {
    File file;
    for (int i = 0; i < 852; ++i) file.add(text("layer.", i), "U8", {1}, "x", 1);
    std::string header = file.header.dump();
    header.insert(header.size() - 1, length - header.size(), ' ');
    const auto path = folder.write("model", safetensors_bytes(header, file.data));
    const std::size_t found = answer([&] { return count(path); });
    demand(found == 852, text("852 tensors in a header of ", length, " bytes"), text(found));
  }
}

}  // namespace

std::vector<Defect> storage_defects() {
  return {defect({"bitsandbytes-foundation/bitsandbytes", 1945,
                  "4-bit weights stored as bf16 are copied as numbers, which makes all NaN one",
                  kCheckpointFiles},
                 read_packed, read_as_numbers, bytes_survive),
          defect({"Comfy-Org/ComfyUI", 15602, "a safetensors file with bytes behind its tensors loads",
                  kCheckpointFiles},
                 count_tensors, count_with_loose_ends, files_are_covered, count_strictly),
          defect({"huggingface/huggingface_hub", 4602,
                  "safetensors headers just below 100,000 bytes are cut off", kCheckpointFiles},
                 count_tensors, count_in_first_bytes, headers_of_any_length, count_behind_length)};
}

}  // namespace assay::suites::conformance

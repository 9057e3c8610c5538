// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/safetensors.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <stdexcept>

#include "reference/llama/json_fields.hpp"

namespace assay::reference::llama {
namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "the format is little endian");
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::size_t kMostDimensions = 8;

const std::map<std::string, at::ScalarType> kTypes = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
    {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
    {"U8", at::kByte},    {"BOOL", at::kBool},
};

const std::string& name_of(at::ScalarType type) {
  for (const auto& [name, known] : kTypes)
    if (known == type)
      return name;
  throw std::invalid_argument(std::string("expected a type that safetensors has, found ") +
                              c10::toString(type));
}

at::ScalarType type_of(const std::string& tensor, const json& entry) {
  const std::string name = Fields(entry, tensor + ".").text("dtype");
  const auto found = kTypes.find(name);
  if (found == kTypes.end())
    refuse_key(tensor + ".dtype", "a dtype from BOOL to F64", name);
  return found->second;
}

std::vector<std::uint64_t> whole_numbers(const std::string& key, const json& entry, const char* field,
                                         std::size_t most) {
  if (!entry.contains(field) || !entry.at(field).is_array() || entry.at(field).size() > most)
    refuse_key(key + "." + field, "an array of at most " + std::to_string(most) + " whole numbers");
  std::vector<std::uint64_t> numbers;
  for (const json& number : entry.at(field)) {
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > (1ull << 48))
      refuse_key(key + "." + field, "whole numbers from 0 to 2^48", number);
    numbers.push_back(number.get<std::uint64_t>());
  }
  return numbers;
}

/// Refuses products that do not fit, so that a shape cannot wrap around to the length of its data.
std::uint64_t bytes_of(const std::string& key, const std::vector<std::uint64_t>& shape, at::ScalarType type) {
  std::uint64_t bytes = c10::elementSize(type);
  for (const std::uint64_t extent : shape)
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      refuse_key(key + ".shape", "a size below 2^64 bytes", json(shape));
  return bytes;
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)) {
  try {
    read_header();
  } catch (const std::invalid_argument& error) {
    const std::string what = error.what();
    throw std::invalid_argument(what.starts_with(path_.string()) ? what : path_.string() + ": " + what);
  }
}

void SafetensorsFile::read_header() {
  std::error_code error;
  const std::uint64_t file_bytes = std::filesystem::file_size(path_, error);
  if (error)
    throw std::invalid_argument("expected a readable file, found: " + error.message());
  std::ifstream file(path_, std::ios::binary);
  std::uint64_t header_bytes = 0;
  if (!file.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes))
    throw std::invalid_argument("expected 8 bytes of header length, found a shorter file");
  if (header_bytes > kMostHeaderBytes || header_bytes > file_bytes - sizeof header_bytes)
    throw std::invalid_argument("expected a header inside the file of " + std::to_string(file_bytes) +
                                " bytes, found its length " + std::to_string(header_bytes));
  std::string header(header_bytes, '\0');
  if (!file.read(header.data(), static_cast<std::streamsize>(header_bytes)))
    throw std::invalid_argument("expected to read the header, found the end of the file");
  data_begin_ = sizeof header_bytes + header_bytes;

  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  const json entries = parse_object(header, 3);
  for (const auto& [name, entry] : entries.items()) {
    if (name == "__metadata__")
      continue;
    if (!entry.is_object())
      refuse_key(name, "an object with dtype, shape and data_offsets", entry);
    const auto shape = whole_numbers(name, entry, "shape", kMostDimensions);
    const auto offsets = whole_numbers(name, entry, "data_offsets", 2);
    const at::ScalarType type = type_of(name, entry);
    if (offsets.size() != 2 || offsets[0] > offsets[1] ||
        offsets[1] - offsets[0] != bytes_of(name, shape, type))
      refuse_key(name + ".data_offsets", "[begin, end] of the length that dtype and shape give", entry);
    entries_[name] = {type, {shape.begin(), shape.end()}, offsets[0], offsets[1]};
    ranges.emplace_back(offsets[0], offsets[1]);
  }
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != covered)
      throw std::invalid_argument("expected the next tensor's data at byte " + std::to_string(covered) +
                                  ", found it at " + std::to_string(begin));
    covered = end;
  }
  if (covered != file_bytes - data_begin_)
    throw std::invalid_argument("expected " + std::to_string(covered) + " bytes of data, found " +
                                std::to_string(file_bytes - data_begin_));
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

at::Tensor SafetensorsFile::read(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw std::invalid_argument(path_.string() + ": expected the tensor '" + name + "', found no such name");
  const Entry& entry = found->second;
  const at::Tensor tensor = at::empty(entry.shape, entry.type);
  std::ifstream file(path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(data_begin_ + entry.begin));
  if (!file.read(static_cast<char*>(tensor.mutable_data_ptr()),
                 static_cast<std::streamsize>(tensor.nbytes())))
    throw std::invalid_argument(path_.string() + ": expected the data of '" + name +
                                "', found the end of the file");
  return tensor;
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", name_of(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data starts at a multiple of 8
  const std::uint64_t length = text.size();

  std::filesystem::path pending = path;
  pending += ".part";
  std::ofstream file(pending, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(&length), sizeof length)
      .write(text.data(), static_cast<std::streamsize>(length));
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor host = tensor.detach().cpu().contiguous();
    file.write(static_cast<const char*>(host.const_data_ptr()), static_cast<std::streamsize>(host.nbytes()));
  }
  file.close();
  std::error_code error;
  if (file)
    std::filesystem::rename(pending, path, error);
  if (!file || error) {
    std::filesystem::remove(pending, error);
    throw std::runtime_error(path.string() + ": expected to write " + std::to_string(offset) +
                             " bytes, found an error");
  }
}

}  // namespace assay::reference::llama

// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/stored_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "kernels/compile/checkpoint/json_object.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little endian");

constexpr std::uint64_t kLengthBytes = 8, kMostHeaderBytes = 100'000'000;  // the reference implementation's
constexpr std::size_t kMostDimensions = 8;
constexpr std::uint64_t kMostExtent = std::uint64_t{1} << 40;

const std::map<std::string, std::uint64_t> kElementBytes = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8}};

std::string errno_text() {
  return std::generic_category().message(errno);
}

std::vector<std::uint64_t> whole_numbers(const JsonObject& entry, const char* key, std::size_t most) {
  const std::string expected = "at most " + std::to_string(most) + " whole numbers up to 2^40";
  entry.require(entry.has(key) && entry.at(key).is_array() && entry.at(key).size() <= most, key, expected);
  std::vector<std::uint64_t> numbers;
  for (const Json& number : entry.at(key)) {
    entry.require(number.is_number_unsigned() && number.get<std::uint64_t>() <= kMostExtent, key, expected);
    numbers.push_back(number.get<std::uint64_t>());
  }
  return numbers;
}

/// `data`: where in the file the data begin.
StoredTensor tensor_of(const JsonObject& entry, std::uint64_t data) {
  StoredTensor tensor;
  tensor.type = entry.text("dtype");
  const auto element = kElementBytes.find(tensor.type);
  entry.require(element != kElementBytes.end(), "dtype", "a type from BOOL to F64");
  const auto shape = whole_numbers(entry, "shape", kMostDimensions);
  const auto offsets = whole_numbers(entry, "data_offsets", 2);
  std::uint64_t bytes = element->second;
  bool fits = offsets.size() == 2 && offsets[0] <= offsets[1];
  for (const std::uint64_t extent : shape) fits = fits && !__builtin_mul_overflow(bytes, extent, &bytes);
  entry.require(fits && offsets[1] - offsets[0] == bytes, "data_offsets",
                "[begin, end] as far apart as dtype and shape say");
  tensor.shape.assign(shape.begin(), shape.end());
  tensor.begin = data + offsets[0], tensor.bytes = bytes;
  return tensor;
}

void require_no_gaps(const std::map<std::string, StoredTensor>& tensors, std::uint64_t data,
                     std::uint64_t file_bytes) {
  std::vector<const StoredTensor*> order;
  for (const auto& [name, tensor] : tensors) order.push_back(&tensor);
  const auto place = [](const StoredTensor* t) { return std::pair(t->begin, t->bytes); };
  std::sort(order.begin(), order.end(), [&](auto* a, auto* b) { return place(a) < place(b); });
  std::uint64_t covered = data;
  for (const StoredTensor* tensor : order) {
    if (tensor->begin != covered)
      throw std::invalid_argument("expected a tensor's data at byte " + std::to_string(covered) +
                                  ", found the next at " + std::to_string(tensor->begin));
    covered += tensor->bytes;
  }
  if (covered != file_bytes)
    throw std::invalid_argument("expected a file of " + std::to_string(covered) + " bytes, found " +
                                std::to_string(file_bytes) + "; it was cut or not written to its end");
}

}  // namespace

std::int64_t StoredTensor::count() const {
  return static_cast<std::int64_t>(bytes / kElementBytes.at(type));
}

std::string text_of(const StoredTensor& tensor) {
  std::string text = tensor.type + " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(tensor.shape[i]);
  return text + "]";
}

StoredFile::StoredFile(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: a pipe must be refused below, not waited for.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0)
    throw std::invalid_argument(path_.string() + ": expected a readable file, found: " + errno_text());
  try {
    read_header();
  } catch (const std::invalid_argument& error) {
    ::close(descriptor_);
    throw std::invalid_argument(path_.string() + ": " + error.what());
  }
}

StoredFile::~StoredFile() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

void StoredFile::read_header() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode))
    throw std::invalid_argument("expected a regular file, found something else");
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  std::uint64_t length = 0;
  if (file_bytes >= kLengthBytes)
    read_at(0, std::as_writable_bytes(std::span(&length, 1)));
  if (file_bytes < kLengthBytes || length > kMostHeaderBytes || length > file_bytes - kLengthBytes)
    throw std::invalid_argument("expected a safetensors header inside the file of " +
                                std::to_string(file_bytes) + " bytes, found a length of " +
                                std::to_string(length));
  std::string text(length, '\0');
  read_at(kLengthBytes, std::as_writable_bytes(std::span(text)));
  const Json header = parse_object(text);
  const std::uint64_t data = kLengthBytes + length;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__")
      continue;
    if (!entry.is_object())
      throw std::invalid_argument("key '" + name + "': expected an object, found " + shown(entry));
    tensors_[name] = tensor_of(JsonObject(entry, name + "."), data);
  }
  require_no_gaps(tensors_, data, file_bytes);
}

void StoredFile::read_at(std::uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t got = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      throw std::invalid_argument("expected " + std::to_string(to.size()) + " more bytes at " +
                                  std::to_string(offset) + ", found " +
                                  (got == 0 ? "the end of the file" : errno_text()));
    offset += static_cast<std::uint64_t>(got);
    to = to.subspan(static_cast<std::size_t>(got));
  }
}

void StoredFile::read(const std::string& name, std::span<std::byte> to) const {
  const StoredTensor& tensor = tensors_.at(name);
  if (to.size() != tensor.bytes)
    throw std::invalid_argument(path_.string() + ": expected memory of " + std::to_string(tensor.bytes) +
                                " bytes for '" + name + "', found " + std::to_string(to.size()));
  try {
    read_at(tensor.begin, to);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path_.string() + ": '" + name + "': " + error.what());
  }
}

}  // namespace assay::kernels::compile::checkpoint

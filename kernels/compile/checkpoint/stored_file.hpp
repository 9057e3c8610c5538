// SPDX-License-Identifier: Apache-2.0
// A safetensors file whose tensors are read one at a time into the caller's memory, so that a file larger
// than the host's memory can be gone through. Format: 8 bytes of header length, little endian; a JSON header;
// data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace assay::kernels::compile::checkpoint {

struct StoredTensor {
  std::string type;  ///< the format's word: "BF16", "U8", …
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, bytes = 0;  ///< of its data, `begin` counted from the first byte of the file

  std::int64_t count() const;  ///< elements
};

/// "BF16 [64, 48]"
std::string text_of(const StoredTensor& tensor);

class StoredFile {
 public:
  /// Opens the file and checks its header: types and shapes are known and give the length of their data, and
  /// the data fill the file without hole or overlap. Throws std::invalid_argument that begins with the path.
  explicit StoredFile(std::filesystem::path path);
  ~StoredFile();
  StoredFile(StoredFile&& other) noexcept
      : path_(std::move(other.path_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        tensors_(std::move(other.tensors_)) {}
  StoredFile& operator=(StoredFile&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  /// Fills `to`, which must be as long as the tensor. Throws std::invalid_argument where the file has become
  /// shorter or cannot be read.
  void read(const std::string& name, std::span<std::byte> to) const;

 private:
  void read_header();
  void read_at(std::uint64_t offset, std::span<std::byte> to) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::map<std::string, StoredTensor> tensors_;
};

struct TensorToStore {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// Writes f32 tensors, in order of their names. The file appears under its name when it is complete; an
/// existing one is replaced then. Throws std::invalid_argument where values and shape disagree,
/// std::runtime_error where the file cannot be written, and leaves nothing behind.
void store(const std::filesystem::path& path, const std::map<std::string, TensorToStore>& tensors);

/// The same for a text.
void store_text(const std::filesystem::path& path, const std::string& text);

}  // namespace assay::kernels::compile::checkpoint

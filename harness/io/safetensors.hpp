// SPDX-License-Identifier: Apache-2.0
// safetensors files: a strict reader that maps the file, and a writer that leaves a whole file or none.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/io/mapped_file.hpp"
#include "harness/io/safetensors_header.hpp"
#include "harness/io/stored_tensor.hpp"

namespace assay::harness {

class SafetensorsFile {
 public:
  /// Throws UsageError that starts with the path (parse_header and MappedFile::open say for what).
  static SafetensorsFile open(const std::filesystem::path& path);

  /// In order of the names.
  std::vector<std::string> names() const;
  /// Bytes live as long as this object, moved or not. Throws UsageError for a name the file does not hold.
  const StoredTensor& view(std::string_view name) const;
  const TensorTable& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  SafetensorsFile(std::filesystem::path path, MappedFile file);

  std::filesystem::path path_;
  MappedFile file_;
  TensorTable tensors_;
  std::map<std::string, std::string> metadata_;
};

struct TensorToWrite {
  std::string name;
  StoredDtype dtype = StoredDtype::kU8;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Writes `tensors` to `path`, widest elements first and then by name as the reference implementation does.
/// The file appears under its name when it is complete and on disk; an existing one is replaced. Throws
/// UsageError for names given twice, reserved or not UTF-8, for bytes that do not match dtype and shape, and
/// for a path that cannot be written; nothing is left behind then.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
// See safetensors.hpp: the reader.
#include "harness/io/safetensors.hpp"

#include <fmt/format.h>

#include <utility>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::harness {

SafetensorsFile::SafetensorsFile(std::filesystem::path path, MappedFile file)
    : path_(std::move(path)), file_(std::move(file)) {
  try {
    SafetensorsHeader header = parse_header(file_.bytes());
    tensors_ = tensors_in(file_.bytes(), header);
    metadata_ = std::move(header.metadata);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}; not a safetensors file, or a damaged one: fetch or write it again",
                                 path_.string(), error.what()));
  }
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  return SafetensorsFile(path, MappedFile::open(path));
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) {
    names.push_back(name);
  }
  return names;
}

const StoredTensor& SafetensorsFile::view(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw UsageError(fmt::format("{}: expected a tensor {}, found none of that name among {}", path_.string(),
                                 quote(name), tensors_.size()));
  }
  return found->second;
}

}  // namespace assay::harness

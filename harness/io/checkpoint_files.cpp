// SPDX-License-Identifier: Apache-2.0
// See checkpoint_files.hpp. Index format: transformers' model.safetensors.index.json, of which only
// `weight_map` means something.
#include "harness/io/checkpoint_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <system_error>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

bool is_index(const fs::path& path) {
  return path.filename().string().ends_with(kIndexSuffix);
}

/// The names in `directory` that `wanted` accepts, sorted.
template <class Predicate>
std::vector<fs::path> files_of(const fs::path& directory, Predicate wanted) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (wanted(at->path())) {
      found.push_back(at->path());
    }
  }
  if (error) {
    throw UsageError(
        fmt::format("{}: expected a readable directory, found {}", directory.string(), error.message()));
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path resolve_directory(const fs::path& directory) {
  const auto indices = files_of(directory, is_index);
  const auto files = files_of(directory, [](const fs::path& p) { return p.extension() == ".safetensors"; });
  if (indices.size() == 1) {
    return indices.front();
  }
  const fs::path model = directory / "model.safetensors";
  if (indices.empty() && std::find(files.begin(), files.end(), model) != files.end()) {
    return model;
  }
  if (indices.empty() && files.size() == 1) {
    return files.front();
  }
  throw UsageError(
      fmt::format("{}: expected one *{}, or a model.safetensors, or one *.safetensors, found {} and {} of "
                  "them; pass the file that is meant",
                  directory.string(), kIndexSuffix, indices.size(), files.size()));
}

/// Tensor name to file name. A file name that leads out of the directory is refused.
std::map<std::string, std::string> read_weight_map(const MappedFile& index) {
  const json root = parse_strict_json(as_text(index.bytes()), {});
  if (!root.is_object() || !root.contains("weight_map") || !root.at("weight_map").is_object() ||
      root.at("weight_map").empty()) {
    throw UsageError(
        "expected a JSON object with an object weight_map from tensor names to file names, found none");
  }
  std::map<std::string, std::string> weight_map;
  for (const auto& [tensor, file] : root.at("weight_map").items()) {
    const auto* name = file.get_ptr<const json::string_t*>();
    if (name == nullptr || name->empty() || name->find('\0') != std::string::npos ||
        fs::path(*name).filename() != fs::path(*name) || *name == "." || *name == "..") {
      throw UsageError(fmt::format("weight_map {}: expected the name of a file beside the index, found {}",
                                   quote(tensor), quote(file.dump())));
    }
    weight_map.emplace(tensor, *name);
  }
  return weight_map;
}

}  // namespace

CheckpointFiles CheckpointFiles::open(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at is reported by the open that follows
  CheckpointFiles checkpoint(fs::is_directory(path, ignored) ? resolve_directory(path) : path);
  if (is_index(checkpoint.path_)) {
    checkpoint.open_index();
  } else {
    checkpoint.add(SafetensorsFile::open(checkpoint.path_));
  }
  return checkpoint;
}

void CheckpointFiles::add(SafetensorsFile file) {
  files_.push_back(std::move(file));
  for (const auto& [name, tensor] : files_.back().tensors()) {
    if (!tensors_.emplace(name, tensor).second) {
      throw UsageError(fmt::format("{}: expected tensor {} in one shard, found it in another one too",
                                   files_.back().path().string(), quote(name)));
    }
  }
}

void CheckpointFiles::open_index() {
  const MappedFile index = MappedFile::open(path_);
  std::map<std::string, std::size_t> opened;
  try {
    for (const auto& [tensor, file] : read_weight_map(index)) {
      if (!opened.contains(file)) {
        add(SafetensorsFile::open(path_.parent_path() / file));
        opened.emplace(file, files_.size() - 1);
      }
      if (!files_[opened.at(file)].tensors().contains(tensor)) {
        throw UsageError(fmt::format("weight_map: expected tensor {} in {}, found none there", quote(tensor),
                                     quote(file)));
      }
    }
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", path_.string(), error.what()));
  }
}

}  // namespace assay::harness

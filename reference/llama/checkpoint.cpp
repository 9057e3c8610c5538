// SPDX-License-Identifier: Apache-2.0
// Checkpoint of safetensors.hpp.
#include <stdexcept>

#include "reference/llama/json_fields.hpp"
#include "reference/llama/safetensors.hpp"

namespace assay::reference::llama {
namespace {

/// File name of every tensor that the index lists.
std::map<std::string, std::string> read_index(const std::filesystem::path& path) {
  try {
    const auto index = parse_object(read_text(path));
    const Fields fields(index), map = fields.object("weight_map");
    std::map<std::string, std::string> files;
    for (const auto& [name, file] : map.json().items()) {
      if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos)
        refuse_key("weight_map." + name, "a file name without folders", file);
      files[name] = file.get<std::string>();
    }
    return files;
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path.string() + ": " + error.what());
  }
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& folder) : folder_(folder) {
  const auto index = folder / "model.safetensors.index.json";
  if (!std::filesystem::exists(index)) {
    shards_.emplace_back(folder / "model.safetensors");
    for (const std::string& name : shards_[0].names()) shard_of_[name] = 0;
    return;
  }
  std::map<std::string, std::size_t> opened;
  for (const auto& [name, file] : read_index(index)) {
    const auto [place, is_new] = opened.try_emplace(file, shards_.size());
    if (is_new)
      shards_.emplace_back(folder / file);
    if (!shards_[place->second].contains(name))
      throw std::invalid_argument((folder / file).string() + ": expected the tensor '" + name +
                                  "' that the index puts there, found no such name");
    shard_of_[name] = place->second;
  }
}

at::Tensor Checkpoint::read(const std::string& name) {
  const auto found = shard_of_.find(name);
  if (found == shard_of_.end())
    throw std::invalid_argument(folder_.string() + ": expected the tensor '" + name +
                                "', found no such name");
  used_[name] = true;
  return shards_[found->second].read(name);
}

std::vector<std::string> Checkpoint::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, shard] : shard_of_)
    if (!used_.contains(name))
      names.push_back(name);
  return names;
}

}  // namespace assay::reference::llama

// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/stored_model.hpp"

#include <stdexcept>

#include "kernels/compile/checkpoint/json_object.hpp"

namespace assay::kernels::compile::checkpoint {

StoredModel::StoredModel(const std::filesystem::path& folder) : folder_(folder) {
  const std::filesystem::path index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(index)) {
    try {
      open_index(index);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(index.string() + ": " + error.what());
    }
    return;
  }
  files_.emplace_back(folder / "model.safetensors");
  for (const auto& [name, tensor] : files_[0].tensors()) place_[name] = 0;
}

void StoredModel::open_index(const std::filesystem::path& index) {
  const Json root = parse_object(read_text(index));
  const JsonObject map = JsonObject(root).object("weight_map");
  std::map<std::string, std::size_t> opened;
  for (const auto& [name, value] : map.json().items()) {
    const std::string file = map.text(name);
    map.require(!file.empty() && file.find('/') == std::string::npos && file != "." && file != "..", name,
                "the name of a file beside the index");
    const auto [at, is_new] = opened.try_emplace(file, files_.size());
    if (is_new)
      files_.emplace_back(folder_ / file);
    if (!files_[at->second].tensors().contains(name))
      throw std::invalid_argument("expected the tensor '" + name + "' in " + file +
                                  ", found none of that name");
    place_[name] = at->second;
  }
}

std::vector<std::string> StoredModel::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : place_) names.push_back(name);
  return names;
}

const StoredFile& StoredModel::file_of(const std::string& name) const {
  const auto found = place_.find(name);
  if (found == place_.end())
    throw std::invalid_argument(folder_.string() + ": expected the tensor '" + name +
                                "', found none of that name");
  return files_[found->second];
}

const StoredTensor& StoredModel::tensor(const std::string& name) const {
  return file_of(name).tensors().at(name);
}

void StoredModel::read(const std::string& name, std::span<std::byte> to) const {
  file_of(name).read(name, to);
}

}  // namespace assay::kernels::compile::checkpoint

// SPDX-License-Identifier: Apache-2.0
// Writers of stored_file.hpp.
#include <bit>
#include <fstream>
#include <functional>
#include <stdexcept>

#include "kernels/compile/checkpoint/json_object.hpp"
#include "kernels/compile/checkpoint/stored_file.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

/// Writes beside the final place and renames; what fails is removed.
void replace(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write) {
  std::filesystem::path pending = path;
  pending += ".part";
  std::ofstream file(pending, std::ios::binary | std::ios::trunc);
  if (file)
    write(file);
  file.close();
  std::error_code error;
  if (file)
    std::filesystem::rename(pending, path, error);
  if (file && !error)
    return;
  std::filesystem::remove(pending, error);
  throw std::runtime_error(path.string() +
                           ": expected to write it, found no room, no folder or no permission");
}

}  // namespace

void store(const std::filesystem::path& path, const std::map<std::string, TensorToStore>& tensors) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    std::uint64_t count = 1;
    for (const std::int64_t extent : tensor.shape) count *= static_cast<std::uint64_t>(extent);
    if (count != tensor.values.size())
      throw std::invalid_argument("'" + name + "': expected " + std::to_string(count) + " values, found " +
                                  std::to_string(tensor.values.size()));
    const std::uint64_t begin = end;
    end += count * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data begin at a multiple of 8
  replace(path, [&](std::ostream& out) {
    const std::uint64_t length = text.size();
    out.write(reinterpret_cast<const char*>(&length), sizeof length) << text;
    for (const auto& [name, tensor] : tensors)
      out.write(reinterpret_cast<const char*>(tensor.values.data()),
                static_cast<std::streamsize>(tensor.values.size() * sizeof(float)));
  });
}

void store_text(const std::filesystem::path& path, const std::string& text) {
  replace(path, [&](std::ostream& out) { out << text; });
}

}  // namespace assay::kernels::compile::checkpoint

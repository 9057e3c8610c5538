// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/training_text.hpp"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"
#include "suites/backprop/text.hpp"

namespace assay::suites::backprop {
namespace {

at::Tensor as_tensor(std::vector<std::int64_t>& ids) {
  return at::from_blob(ids.data(), {static_cast<std::int64_t>(ids.size())}, at::kLong).clone();
}

}  // namespace

at::Tensor bytes_of_licences() {
  const std::filesystem::path folder = "/usr/share/common-licenses";
  constexpr std::size_t kLeast = 64 << 10;
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.is_regular_file(error) && !entry.is_symlink(error))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::int64_t> ids;
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    for (auto byte = std::istreambuf_iterator<char>(file); byte != std::istreambuf_iterator<char>(); ++byte)
      ids.push_back(static_cast<unsigned char>(*byte));
  }
  if (ids.size() < kLeast)
    throw harness::Skip(
        text("expected at least ", kLeast, " bytes of text in ", folder.string(), ", found ", ids.size()));
  return as_tensor(ids);
}

at::Tensor token_ids_of_file(const std::filesystem::path& path, std::int64_t vocab) {
  std::ifstream file(path);
  std::vector<std::int64_t> ids;
  for (std::int64_t id = 0; file >> id;) {
    if (id < 0 || id >= vocab)
      throw std::invalid_argument(
          text(path.string(), ": expected token ids from 0 to ", vocab - 1, ", found ", id));
    ids.push_back(id);
  }
  if (!file.eof() || ids.empty())
    throw std::invalid_argument(
        text(path.string(), ": expected decimal numbers, found something else after ", ids.size()));
  return as_tensor(ids);
}

}  // namespace assay::suites::backprop

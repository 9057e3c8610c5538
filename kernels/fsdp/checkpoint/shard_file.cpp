// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/checkpoint/shard_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "kernels/fsdp/checkpoint/digest.hpp"

namespace assay::kernels::fsdp {
namespace {

void check(std::span<const PartToWrite> parts) {
  std::set<std::string> names;
  for (const auto& [part, bytes] : parts) {
    if (part.name == "__metadata__" || !names.insert(part.name).second)
      throw std::invalid_argument("shard: expected names used once and not reserved, found " + part.name);
    if (const std::int64_t expected = part.count * bytes_of(part.type.element);
        expected != static_cast<std::int64_t>(bytes.size()))
      throw std::invalid_argument("shard, tensor " + part.name + ": expected " + std::to_string(expected) +
                                  " bytes, found " + std::to_string(bytes.size()));
  }
}

/// The format wants no holes, readers want aligned elements: widest first.
std::vector<const PartToWrite*> in_file_order(std::span<const PartToWrite> parts) {
  std::vector<const PartToWrite*> order;
  for (const PartToWrite& part : parts) order.push_back(&part);
  std::stable_sort(order.begin(), order.end(), [](const PartToWrite* a, const PartToWrite* b) {
    return bytes_of(a->part.type.element) > bytes_of(b->part.type.element);
  });
  return order;
}

/// Little-endian length, then JSON padded with spaces to a multiple of 8.
std::string header_of(std::span<const PartToWrite* const> order) {
  nlohmann::ordered_json metadata = {{"format", "assay.shard/1"}};
  for (const PartToWrite* each : order)
    metadata["first:" + each->part.name] = std::to_string(each->part.first);
  nlohmann::ordered_json header = {{"__metadata__", metadata}};
  std::size_t at = 0;
  for (const PartToWrite* each : order) {
    header[each->part.name] = {{"dtype", name_of(each->part.type.element)},
                               {"shape", {each->part.count}},
                               {"data_offsets", {at, at + each->bytes.size()}}};
    at += each->bytes.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

}  // namespace

ShardReceipt write_shard_file(Files& files, const std::filesystem::path& directory, const std::string& name,
                              std::span<const PartToWrite> parts) {
  check(parts);
  const auto order = in_file_order(parts);
  const std::string header = header_of(order);
  ShardReceipt receipt{.file = name, .bytes = header.size(), .sha256 = {}, .parts = {}};
  const std::filesystem::path path = directory / name, partial = directory / (name + ".partial");
  Sha256 digest;
  {
    const auto file = files.create(partial);
    const auto write = [&](std::span<const std::byte> bytes) {
      file->write(bytes);
      digest.add(bytes);
    };
    write(std::as_bytes(std::span(header)));
    for (const PartToWrite* each : order) {
      write(each->bytes);
      receipt.parts.push_back({each->part, receipt.bytes});
      receipt.bytes += each->bytes.size();
    }
    file->sync();
  }
  files.rename(partial, path);
  files.sync_directory(directory);
  receipt.sha256 = digest.finish();
  return receipt;
}

}  // namespace assay::kernels::fsdp

// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/checkpoint/manifest.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

using nlohmann::ordered_json;
constexpr const char* kFormat = "assay.sharded_checkpoint/1";

ordered_json json_of(const ShardReceipt& receipt) {
  ordered_json parts = ordered_json::array();
  for (const auto& [part, offset] : receipt.parts)
    parts.push_back({{"name", part.name},
                     {"dtype", name_of(part.type.element)},
                     {"shape", part.type.shape},
                     {"first", part.first},
                     {"count", part.count},
                     {"offset", offset}});
  return {{"file", receipt.file}, {"bytes", receipt.bytes}, {"sha256", receipt.sha256}, {"parts", parts}};
}

/// A name and no way out of the checkpoint's folder.
std::string plain_file_name(const std::string& name) {
  if (name.empty() || name.front() == '.' || name.find_first_of("/\\") != std::string::npos)
    throw std::invalid_argument("expected a shard's file name without folders, found '" + name + "'");
  return name;
}

ShardReceipt receipt_of(const ordered_json& json) {
  ShardReceipt receipt;
  receipt.file = plain_file_name(json.at("file").get<std::string>());
  receipt.bytes = json.at("bytes").get<std::uint64_t>();
  receipt.sha256 = json.at("sha256").get<std::string>();
  for (const ordered_json& part : json.at("parts")) {
    StoredPart stored;
    stored.part.name = part.at("name").get<std::string>();
    stored.part.type.element = parse_element(part.at("dtype").get<std::string>());
    stored.part.type.shape = part.at("shape").get<std::vector<std::int64_t>>();
    stored.part.first = part.at("first").get<std::int64_t>();
    stored.part.count = part.at("count").get<std::int64_t>();
    stored.offset = part.at("offset").get<std::uint64_t>();
    receipt.parts.push_back(std::move(stored));
  }
  return receipt;
}

/// nlohmann's own errors become what this file promises.
template <class Read>
auto reading(const std::string& text, const Read& read) {
  try {
    return read(ordered_json::parse(text));
  } catch (const ordered_json::exception& error) {
    throw std::invalid_argument(std::string("expected JSON of a sharded checkpoint, found: ") + error.what());
  }
}

}  // namespace

std::string text_of(const ShardReceipt& receipt) {
  return json_of(receipt).dump();
}

ShardReceipt parse_receipt(const std::string& text) {
  return reading(text, receipt_of);
}

std::string text_of(const Manifest& manifest) {
  ordered_json shards = ordered_json::array();
  for (const ShardReceipt& shard : manifest.shards) shards.push_back(json_of(shard));
  const ordered_json json = {{"format", kFormat},
                             {"step", manifest.step},
                             {"model", manifest.model},
                             {"state", manifest.state},
                             {"shards", shards}};
  return json.dump(1) + "\n";
}

Manifest parse_manifest(const std::string& text) {
  return reading(text, [](const ordered_json& json) {
    if (const auto format = json.at("format").get<std::string>(); format != kFormat)
      throw std::invalid_argument(std::string("expected format ") + kFormat + ", found '" + format + "'");
    Manifest manifest;
    manifest.step = json.at("step").get<std::int64_t>();
    manifest.model = json.at("model").get<std::string>();
    manifest.state = json.at("state").get<ReplicatedState>();
    for (const ordered_json& shard : json.at("shards")) manifest.shards.push_back(receipt_of(shard));
    return manifest;
  });
}

}  // namespace assay::kernels::fsdp

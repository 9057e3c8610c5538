// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/checkpoint/load.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "kernels/fsdp/checkpoint/digest.hpp"
#include "kernels/fsdp/checkpoint/error.hpp"
#include "kernels/fsdp/checkpoint/save.hpp"

namespace assay::kernels::fsdp {
namespace {

std::string whole_text(const std::filesystem::path& path, const char* otherwise) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file)
    throw CheckpointError(path.string(), "to read it", otherwise);
  return text;
}

void verify(const std::filesystem::path& path, const ShardReceipt& shard) {
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(path, missing);
  if (missing)
    throw CheckpointError(path.string(), "a shard of " + std::to_string(shard.bytes) + " bytes",
                          missing.message());
  if (bytes != shard.bytes)
    throw CheckpointError(path.string(), std::to_string(shard.bytes) + " bytes", std::to_string(bytes));
  if (const std::string found = sha256_of_file(path); found != shard.sha256)
    throw CheckpointError(path.string(), "SHA-256 " + shard.sha256, found);
}

}  // namespace

ShardedCheckpoint ShardedCheckpoint::open(const std::filesystem::path& folder) {
  ShardedCheckpoint checkpoint(folder);
  const std::filesystem::path manifest = folder / kManifestName;
  const std::string marker = whole_text(folder / kMarkerName, "no marker: the checkpoint was never finished");
  const std::string text = whole_text(manifest, "an error or no file");
  if (const std::string found = sha256(std::as_bytes(std::span(text))) + "\n"; found != marker)
    throw CheckpointError(manifest.string(), "the SHA-256 that the marker names", "another");
  try {
    checkpoint.manifest_ = parse_manifest(text);
    checkpoint.tensors_ = tensors_of(checkpoint.manifest_.shards);
  } catch (const std::invalid_argument& error) {
    throw CheckpointError(manifest.string(), "a manifest this version reads", error.what());
  }
  for (const ShardReceipt& shard : checkpoint.manifest_.shards) verify(folder / shard.file, shard);
  return checkpoint;
}

ShardedCheckpoint ShardedCheckpoint::open_newest(const std::filesystem::path& root) {
  const auto steps = committed_steps(root);
  if (steps.empty())
    throw CheckpointError(root.string(), "a folder with at least one committed checkpoint", "none");
  return open(checkpoint_folder(root, steps.back()));
}

void ShardedCheckpoint::require_model(const std::string& model) const {
  if (manifest_.model != model)
    throw CheckpointError(folder_.string(), "a checkpoint of model " + model, "one of " + manifest_.model);
}

void ShardedCheckpoint::read(const TensorPart& part, std::span<std::byte> out) const {
  const auto refuse = [&](const std::string& expected, const std::string& found) {
    throw CheckpointError(folder_.string() + ", tensor " + part.name, expected, found);
  };
  const auto known = tensors_.find(part.name);
  if (known == tensors_.end())
    refuse("it to be stored", "no such tensor");
  if (known->second != part.type)
    refuse("the type and shape that are asked for", "another stored");
  const std::int64_t size = bytes_of(part.type.element), end = part.first + part.count;
  if (part.first < 0 || part.count < 0 || end > part.type.elements() ||
      static_cast<std::int64_t>(out.size()) != part.count * size)
    refuse("a range inside the tensor and a buffer of its bytes",
           std::to_string(part.count) + " elements from " + std::to_string(part.first) + " into " +
               std::to_string(out.size()) + " bytes");
  for (const ShardReceipt& shard : manifest_.shards)
    for (const auto& [stored, offset] : shard.parts) {
      const std::int64_t from = std::max(part.first, stored.first),
                         to = std::min(end, stored.first + stored.count);
      if (stored.name != part.name || from >= to)
        continue;
      std::ifstream file(folder_ / shard.file, std::ios::binary);
      file.seekg(static_cast<std::streamoff>(offset) + (from - stored.first) * size);
      file.read(reinterpret_cast<char*>(out.data() + (from - part.first) * size), (to - from) * size);
      if (!file)
        refuse("to read it from " + shard.file, "an error");
    }
}

}  // namespace assay::kernels::fsdp

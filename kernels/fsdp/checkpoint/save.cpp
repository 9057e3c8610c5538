// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/checkpoint/save.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "kernels/fsdp/checkpoint/digest.hpp"
#include "kernels/fsdp/checkpoint/error.hpp"
#include "kernels/fsdp/checkpoint/shard_file.hpp"

namespace assay::kernels::fsdp {
namespace {

constexpr std::string_view kPrefix = "step-";

/// The step of a folder named as checkpoint_folder names it.
std::optional<std::int64_t> step_of(const std::string& folder) {
  std::int64_t step = 0;
  if (!folder.starts_with(kPrefix))
    return std::nullopt;
  const char *first = folder.data() + kPrefix.size(), *last = folder.data() + folder.size();
  const auto [end, error] = std::from_chars(first, last, step);
  return error == std::errc() && end == last && first != last ? std::optional(step) : std::nullopt;
}

bool is_committed(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / kMarkerName, ignored);
}

}  // namespace

std::filesystem::path checkpoint_folder(const std::filesystem::path& root, std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof(name), "step-%08lld", static_cast<long long>(step));
  return root / name;
}

void begin_checkpoint(Files& files, const std::filesystem::path& root, std::int64_t step) {
  const std::filesystem::path folder = checkpoint_folder(root, step);
  if (is_committed(folder))
    throw CheckpointError(folder.string(), "no checkpoint of this step yet", "a committed one; move it away");
  files.remove_all(folder);
  files.make_directory(folder);
  files.sync_directory(root);
}

ShardReceipt save_shard(Files& files, const std::filesystem::path& root, std::int64_t step, int rank,
                        int world, std::span<const PartToWrite> parts) {
  char name[64];
  std::snprintf(name, sizeof(name), "shard-%05d-of-%05d.safetensors", rank, world);
  return write_shard_file(files, checkpoint_folder(root, step), name, parts);
}

void commit_checkpoint(Files& files, const std::filesystem::path& root, const Manifest& manifest) {
  tensors_of(manifest.shards);
  const std::filesystem::path folder = checkpoint_folder(root, manifest.step);
  const std::string text = text_of(manifest);
  write_whole(files, folder / kManifestName, std::as_bytes(std::span(text)));
  const std::string marker = sha256(std::as_bytes(std::span(text))) + "\n";
  write_whole(files, folder / kMarkerName, std::as_bytes(std::span(marker)));
}

std::vector<std::int64_t> committed_steps(const std::filesystem::path& root) {
  std::vector<std::int64_t> steps;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(root, missing))
    if (const auto step = step_of(entry.path().filename().string()); step && is_committed(entry.path()))
      steps.push_back(*step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

void prune_checkpoints(Files& files, const std::filesystem::path& root, std::size_t keep) {
  const auto steps = committed_steps(root);
  for (std::size_t i = 0; i + keep < steps.size(); ++i) {
    const std::filesystem::path folder = checkpoint_folder(root, steps[i]);
    files.remove_all(folder / kMarkerName);
    files.sync_directory(folder);
    files.remove_all(folder);
  }
}

}  // namespace assay::kernels::fsdp

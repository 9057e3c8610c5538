// SPDX-License-Identifier: Apache-2.0
// See safetensors.hpp: the writer. Written beside its final place under a name of its own, synced, then
// renamed.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "harness/core/outcome.hpp"
#include "harness/io/safetensors.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::harness {
namespace {

using nlohmann::ordered_json;

void check(std::span<const TensorToWrite> tensors) {
  std::set<std::string_view> names;
  for (const auto& tensor : tensors) {
    if (tensor.name == "__metadata__" || !names.insert(tensor.name).second) {
      throw UsageError(
          fmt::format("expected tensor names used once and not reserved, found {}", quote(tensor.name)));
    }
    if (const auto size = stored_bytes(tensor.dtype, tensor.shape); size != tensor.bytes.size()) {
      throw UsageError(fmt::format("tensor {}: expected {} bytes for shape {} of {}, found {}",
                                   quote(tensor.name), size, shape_text(tensor.shape), name_of(tensor.dtype),
                                   tensor.bytes.size()));
    }
  }
}

std::vector<const TensorToWrite*> in_file_order(std::span<const TensorToWrite> tensors) {
  std::vector<const TensorToWrite*> order;
  for (const auto& tensor : tensors) {
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(-bits_of(a->dtype), std::string_view(a->name)) <
           std::pair(-bits_of(b->dtype), std::string_view(b->name));
  });
  return order;
}

/// Length and JSON, padded with spaces so that the data starts at a multiple of 8.
std::string header_bytes(std::span<const TensorToWrite* const> order,
                         const std::map<std::string, std::string>& metadata) {
  ordered_json header = ordered_json::object();
  if (!metadata.empty()) {
    header["__metadata__"] = metadata;
  }
  std::uint64_t at = 0;
  for (const auto* tensor : order) {
    header[tensor->name] = {{"dtype", name_of(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {at, at + tensor->bytes.size()}}};
    at += tensor->bytes.size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const ordered_json::exception& error) {
    throw UsageError("expected names and metadata in UTF-8, found " + quote(error.what()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    throw UsageError(
        fmt::format("expected a header of at most {} bytes, found {}", kMaxHeaderBytes, text.size()));
  }
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

/// The file on its way: removed again unless `commit` was reached.
class PendingFile {
 public:
  explicit PendingFile(const std::filesystem::path& target) : target_(target) {
    static std::atomic<int> counter{0};
    pending_ = target;
    pending_ += fmt::format(".{}-{}.part", ::getpid(), counter++);
    fd_ = ::open(pending_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) {
      fail("be created");
    }
  }
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile() {
    ::close(fd_);
    if (!committed_) {
      ::unlink(pending_.c_str());
    }
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) {
        fail("be written");
      }
      bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
  }

  void commit() {
    if (::fsync(fd_) != 0 || ::rename(pending_.c_str(), target_.c_str()) != 0) {
      fail("be put in place");
    }
    committed_ = true;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw UsageError(fmt::format("{}: expected it to {}, found: {}", target_.string(), what,
                                 std::generic_category().message(errno)));
  }

  std::filesystem::path target_, pending_;
  int fd_ = -1;
  bool committed_ = false;
};

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  check(tensors);
  const auto order = in_file_order(tensors);
  const std::string header = header_bytes(order, metadata);
  PendingFile file(path);
  file.write(header);
  for (const auto* tensor : order) {
    file.write(as_text(tensor->bytes));
  }
  file.commit();
}

}  // namespace assay::harness

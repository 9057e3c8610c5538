// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/compiler.hpp"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <optional>

#include "kernels/attention/nvrtc.hpp"
#include "kernels/common/sha256.hpp"

namespace assay::kernels::attention {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "assay attention program 1\n";

/// -default-device: mods need no __device__. Warnings about what a mod does not use are noise in a user's
/// log.
const std::vector<std::string>& options() {
  static const std::vector<std::string> kOptions = {"-std=c++20",
                                                    "-default-device",
                                                    "-lineinfo",
                                                    "--ptxas-options=-v",
                                                    "--extra-device-vectorization",
                                                    "--diag-suppress=177,550"};
  return kOptions;
}

std::string key_of(const std::string& source, const Target& target) {
  // Length before each part: no two lists of parts make the same text.
  std::string all;
  const auto add = [&](const std::string& part) { all += std::to_string(part.size()) + ":" + part; };
  add(nvrtc_version());
  add(name_of(target));
  for (const std::string& option : options()) add(option);
  for (const auto& [name, text] : device_headers()) add(name), add(text);
  add(source);
  return sha256(all);
}

/// File: magic, key, SHA-256 of the rest, a line each; then length of the log, the log, the code.
std::string to_file(const std::string& key, const Image& image) {
  const std::string body = std::to_string(image.log.size()) + "\n" + image.log + image.code;
  return std::string(kMagic) + key + "\n" + sha256(body) + "\n" + body;
}

/// Nothing for a file that is damaged or somebody else's.
std::optional<Image> from_file(const std::string& key, const std::string& text) {
  const std::string head = std::string(kMagic) + key + "\n";
  if (!text.starts_with(head) || text.size() < head.size() + 65)
    return std::nullopt;
  const std::string body = text.substr(head.size() + 65);
  if (text.substr(head.size(), 64) != sha256(body))
    return std::nullopt;
  const std::size_t line = body.find('\n');
  const std::size_t log_size = std::stoul(body.substr(0, line));
  return Image{body.substr(line + 1 + log_size), body.substr(line + 1, log_size)};
}

std::optional<std::string> read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// Whole or not at all: written beside and renamed. Throws std::runtime_error where that fails.
void write(const fs::path& file, const std::string& text) {
  static std::atomic<int> serial{0};
  const fs::path beside = file.string() + "." + std::to_string(::getpid()) + "." + std::to_string(serial++);
  {
    std::ofstream out(beside, std::ios::binary);
    out << text;
    if (!out.flush())
      throw std::runtime_error("expected to write " + beside.string() + ", found no room or no permission");
  }
  fs::rename(beside, file);
}

}  // namespace

Compiler::Compiler(fs::path folder) : folder_(std::move(folder)) {
  if (folder_.empty())
    return;
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_))
    throw std::runtime_error("expected to make the folder " + folder_.string() +
                             " for compiled attention programs, found: " + error.message());
}

std::shared_ptr<const Image> Compiler::image_locked(const std::string& key, const std::string& source,
                                                    const Target& target,
                                                    const std::map<std::string, std::string>& texts) {
  if (const auto found = images_.find(key); found != images_.end()) {
    ++counters_.memory_hits;
    return found->second;
  }
  const fs::path file = folder_ / (key + ".bin");
  if (const auto text = folder_.empty() ? std::nullopt : read(file)) {
    if (auto image = from_file(key, *text)) {
      ++counters_.disk_loads;
      return images_[key] = std::make_shared<const Image>(*std::move(image));
    }
    ++counters_.rejected_files;
  }
  Compilation made = compile_with_nvrtc(source, device_headers(), options(), name_of(target));
  ++counters_.compilations;
  if (!made.succeeded)
    throw CompileError(
        "attention mods do not compile for " + name_of(target) + ":\n" + explain(made.log, texts), made.log);
  const auto image = std::make_shared<const Image>(Image{std::move(made.code), std::move(made.log)});
  if (!folder_.empty())
    write(file, to_file(key, *image));
  return images_[key] = image;
}

std::shared_ptr<const Image> Compiler::image(const std::string& source, const Target& target,
                                             const std::map<std::string, std::string>& texts) {
  const std::string key = key_of(source, target);
  const std::lock_guard lock(mutex_);
  return image_locked(key, source, target, texts);
}

std::shared_ptr<const LoadedProgram> Compiler::program(const std::string& source, const Target& target,
                                                       const std::map<std::string, std::string>& texts) {
  const std::string key = key_of(source, target);
  const std::lock_guard lock(mutex_);
  if (const auto found = programs_.find(key); found != programs_.end()) {
    ++counters_.memory_hits;
    return found->second;
  }
  const auto image = image_locked(key, source, target, texts);
  return programs_[key] = std::make_shared<const LoadedProgram>(image->code);
}

CompileCounters Compiler::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace assay::kernels::attention

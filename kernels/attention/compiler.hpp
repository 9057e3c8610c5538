// SPDX-License-Identifier: Apache-2.0
// Programs from source: NVRTC, a cache in memory and one on disk, and counters of all of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/attention/config.hpp"
#include "kernels/attention/loaded_program.hpp"

namespace assay::kernels::attention {

/// A mod that does not compile: what() shows the user's own line and the compiler's message; log() is the
/// whole log.
class CompileError : public std::runtime_error {
 public:
  CompileError(const std::string& what, std::string log) : std::runtime_error(what), log_(std::move(log)) {}
  const std::string& log() const { return log_; }

 private:
  std::string log_;
};

struct CompileCounters {
  std::int64_t compilations = 0;    ///< programs that NVRTC made
  std::int64_t disk_loads = 0;      ///< programs found in the folder
  std::int64_t memory_hits = 0;     ///< programs asked for again
  std::int64_t rejected_files = 0;  ///< damaged files, compiled again and replaced
};

/// Machine code (or PTX) and what the assembler said about it: registers, spills.
struct Image {
  std::string code;
  std::string log;
};

/// Thread-safe. Keys are SHA-256 over source, headers, flags, architecture and toolkit.
class Compiler {
 public:
  /// `folder`: where compiled programs are kept between processes, made if need be; empty: nowhere. Throws
  /// std::runtime_error where it cannot be made.
  explicit Compiler(std::filesystem::path folder = {});

  /// Compiled without a GPU. `sources`: the user's texts by the names in #line, for messages.
  std::shared_ptr<const Image> image(const std::string& source, const Target& target,
                                     const std::map<std::string, std::string>& texts);
  /// The same, loaded into the driver.
  std::shared_ptr<const LoadedProgram> program(const std::string& source, const Target& target,
                                               const std::map<std::string, std::string>& texts);
  CompileCounters counters() const;

 private:
  std::shared_ptr<const Image> image_locked(const std::string& key, const std::string& source,
                                            const Target& target,
                                            const std::map<std::string, std::string>& texts);

  const std::filesystem::path folder_;
  mutable std::mutex mutex_;
  CompileCounters counters_;
  std::map<std::string, std::shared_ptr<const Image>> images_;
  std::map<std::string, std::shared_ptr<const LoadedProgram>> programs_;
};

}  // namespace assay::kernels::attention

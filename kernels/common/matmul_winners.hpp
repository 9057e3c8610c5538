// SPDX-License-Identifier: Apache-2.0
// The table of timed choices of one device, in memory and, where a file is given, on disk: what a later
// process on the same kind of GPU with the same cuBLASLt need not time again.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/common/matmul_search.hpp"

namespace assay::kernels {

/// A line of the file: the bucket's numbers, the algorithm's 64 bytes in hexadecimal, what the search found,
/// and at its end 16 digits of the SHA-256 of all before them.
std::string winner_line(const MatmulBucket& bucket, const MatmulWinner& winner);
/// The opposite; nullopt for anything else, cut, changed or of another version.
std::optional<std::pair<MatmulBucket, MatmulWinner>> parse_winner_line(std::string_view line);

class MatmulWinners {
 public:
  const MatmulWinner* find(const MatmulBucket& bucket) const;
  /// Of a search of this process. Written to the file at once, beside what other processes wrote since then.
  /// Throws std::runtime_error where it cannot be written.
  void add(const MatmulBucket& bucket, const MatmulWinner& winner);
  /// Reads `file`, which need not exist, and writes to it from now on. What this process has timed stays and
  /// is written; lines that parse_winner_line refuses are left out and gone with the next winner. Throws
  /// std::runtime_error where its folder cannot be made or it cannot be written.
  void keep_in(const std::filesystem::path& file);
  /// Neither winners nor a file.
  void forget();
  /// All, `kept` where they came from the file.
  std::vector<MatmulSearch> table() const;

 private:
  void read_file();
  void write_file() const;

  std::map<MatmulBucket, MatmulWinner> winners_;
  std::filesystem::path file_;
};

}  // namespace assay::kernels

// SPDX-License-Identifier: Apache-2.0
#include "kernels/common/matmul_winners.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <locale>
#include <sstream>
#include <stdexcept>

#include "kernels/common/sha256.hpp"

namespace assay::kernels {
namespace {

namespace fs = std::filesystem;
constexpr const char* kVersion = "assay-matmul-winner-1";
constexpr std::size_t kDigits = 16;

using Words = std::array<std::uint64_t, sizeof(cublasLtMatmulAlgo_t) / 8>;
static_assert(sizeof(Words) == sizeof(cublasLtMatmulAlgo_t));

std::string seal_of(std::string_view text) {
  return sha256(text).substr(0, kDigits);
}

std::runtime_error cannot_write(const fs::path& file) {
  return std::runtime_error("matmul: expected to write " + file.string() +
                            ", found no room, no permission or no folder: name another folder for winners");
}

}  // namespace

std::string winner_line(const MatmulBucket& bucket, const MatmulWinner& winner) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << kVersion;
  for (const std::int64_t size : bucket.sizes) out << ' ' << size;
  for (const int layout : bucket.layout) out << ' ' << layout;
  for (const std::uint32_t alignment : bucket.alignment) out << ' ' << alignment;
  out << ' ' << bucket.workspace_bytes << ' ' << bucket.adds << std::hex;
  Words words{};
  std::memcpy(words.data(), &winner.algorithm, sizeof words);
  for (const std::uint64_t word : words) out << ' ' << word;
  out << std::dec << ' ' << winner.log.proposals << ' ' << winner.log.winner << ' ' << winner.log.first_us
      << ' ' << winner.log.winner_us << ' ' << winner.log.product << '|';
  return out.str() + seal_of(out.str());
}

std::optional<std::pair<MatmulBucket, MatmulWinner>> parse_winner_line(std::string_view line) {
  const std::size_t end = line.rfind('|');
  if (end == std::string_view::npos || line.substr(end + 1) != seal_of(line.substr(0, end + 1)))
    return std::nullopt;
  std::istringstream in{std::string(line.substr(0, end))};
  in.imbue(std::locale::classic());
  std::string version;
  in >> version;
  MatmulBucket bucket{};
  for (std::int64_t& size : bucket.sizes) in >> size;
  for (int& layout : bucket.layout) in >> layout;
  for (std::uint32_t& alignment : bucket.alignment) in >> alignment;
  in >> bucket.workspace_bytes >> bucket.adds >> std::hex;
  Words words{};
  for (std::uint64_t& word : words) in >> word;
  MatmulWinner winner{};
  std::memcpy(&winner.algorithm, words.data(), sizeof words);
  in >> std::dec >> winner.log.proposals >> winner.log.winner >> winner.log.first_us >> winner.log.winner_us;
  in.ignore(1);
  std::getline(in, winner.log.product);
  if (version != kVersion || winner.log.product.empty())
    return std::nullopt;
  return std::pair(bucket, std::move(winner));
}

const MatmulWinner* MatmulWinners::find(const MatmulBucket& bucket) const {
  const auto known = winners_.find(bucket);
  return known != winners_.end() ? &known->second : nullptr;
}

void MatmulWinners::add(const MatmulBucket& bucket, const MatmulWinner& winner) {
  winners_.insert_or_assign(bucket, winner);
  if (file_.empty())
    return;
  read_file();
  write_file();
}

void MatmulWinners::keep_in(const fs::path& file) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  file_ = file;
  read_file();
  write_file();
}

void MatmulWinners::forget() {
  winners_.clear();
  file_.clear();
}

std::vector<MatmulSearch> MatmulWinners::table() const {
  std::vector<MatmulSearch> all;
  for (const auto& [bucket, winner] : winners_) all.push_back(winner.log);
  return all;
}

void MatmulWinners::read_file() {
  std::ifstream in(file_);
  for (std::string line; std::getline(in, line);) {
    auto read = parse_winner_line(line);
    if (!read)
      continue;
    read->second.log.kept = true;
    winners_.insert(std::move(*read));  // what was timed here stays
  }
}

/// Whole or not at all: a reader never sees half a table.
void MatmulWinners::write_file() const {
  const fs::path half = file_.string() + ".partial-" + std::to_string(::getpid());
  {
    std::ofstream out(half);
    for (const auto& [bucket, winner] : winners_) out << winner_line(bucket, winner) << '\n';
    if (!out.flush())
      throw cannot_write(half);
  }
  std::error_code error;
  fs::rename(half, file_, error);
  if (error)
    throw cannot_write(file_);
}

}  // namespace assay::kernels

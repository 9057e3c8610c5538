// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/board.hpp"

#include <filesystem>
#include <fstream>

#include "harness/core/registry.hpp"
#include "harness/record/provenance.hpp"
#include "harness/report/rubrics.hpp"

namespace assay::harness::cli {
namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path temporary = path.string() + ".part";
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  if (!file) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw UsageError("cannot write " + path.string() + ": is the folder writable and the disk not full?");
  }
  std::filesystem::rename(temporary, path);
}

}  // namespace

CurrentSources current_sources() {
  CurrentSources out;
  for (const Challenge& challenge : Registry::instance().challenges()) {
    for (const Implementation& implementation : challenge.implementations) {
      if (implementation.sources.empty())
        continue;
      out[{challenge.name, implementation.name}] = sources_sha256(implementation.sources);
    }
  }
  return out;
}

void write_board(const RecordFile& records, const std::string& folder) {
  const std::string markdown = scoreboard_markdown(records, rubrics(), current_sources());
  const std::string html = scoreboard_html(records, rubrics(), current_sources(), pictures());
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw UsageError("cannot make the folder " + folder + ": " + error.message());
  write_file(std::filesystem::path(folder) / "scoreboard.md", markdown);
  write_file(std::filesystem::path(folder) / "scoreboard.html", html);
}

}  // namespace assay::harness::cli

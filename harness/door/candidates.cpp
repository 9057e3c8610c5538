// SPDX-License-Identifier: Apache-2.0
// Which rows a candidate gets, and what `--candidate` may say.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "harness/core/outcome.hpp"
#include "harness/door/isolate.hpp"
#include "harness/record/sha256.hpp"
#include "harness/run/runner.hpp"

namespace assay::harness::door {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream)
    throw UsageError(file.string() + ": expected a file that can be read");
  return text.str();
}

/// '/' would be read as another axis of a row's name.
std::string as_name(std::string text) {
  for (char& c : text)
    c = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' ? c : '_';
  return text;
}

Candidate library_candidate(const std::string& text) {
  std::error_code error;
  if (!fs::is_regular_file(text, error))
    throw UsageError("--candidate: expected a library FILE.so or cmd:COMMAND, found no file '" + text + "'");
  return {Candidate::Kind::kLibrary, fs::canonical(text).string(), as_name(fs::path(text).stem().string()),
          sha256(bytes_of(text))};
}

/// Named after the first word that is a file and not the first word, so after the script and not its
/// interpreter.
Candidate command_candidate(const std::string& command) {
  std::istringstream words(command);
  Candidate out{Candidate::Kind::kCommand, command, "", ""};
  std::string digests, word;
  for (int i = 0; words >> word; ++i) {
    std::error_code error;
    if (i == 0)
      out.name = as_name(fs::path(word).stem().string());
    if (!fs::is_regular_file(word, error))
      continue;
    if (digests.empty() && i > 0)
      out.name = as_name(fs::path(word).stem().string());
    if (i > 0)
      digests += sha256(bytes_of(word)) + "\n";
  }
  if (out.name.empty())
    throw UsageError("--candidate cmd: expected a command line, found nothing");
  out.sha256 = sha256(command + "\n" + digests);
  return out;
}

std::shared_ptr<const Challenge> without_implementations(const Challenge& challenge) {
  auto out = std::make_shared<Challenge>(challenge);
  out->implementations.clear();
  return out;
}

bool needs_baseline(const Challenge& challenge, const Selection& selection) {
  return selection.measure || !challenge.parity.exact;
}

Challenge one_with_candidate(const Challenge& original, const Candidate& candidate,
                             const Selection& selection, const Options& options) {
  const auto plain = without_implementations(original);
  Challenge out = *plain;
  out.checks.clear();  // they speak of this program's own implementations
  for (const Implementation& implementation : original.implementations) {
    if (implementation.name == candidate.name)
      throw UsageError("--candidate: " + original.name + " has an implementation named '" + candidate.name +
                       "'; rename the file");
    if (implementation.role == Role::kBaseline && needs_baseline(original, selection))
      out.implementations.push_back(isolated(implementation, plain, options));
  }
  for (const DeviceKind device : selection.devices)
    out.implementations.push_back(implementation_of(candidate, device, plain, options));
  RunOptions rows;
  rows.filters = selection.filters;
  rows.quick = selection.quick;
  std::erase_if(out.cases,
                [&](const Case& which) { return !selected(rows, out, which, out.implementations.back()); });
  for (Case& which : out.cases) which.on_request = false;  // what a filter had to name is named
  return out;
}

}  // namespace

Candidate parse_candidate(const std::string& text) {
  constexpr std::string_view kCommand = "cmd:";
  return text.starts_with(kCommand) ? command_candidate(text.substr(kCommand.size()))
                                    : library_candidate(text);
}

std::vector<Challenge> with_candidate(const std::vector<Challenge>& challenges, const Candidate& candidate,
                                      const Selection& selection, const Options& options) {
  std::vector<Challenge> out;
  std::string served;
  for (const Challenge& challenge : challenges) {
    if (!challenge.outside)
      continue;
    served += (served.empty() ? "" : ", ") + challenge.name;
    Challenge one = one_with_candidate(challenge, candidate, selection, options);
    if (!one.cases.empty())
      out.push_back(std::move(one));
  }
  if (out.empty())
    throw UsageError("--candidate: expected a filter that selects cases of " + served + ", found none of " +
                     "challenge/case/" + candidate.name + "; `assay list` shows the cases");
  return out;
}

std::vector<Challenge> all_isolated(const std::vector<Challenge>& challenges, const Options& options) {
  std::vector<Challenge> out = challenges;
  for (Challenge& challenge : out) {
    const auto plain = without_implementations(challenge);
    for (Implementation& implementation : challenge.implementations) {
      if (implementation.role != Role::kMutant)
        implementation = isolated(implementation, plain, options);
    }
  }
  return out;
}

}  // namespace assay::harness::door

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/proof_link.hpp"

#include <algorithm>
#include <cctype>

#include "harness/report/html_parts.hpp"

namespace assay::harness::report {
namespace {

bool in_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '/';
}

/// `word` with no letter, digit, '_' or '/' on either side.
bool names(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !in_word(text[at - 1])) && (end == text.size() || !in_word(text[end]))) {
      return true;
    }
  }
  return false;
}

bool of_suite(const std::string& challenge, const std::string& suite) {
  return challenge.starts_with(suite + "/");
}

std::string named_in(const DeviceBoard& device, const std::string& suite, const std::string& proof) {
  for (const Check& check : device.checks) {
    if (of_suite(check.challenge, suite) && names(proof, check.check)) {
      return anchor_of_check(device.device, check);
    }
  }
  for (const ChallengeBoard& challenge : device.challenges) {
    const bool names_case =
        std::any_of(challenge.cases.begin(), challenge.cases.end(), [&](const std::string& name) {
          return names(proof, name) || names(proof, challenge.challenge + "/" + name);
        });
    if (of_suite(challenge.challenge, suite) && (names_case || names(proof, challenge.challenge))) {
      return anchor_of_challenge(device.device, challenge.challenge);
    }
  }
  return "";
}

std::string said_by(const DeviceBoard& device, const std::string& evidence) {
  for (const Check& check : device.checks) {
    if (check.challenge + "/checks/" + check.check == evidence) {
      return anchor_of_check(device.device, check);
    }
  }
  for (const ChallengeBoard& challenge : device.challenges) {
    if (challenge.challenge == evidence) {
      return anchor_of_challenge(device.device, challenge.challenge);
    }
  }
  return "";
}

}  // namespace

std::string proof_anchor(const Board& board, const RubricBoard& rubric, const RubricLine& line,
                         const RubricLine::Decision& decision) {
  std::vector<const DeviceBoard*> devices;
  for (const DeviceBoard& device : board.devices) {
    devices.push_back(&device);
  }
  std::stable_partition(devices.begin(), devices.end(),
                        [&](const DeviceBoard* device) { return device->device.name == rubric.device; });
  for (const DeviceBoard* device : devices) {
    if (std::string anchor = said_by(*device, line.evidence); !anchor.empty()) {
      return anchor;
    }
  }
  for (const DeviceBoard* device : devices) {
    if (std::string anchor = named_in(*device, rubric.suite, decision.proof); !anchor.empty()) {
      return anchor;
    }
  }
  return "";
}

}  // namespace assay::harness::report

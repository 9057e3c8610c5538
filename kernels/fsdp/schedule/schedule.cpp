// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/schedule.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

/// In the order of ActionKind.
constexpr std::array<std::string_view, 9> kLetters = {"F",      "R",      "B",      "I",     "W",
                                                      "SEND_F", "RECV_F", "SEND_B", "RECV_B"};

/// Takes a number off the front of `text`; false where there is none.
bool take_number(std::string_view& text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0)
    return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string text_of(const Action& action) {
  return std::to_string(action.stage) + std::string(kLetters.at(static_cast<std::size_t>(action.kind))) +
         std::to_string(action.microbatch);
}

Action parse_action(std::string_view text) {
  Action action;
  std::string_view rest = text;
  if (take_number(rest, action.stage)) {
    const std::size_t digits = std::min(rest.find_first_of("0123456789"), rest.size());
    const auto letter = std::find(kLetters.begin(), kLetters.end(), rest.substr(0, digits));
    rest.remove_prefix(digits);
    if (letter != kLetters.end() && take_number(rest, action.microbatch) && rest.empty()) {
      action.kind = static_cast<ActionKind>(letter - kLetters.begin());
      return action;
    }
  }
  throw std::invalid_argument("expected an action such as 2F0, 0W3 or 1SEND_B2, found '" + std::string(text) +
                              "'");
}

bool is_backward_to_input(ActionKind kind) {
  return kind == ActionKind::kBackward || kind == ActionKind::kBackwardInput;
}

bool ends_microbatch(ActionKind kind) {
  return kind == ActionKind::kBackward || kind == ActionKind::kBackwardWeight;
}

bool is_transfer(ActionKind kind) {
  return kind >= ActionKind::kSendForward;
}

std::vector<int> most_held(const Schedule& schedule, bool recomputed) {
  const ActionKind begins = recomputed ? ActionKind::kRecompute : ActionKind::kForward;
  std::vector<int> most;
  for (const auto& actions : schedule.ranks) {
    int held = 0, peak = 0;
    for (const Action& action : actions) {
      held += action.kind == begins;
      peak = std::max(peak, held);
      held -= ends_microbatch(action.kind);
    }
    most.push_back(peak);
  }
  return most;
}

}  // namespace assay::kernels::fsdp

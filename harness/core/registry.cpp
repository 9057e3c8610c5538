// SPDX-License-Identifier: Apache-2.0
// Collects what suites register and builds the listing once, in an order that does not depend on link order.
#include "harness/core/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace assay::harness {
namespace {

/// Roles are declared in listing order; names break ties.
bool listed_before(const Implementation& a, const Implementation& b) {
  return a.role != b.role ? a.role < b.role : a.name < b.name;
}

void require_distinct_names(const Challenge& challenge) {
  std::set<std::string> implementations;
  for (const Implementation& implementation : challenge.implementations) {
    if (!implementations.insert(implementation.name).second) {
      throw std::logic_error(fmt::format("{} has two implementations named '{}'; rename one", challenge.name,
                                         implementation.name));
    }
  }
  std::set<std::string> cases;
  for (const Case& each : challenge.cases) {
    if (!cases.insert(each.name).second) {
      throw std::logic_error(
          fmt::format("{} has two cases named '{}'; remove or rename one", challenge.name, each.name));
    }
  }
}

std::vector<Challenge> make_challenges(const std::vector<std::function<Challenge()>>& makers) {
  std::vector<Challenge> made;
  for (const auto& make : makers) {
    made.push_back(make());
  }
  std::sort(made.begin(), made.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twin = std::adjacent_find(made.begin(), made.end(),
                                       [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twin != made.end()) {
    throw std::logic_error(fmt::format("two challenges are named '{}'; rename one", twin->name));
  }
  return made;
}

Challenge& find_challenge(std::vector<Challenge>& challenges, const std::string& name,
                          const std::string& implementation) {
  const auto found = std::find_if(challenges.begin(), challenges.end(),
                                  [&](const Challenge& each) { return each.name == name; });
  if (found == challenges.end()) {
    std::string known;
    for (const Challenge& each : challenges) {
      known += (known.empty() ? "" : ", ") + each.name;
    }
    throw std::logic_error(
        fmt::format("implementation '{}' is registered for the unknown challenge '{}'; known: {}",
                    implementation, name, known.empty() ? "none" : known));
  }
  return *found;
}

bool is_glob(std::string_view filter) {
  return filter.find_first_of("*?") != std::string_view::npos;
}

/// Iterative glob: on a mismatch, lets the last '*' swallow one character more.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool segments_match(std::string_view prefix, std::string_view path) {
  while (prefix.ends_with('/')) {
    prefix.remove_suffix(1);
  }
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

Registry& Registry::instance() {
  static Registry registry;
  return registry;
}

void Registry::add_challenge(std::function<Challenge()> make) {
  if (built_) {
    throw std::logic_error(
        "a challenge was registered after the listing was built; register before challenges()");
  }
  challenge_makers_.push_back(std::move(make));
}

void Registry::add_implementation(std::string challenge, std::function<Implementation()> make) {
  if (built_) {
    throw std::logic_error(fmt::format(
        "an implementation of {} was registered after the listing was built; register before challenges()",
        challenge));
  }
  implementation_makers_.emplace_back(std::move(challenge), std::move(make));
}

const std::vector<Challenge>& Registry::challenges() {
  if (!built_) {
    std::vector<Challenge> made = make_challenges(challenge_makers_);
    for (const auto& [name, make] : implementation_makers_) {
      Implementation implementation = make();
      if (implementation.own_k && implementation.role != Role::kPeer) {
        throw std::logic_error(
            fmt::format("implementation '{}' of {}: only peers have a tolerance of their own",
                        implementation.name, name));
      }
      Challenge& owner = find_challenge(made, name, implementation.name);
      owner.implementations.push_back(std::move(implementation));
    }
    for (Challenge& challenge : made) {
      std::sort(challenge.implementations.begin(), challenge.implementations.end(), listed_before);
      require_distinct_names(challenge);
    }
    challenges_ = std::move(made);
    built_ = true;
  }
  return challenges_;
}

const Challenge& Registry::challenge(const std::string& name) {
  const std::vector<Challenge>& all = challenges();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == name; });
  if (found == all.end())
    throw std::out_of_range(fmt::format("expected a challenge that is registered, found '{}'", name));
  return *found;
}

RegisterImplementation::RegisterImplementation(std::string challenge, std::function<Implementation()> make) {
  Registry::instance().add_implementation(std::move(challenge), std::move(make));
}

RegisterChallenge::RegisterChallenge(std::function<Challenge()> make) {
  Registry::instance().add_challenge(std::move(make));
}

bool matches(const std::vector<std::string>& filters, const std::string& path) {
  return filters.empty() || std::any_of(filters.begin(), filters.end(), [&](const std::string& filter) {
           return is_glob(filter) ? glob_matches(filter, path) : segments_match(filter, path);
         });
}

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
// Where suites put their challenges and implementations. Suites are OBJECT libraries, so a static Registration in an
// implementation's own file is always linked; tests compare the listing with the files present.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::harness {

class Registry {
 public:
  static Registry& instance();

  /// Registered lazily: `make` runs on the first `challenges()` call, so starting the program costs nothing.
  void add_challenge(std::function<Challenge()> make);
  void add_implementation(std::string challenge, std::function<Implementation()> make);

  /// What the command line says to suites ("weights" -> FILE). Before the first `challenges()` call.
  void set_option(const std::string& name, const std::string& value) { options_[name] = value; }
  /// Empty when it was not given.
  std::string option(const std::string& name) const {
    const auto found = options_.find(name);
    return found == options_.end() ? std::string() : found->second;
  }

  /// All challenges with their implementations attached: baselines, candidates, peers, mutants, each by name.
  /// Throws std::logic_error for two of the same name or an implementation of an unknown challenge.
  const std::vector<Challenge>& challenges();
  /// The one of that name ("nf4/dequantize"); throws std::out_of_range that names it.
  const Challenge& challenge(const std::string& name);

 private:
  std::vector<std::function<Challenge()>> challenge_makers_;
  std::vector<std::pair<std::string, std::function<Implementation()>>> implementation_makers_;
  std::vector<Challenge> challenges_;
  std::map<std::string, std::string> options_;
  bool built_ = false;
};

/// `const RegisterImplementation kThis("nf4/dequantize", [] { return Implementation{…}; });`
struct RegisterImplementation {
  RegisterImplementation(std::string challenge, std::function<Implementation()> make);
};
struct RegisterChallenge {
  explicit RegisterChallenge(std::function<Challenge()> make);
};

/// Glob over "challenge/case/implementation": '*' any run of characters (also '/'), '?' one, and a plain word or path
/// matches as a prefix of whole segments ("nf4" = "nf4/*"). Several filters are alternatives; none means everything.
bool matches(const std::vector<std::string>& filters, const std::string& path);

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
// Implementations whose calls are made in a process of their own: ones of this program, and candidates from
// outside. The rest of the harness judges them like any other.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/door/process.hpp"

namespace assay::harness::door {

struct Options {
  Limits limits;
  std::string weights;  ///< as the command line has it: the server must know the same cases
};

/// What `--candidate` names.
struct Candidate {
  enum class Kind { kLibrary, kCommand };
  Kind kind = Kind::kLibrary;
  std::string what;    ///< absolute path of the library, or the shell's command line
  std::string name;    ///< of the implementation: the library's or the script's, without folder and ending
  std::string sha256;  ///< of the library, or of the files that the command line names
};
/// "FILE.so" or "cmd:COMMAND LINE". Throws UsageError.
Candidate parse_candidate(const std::string& text);

/// `original` of `challenge` with its calls elsewhere. `challenge` is without implementations.
Implementation isolated(const Implementation& original, std::shared_ptr<const Challenge> challenge,
                        const Options& options);
Implementation implementation_of(const Candidate& candidate, DeviceKind device,
                                 std::shared_ptr<const Challenge> challenge, const Options& options);

struct Selection {
  std::vector<std::string> filters;
  std::vector<DeviceKind> devices;
  bool quick = false, measure = true;
};
/// The challenges with `candidate` in them and the baselines it is held against (for `verify` with exact
/// parity none is needed), all in processes of their own; cases whose row of the candidate no filter selects
/// are left out. Throws UsageError when nothing is left.
std::vector<Challenge> with_candidate(const std::vector<Challenge>& challenges, const Candidate& candidate,
                                      const Selection& selection, const Options& options);
/// All of them in processes of their own.
std::vector<Challenge> all_isolated(const std::vector<Challenge>& challenges, const Options& options);

}  // namespace assay::harness::door

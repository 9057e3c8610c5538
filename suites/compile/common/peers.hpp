// SPDX-License-Identifier: Apache-2.0
// Peers written in Python, run inside this process on the harness' tensors (harness/python).
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "harness/core/challenge.hpp"

namespace assay::suites::compile {

/// A script of suites/compile/peers: beside the program where it was installed, else in the sources.
std::filesystem::path peer_script(const std::string& name);

struct PythonPeer {
  std::string name, about;
  std::string script;  ///< its file in peers/
  double own_k = 1.0;  ///< of the plain version's error; its own is in the record
  /// A case and whether results go into the outputs, as JSON: the script's `parameters`.
  std::function<std::string(const harness::Case&, bool into)> describe;
};
/// On CUDA, with the script's version, skipped where the package is missing. Deterministic it is not: that is
/// not ours to promise.
harness::Implementation python_peer(const PythonPeer& peer);

}  // namespace assay::suites::compile

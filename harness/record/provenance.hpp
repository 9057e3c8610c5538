// SPDX-License-Identifier: Apache-2.0
// Which sources this binary was built from. The facts are written by cmake/Provenance.cmake at every build;
// who uses them links assay_provenance.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace assay::harness {

/// "<sha>", "<sha>-dirty" when a source differed from that commit, "unknown" outside a git checkout.
std::string built_commit();

/// The checkout's folder on the machine that built; for tests that read files of the checkout, never for
/// records.
std::string built_from();

/// SHA-256 of every file under kernels/, reference/, suites/ and harness/ as built, by path from the
/// repository root.
const std::map<std::string, std::string>& source_digests();

/// SHA-256 over the sorted lines "path sha" of the given files; a folder stands for all files below it. Each
/// file counts once. Throws std::invalid_argument for a path that names neither.
std::string sources_sha256(const std::vector<std::string>& paths);

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
// NVRTC, loaded when first needed: a program whose cache folder is full runs without the library (110 MB).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace assay::kernels::attention {

struct Compilation {
  bool succeeded = false;
  std::string code;  ///< machine code, or PTX for an architecture "compute_…"
  std::string log;   ///< messages of the compiler and of the assembler (registers, spills)
};

/// `headers`: include names and texts. Throws std::runtime_error where NVRTC is not to be had or refuses an
/// option.
Compilation compile_with_nvrtc(const std::string& source, const std::map<std::string, std::string>& headers,
                               const std::vector<std::string>& options, const std::string& arch);

/// "13.0": NVRTC's own version, or of the toolkit of this build where there is no NVRTC.
std::string nvrtc_version();

/// Our device headers by their include names, embedded by the build (cmake/EmbedSources.cmake).
const std::map<std::string, std::string>& device_headers();

/// For each "file(line): error" of `log` about one of `texts`: that line of it, as "  file:line: text", then
/// the log.
std::string explain(const std::string& log, const std::map<std::string, std::string>& texts);

}  // namespace assay::kernels::attention

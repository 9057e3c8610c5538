// SPDX-License-Identifier: Apache-2.0
// Parser of what cuobjdump prints. Pure: text in, facts out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/inspect/inspect.hpp"

namespace assay::harness {

/// Text of `cuobjdump --dump-resource-usage --dump-sass`, image by image. Throws std::runtime_error where the
/// two disagree on which kernels there are, or for an instruction outside any kernel: a format this parser
/// does not know.
std::vector<KernelCode> parse_code(std::string_view text);
/// Text of `cuobjdump --list-elf --list-ptx`. Each architecture once, in order of appearance.
CodeTargets parse_targets(std::string_view text);
/// "void a::k<1>(int)" of a mangled name becomes "a::k<1>"; a name that is not mangled stays.
std::string kernel_name(const std::string& symbol);

}  // namespace assay::harness

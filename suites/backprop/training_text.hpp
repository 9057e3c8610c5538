// SPDX-License-Identifier: Apache-2.0
// Real text as tokens, without a tokenizer or a download.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace assay::suites::backprop {

/// The licences that every Debian machine ships (/usr/share/common-licenses, links left out), in order of
/// name, a token a byte: int64 [n] below 256. Throws harness::Skip where there are less than 64 KiB of them.
at::Tensor bytes_of_licences();

/// Token ids written as decimal numbers with white space between them: int64 [n]. Throws
/// std::invalid_argument for anything else, and for ids outside [0, vocab).
at::Tensor token_ids_of_file(const std::filesystem::path& path, std::int64_t vocab);

}  // namespace assay::suites::backprop

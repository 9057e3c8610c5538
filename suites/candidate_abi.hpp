// SPDX-License-Identifier: Apache-2.0
// What every suite does with a library that exports suites/assay_candidate.h.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "harness/core/outcome.hpp"
#include "harness/core/outside.hpp"
#include "suites/assay_candidate.h"

namespace assay::suites {

/// The exported `symbol` as a function of type F. Throws Skip where there is none, std::runtime_error for a
/// library of another ABI version.
template <class F>
F candidate_function(const harness::Lookup& lookup, const char* symbol) {
  const auto version = reinterpret_cast<std::int32_t (*)()>(lookup("assay_candidate_abi_version"));
  if (version == nullptr)
    throw std::runtime_error(
        "expected a library that exports assay_candidate_abi_version, found none; see assay_candidate.h");
  if (const std::int32_t found = version(); found != ASSAY_CANDIDATE_ABI_VERSION)
    throw std::runtime_error("expected a library of ABI version " +
                             std::to_string(ASSAY_CANDIDATE_ABI_VERSION) + ", found " +
                             std::to_string(found) + "; build it with this assay_candidate.h");
  void* const function = lookup(symbol);
  if (function == nullptr)
    throw harness::Skip(std::string("the library exports no ") + symbol);
  return reinterpret_cast<F>(function);
}

/// Returns for ASSAY_OK. Throws Skip, OutOfMemory or std::runtime_error for the others, in the library's
/// words.
inline void check_candidate_result(std::int32_t code, const char* symbol, const harness::Lookup& lookup) {
  if (code == ASSAY_OK)
    return;
  const auto why = reinterpret_cast<const char* (*)()>(lookup("assay_candidate_error"));
  const char* const words = why != nullptr ? why() : nullptr;
  const std::string text = std::string(symbol) + " returned " + std::to_string(code) +
                           (words != nullptr ? std::string(": ") + words : "");
  if (code == ASSAY_UNSUPPORTED)
    throw harness::Skip(text);
  if (code == ASSAY_OUT_OF_MEMORY)
    throw harness::OutOfMemory(text);
  throw std::runtime_error(text);
}

}  // namespace assay::suites

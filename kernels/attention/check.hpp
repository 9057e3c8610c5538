// SPDX-License-Identifier: Apache-2.0
// What arguments must be before anything is launched.
#pragma once

#include "kernels/attention/attention.hpp"

namespace assay::kernels::attention {

/// Throw std::invalid_argument saying what was expected and what was found.
void check(const Sequences& sequences);
void check(const Mods& mods, const Sequences& sequences, const BlockMask& mask);
void check(const Mods& mods, const ForwardArgs& args);
void check(const Mods& mods, const BackwardArgs& args);

}  // namespace assay::kernels::attention

// SPDX-License-Identifier: Apache-2.0
// The text that NVRTC compiles: the user's mods between our headers.
#pragma once

#include <map>
#include <string>

#include "kernels/attention/config.hpp"
#include "kernels/attention/mods.hpp"

namespace assay::kernels::attention {

/// Throws std::invalid_argument for mods that contradict themselves.
void validate(const Mods& mods);

std::string forward_source(const Mods& mods, const HeadType& head, const Tilings& tilings);
std::string backward_source(const Mods& mods, const HeadType& head, const Tilings& tilings);

/// The user's texts by the file names that #line gives them.
std::map<std::string, std::string> texts_of(const Mods& mods);

}  // namespace assay::kernels::attention

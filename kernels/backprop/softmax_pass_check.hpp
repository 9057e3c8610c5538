// SPDX-License-Identifier: Apache-2.0
// Arguments of the softmax pass, checked the same way for both devices.
#pragma once

#include <cstddef>

#include "kernels/backprop/softmax_pass.hpp"

namespace assay::kernels::backprop {

/// Bytes of an element; throws std::invalid_argument for a value that is none of the three.
std::size_t size_of(LogitType type);

/// Throw std::invalid_argument. What lies behind pointers is not read. With 0 rows pointers may be null.
void check(const CrossEntropyPass& pass);
void check(const TokenStatisticsPass& pass);
void check(const TokenStatisticsGradientPass& pass);

}  // namespace assay::kernels::backprop

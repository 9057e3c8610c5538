// SPDX-License-Identifier: Apache-2.0
// The defects, a room a list.
#pragma once

#include <vector>

#include "suites/conformance/defect.hpp"

namespace assay::suites::conformance {

std::vector<Defect> quantize_defects();       ///< weights to 4 bits
std::vector<Defect> dequantize_defects();     ///< and back
std::vector<Defect> storage_defects();        ///< safetensors files, bytes of 4-bit weights in them
std::vector<Defect> checkpoint_defects();     ///< what adapter_config.json and config.json mean
std::vector<Defect> packing_defects();        ///< several sequences in one row
std::vector<Defect> pointwise_defects();      ///< rope and RMSNorm
std::vector<Defect> cross_entropy_defects();  ///< loss and gradients of the last layer
std::vector<Defect> counting_defects();       ///< which tokens a mean is over
std::vector<Defect> policy_defects();         ///< GRPO and distillation
std::vector<Defect> verification_defects();   ///< how results and times are judged

/// All of them, each name once.
std::vector<Defect> all_defects();

}  // namespace assay::suites::conformance

// SPDX-License-Identifier: Apache-2.0
// The few functions of NVIDIA's management library that the harness uses, bound at run time: a machine
// without the library runs everything else. Internal to this room.
#pragma once

#include <string>

namespace assay::harness {

/// "580.159.04"; empty without the library.
std::string nvml_driver_version();

}  // namespace assay::harness

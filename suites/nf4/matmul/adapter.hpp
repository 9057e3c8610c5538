// SPDX-License-Identifier: Apache-2.0
// What every implementation of nf4/matmul does with its output and its temporaries.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "harness/core/challenge.hpp"
#include "harness/device/device.hpp"
#include "suites/nf4/matmul/suite.hpp"

namespace assay::suites::nf4::matmul {

/// Makes one product on `stream`: writes y [m, n], may use the temporaries until it is done.
using ProductCall = std::function<void(void* y, void* temporaries, harness::Stream stream)>;

/// kInto writes the given y, kAllocating takes y from the device's allocator in the call, as a user's call
/// does; `temporary_bytes` likewise, which kInto takes from shared_buffer().
harness::Invocation prepare_product(harness::TensorSet& outputs, harness::CallStyle style, ProductCall call,
                                    std::size_t temporary_bytes = 0);

/// One buffer a size, the same for all who hold it: a user's calls find the same memory again, some of it
/// still in L2. For calls that follow each other on one stream. Null for 0 bytes.
std::shared_ptr<harness::DeviceBuffer> shared_buffer(std::size_t bytes, harness::DeviceKind device);

/// Why an implementation for at most 16 rows of x cannot run the case.
std::optional<std::string> more_than_16_rows(const harness::Case& which, const harness::DeviceFacts&);

}  // namespace assay::suites::nf4::matmul

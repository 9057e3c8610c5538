// SPDX-License-Identifier: Apache-2.0
// Ctrl-C as an exception at the next safe place, so that finished records are kept and device work is not
// torn.
#pragma once

#include <stdexcept>

namespace assay::harness {

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

/// From now on SIGINT and SIGTERM only set a flag; a second one ends the process at once.
void catch_interrupts();
/// Throws Interrupted once the flag is set. Called between steps of long work.
void throw_if_interrupted();

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
#include "harness/core/interrupt.hpp"

#include <csignal>

namespace assay::harness {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int signal) {
  if (interrupted != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  interrupted = 1;
}

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

void throw_if_interrupted() {
  if (interrupted != 0)
    throw Interrupted();
}

}  // namespace assay::harness

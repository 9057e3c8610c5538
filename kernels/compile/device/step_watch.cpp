// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/step_watch.hpp"

#include <stdexcept>

namespace assay::kernels::compile {

void StepWatch::note(const std::string& what) {
  if (!warm_)
    return;
  if (fails_)
    throw std::runtime_error("device step: expected nothing but replays after warm-up, found " + what);
  counters_.reasons.push_back(what);
}

void StepWatch::capture(const std::string& reason) {
  note("a capture: " + reason);
  ++counters_.captures;
}

void StepWatch::add(const WorkDone& before, const WorkDone& after) {
  const std::int64_t compiled = after.compilations - before.compilations,
                     loaded = after.programs_loaded - before.programs_loaded,
                     searched = after.searches - before.searches;
  counters_.compilations += compiled;
  counters_.programs_loaded += loaded;
  counters_.searches += searched;
  if (compiled > 0)
    note(std::to_string(compiled) + " compilations of attention programs");
  if (searched > 0)
    note(std::to_string(searched) + " searches for a product's algorithm");
}

}  // namespace assay::kernels::compile

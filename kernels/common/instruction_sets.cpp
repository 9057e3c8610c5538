// SPDX-License-Identifier: Apache-2.0
// Lower target bits are better in Highway: walking them upwards is walking from best to worst.
#include "kernels/common/instruction_sets.hpp"

#include <hwy/targets.h>

#include <stdexcept>

namespace assay::kernels {
namespace {

template <class Visit>
void for_each_usable(std::int64_t compiled, Visit visit) {
  const std::int64_t usable = hwy::SupportedTargets() & compiled;
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t target = std::int64_t{1} << bit;
    if ((usable & target) != 0)
      visit(target, std::string(hwy::TargetName(target)));
  }
}

}  // namespace

std::vector<std::string> usable_instruction_sets(std::int64_t compiled) {
  std::vector<std::string> names;
  for_each_usable(compiled, [&](std::int64_t, const std::string& name) { names.push_back(name); });
  return names;
}

std::int64_t instruction_set_from_name(const std::string& name, std::int64_t compiled) {
  std::int64_t found = 0;
  std::string known;
  for_each_usable(compiled, [&](std::int64_t target, const std::string& candidate) {
    known += known.empty() ? candidate : ", " + candidate;
    if (candidate == name)
      found = target;
  });
  if (found == 0)
    throw std::invalid_argument("expected an instruction set of this machine (" + known + "), found '" +
                                name + "'; cpu_instruction_sets() lists them");
  return found;
}

}  // namespace assay::kernels

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/pictures.hpp"

namespace assay::harness {
namespace {

std::vector<std::function<Picture()>>& makers() {
  static std::vector<std::function<Picture()>> all;
  return all;
}

}  // namespace

RegisterPicture::RegisterPicture(std::function<Picture()> make) {
  makers().push_back(std::move(make));
}

std::vector<Picture> pictures() {
  std::vector<Picture> out;
  for (const auto& make : makers()) out.push_back(make());
  return out;
}

}  // namespace assay::harness

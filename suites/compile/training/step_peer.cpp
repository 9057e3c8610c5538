// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/training/step_peer.hpp"

#include <fstream>
#include <stdexcept>

#include "harness/core/challenge.hpp"
#include "harness/python/library.hpp"
#include "suites/compile/common/peers.hpp"

namespace assay::suites::compile {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds kWarmUpLimit{600}, kStepsLimit{300};

/// Readable by this user alone.
fs::path new_folder() {
  std::string name = (fs::temp_directory_path() / "assay_training_XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("expected to make a folder in " + fs::temp_directory_path().string() +
                             ", found no room or no permission");
  return name;
}

void write(const fs::path& file, const void* data, std::size_t bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  if (!out.flush())
    throw std::runtime_error("expected to write " + file.string() + ", found no room or no permission");
}

}  // namespace

StepPeer::StepPeer(const TrainingPlan& plan, const std::string& method, const std::string& device,
                   const std::string& dtype)
    : folder_(new_folder()) {
  try {
    const std::vector<std::int64_t> tokens = training_tokens(plan);
    write(folder_ / "tokens", tokens.data(), 8 * tokens.size());
    const std::string text = peer_specification(plan, folder_ / "tokens", device, dtype).dump();
    write(folder_ / "spec.json", text.data(), text.size());
    process_ = std::make_unique<PeerProcess>(std::vector<std::string>{
        harness::python_interpreter().string(), "-B", peer_script("training_step.py").string(),
        (folder_ / "spec.json").string(), method});
    began_ = nlohmann::json::parse(process_->hear(kWarmUpLimit));
    if (began_.contains("missing"))
      throw harness::Skip(method + " " + began_["missing"].get<std::string>());
  } catch (...) {
    process_.reset();
    fs::remove_all(folder_);
    throw;
  }
}

StepPeer::~StepPeer() {
  process_.reset();
  std::error_code error;
  fs::remove_all(folder_, error);
}

nlohmann::json StepPeer::ask(const std::string& command) {
  process_->say(command);
  return nlohmann::json::parse(process_->hear(kStepsLimit));
}

double StepPeer::time(int count) {
  return ask("time " + std::to_string(count)).at("seconds");
}
std::vector<double> StepPeer::train(int count) {
  return ask("train " + std::to_string(count)).at("losses");
}
std::size_t StepPeer::peak_bytes() {
  return ask("peak").at("allocated");
}

std::vector<float> StepPeer::adapters() {
  const fs::path file = folder_ / "adapters";
  ask("adapters " + file.string());
  std::vector<float> values(fs::file_size(file) / 4);
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(4 * values.size()));
  if (!in)
    throw std::runtime_error("expected to read " + file.string() + ", found it cut short");
  return values;
}

}  // namespace assay::suites::compile

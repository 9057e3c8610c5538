// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/torch_compile/check.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "harness/inspect/tool.hpp"
#include "harness/python/library.hpp"

namespace assay::suites::compile {
namespace {

namespace fs = std::filesystem;
using harness::DeviceFacts;
using harness::DeviceKind;
using json = nlohmann::ordered_json;

constexpr int kSkipped = 77;   // run.py's status where a package is missing
constexpr int kHasFaults = 1;  // … where the report names faults

fs::path program_folder() {
  return fs::read_symlink("/proc/self/exe").parent_path();
}

fs::path script() {
  if (const fs::path beside = program_folder() / "hf" / "run.py"; fs::is_regular_file(beside))
    return beside;
  return fs::path(ASSAY_HF) / "run.py";
}

fs::path operators_library() {
  const fs::path library = program_folder() / ".." / "lib" / "libassay_ops.so";
  if (!fs::is_regular_file(library))
    throw harness::Skip("no operators for torch beside this program (" + library.lexically_normal().string() +
                        "): build the target assay_ops");
  return library;
}

/// A file of this process, gone at the end.
class ReportFile {
 public:
  ReportFile()
      : path_(fs::temp_directory_path() / ("assay_hf_llama_" + std::to_string(::getpid()) + ".json")) {}
  ~ReportFile() {
    std::error_code error;
    fs::remove(path_, error);
  }
  ReportFile(const ReportFile&) = delete;
  ReportFile& operator=(const ReportFile&) = delete;
  const fs::path& path() const { return path_; }
  json read() const {
    std::ifstream file(path_);
    return json::parse(file);
  }

 private:
  fs::path path_;
};

/// The end of a long text: where Python says what went wrong.
std::string tail(const std::string& text) {
  constexpr std::size_t kMost = 800;
  return text.size() <= kMost ? text : "…" + text.substr(text.size() - kMost);
}

json report_of(const std::vector<std::string>& run) {
  const ReportFile report;
  std::vector<std::string> command{
      harness::python_interpreter().string(), "-B",    script().string(),     "--library",
      operators_library().string(),           "--out", report.path().string()};
  command.insert(command.end(), run.begin(), run.end());
  int status = 0;
  const std::string said = harness::run_program(command, status);
  if (status == kSkipped)
    throw harness::Skip("Hugging Face's Llama " + tail(said));
  if (status != 0 && status != kHasFaults)
    throw std::runtime_error("expected run.py to end with a report, found status " + std::to_string(status) +
                             ": " + tail(said));
  if (!fs::is_regular_file(report.path()))
    throw std::runtime_error("expected run.py to write a report, found none: " + tail(said));
  return report.read();
}

std::string run_check(const DeviceFacts& facts) {
  if (facts.kind == DeviceKind::kCuda && facts.sm < 80)
    throw harness::Skip("expected a GPU with bf16 arithmetic (sm_80), found sm_" + std::to_string(facts.sm));
  std::vector<json> reports;
  for (const auto& run : hf_llama_runs(facts.kind)) reports.push_back(report_of(run));
  return hf_llama_evidence(reports).dump();
}

/// Faults of all runs, or what a report lacks.
std::string faults_in(const std::vector<json>& reports) {
  std::string text;
  for (const json& report : reports)
    for (const json& fault : report.at("faults")) text += fault.get<std::string>() + "; ";
  return text;
}

json operators_in_every_run(const std::vector<json>& reports) {
  json least = reports.front().at("operators");
  for (const json& report : reports) {
    const json& found = report.at("operators");
    for (auto& [name, count] : least.items())
      count = found.contains(name) ? std::min(count.get<int>(), found.at(name).get<int>()) : 0;
  }
  return least;
}

}  // namespace

std::vector<std::vector<std::string>> hf_llama_runs(DeviceKind device) {
  if (device == DeviceKind::kCpu)
    return {{"--device", "cpu", "--backend", "aot_eager", "--mixes", "40"},
            {"--device", "cpu", "--backend", "inductor", "--mixes", "8"}};
  return {{"--device", "cuda", "--backend", "inductor", "--shape", "llama-3.2-1b", "--dtype", "bfloat16",
           "--mixes", "200", "--longest", "1024", "--rank", "16", "--timed", "20"}};
}

json hf_llama_evidence(const std::vector<json>& reports) {
  if (reports.empty())
    throw std::runtime_error("expected at least one report of run.py, found none");
  try {
    if (const std::string faults = faults_in(reports); !faults.empty())
      throw std::runtime_error(faults);
    json evidence{{"graph_breaks", 0},
                  {"graphs", 0},
                  {"recompilations_after_warm_up", 0},
                  {"programs_after_warm_up", 0},
                  {"length_mixes", reports.front().at("length_mixes")},
                  {"loss_matches", true}};
    for (const json& report : reports) {
      for (const char* sum : {"graph_breaks", "recompilations_after_warm_up", "programs_after_warm_up"})
        evidence[sum] = evidence[sum].get<int>() + report.at(sum).get<int>();
      evidence["graphs"] = std::max(evidence["graphs"].get<int>(), report.at("graphs").get<int>());
      for (const auto& [name, error] : report.at("loss_rms_error").items())
        if (name != "plain" && !(error.get<double>() <= report.at("loss_limit").get<double>()))
          evidence["loss_matches"] = false;
    }
    evidence["operators"] = operators_in_every_run(reports);
    evidence["runs"] = reports;
    return evidence;
  } catch (const json::exception& error) {
    throw std::runtime_error(std::string("expected a whole report of run.py, found: ") + error.what());
  }
}

harness::Challenge::SuiteCheck hf_llama_check() {
  return {.name = kHfLlama, .measures = false, .subject = kOperators, .run = run_check};
}

}  // namespace assay::suites::compile

// SPDX-License-Identifier: Apache-2.0
// From a file to facts: run cuobjdump, parse, and write evidence.
#include "harness/inspect/inspect.hpp"

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>

#include "harness/inspect/sass.hpp"
#include "harness/inspect/tool.hpp"

namespace assay::harness {
namespace {

/// Output of cuobjdump with `options` on `binary`; empty for a file without device code.
std::string dump(const std::filesystem::path& binary, const std::vector<std::string>& options) {
  std::vector<std::string> command = {find_cuobjdump().string()};
  if (!std::filesystem::is_regular_file(binary)) {
    throw std::runtime_error("expected a binary to read GPU code from, found no file " + binary.string());
  }
  command.insert(command.end(), options.begin(), options.end());
  command.push_back(binary.string());
  int exit_code = 0;
  const std::string text = run_program(command, exit_code);
  if (text.find("does not contain device code") != std::string::npos) {
    return {};
  }
  if (exit_code != 0) {
    throw std::runtime_error("expected " + command[0] + " to read " + binary.string() +
                             ", found exit status " + std::to_string(exit_code) + ": " + text.substr(0, 500));
  }
  return text;
}

nlohmann::ordered_json by_width(const std::map<int, int>& accesses) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [bytes, instructions] : accesses) {
    json[std::to_string(bytes)] = instructions;
  }
  return json;
}

}  // namespace

/// Disassembling takes about a second for each source and target (nvdisasm 13.2), so all targets go at once.
std::vector<KernelCode> read_code(const std::filesystem::path& binary) {
  std::vector<std::future<std::vector<KernelCode>>> parts;
  for (const std::string& arch : read_targets(binary).sass) {
    parts.push_back(std::async(std::launch::async, [&binary, arch] {
      return parse_code(dump(binary, {"--gpu-architecture", arch, "--dump-resource-usage", "--dump-sass"}));
    }));
  }
  std::vector<KernelCode> code;
  for (auto& part : parts) {
    const auto of_arch = part.get();
    code.insert(code.end(), of_arch.begin(), of_arch.end());
  }
  std::sort(code.begin(), code.end(), [](const KernelCode& a, const KernelCode& b) {
    return std::tie(a.kernel, a.symbol, a.arch) < std::tie(b.kernel, b.symbol, b.arch);
  });
  return code;
}

std::vector<KernelCode> read_code(const std::vector<std::filesystem::path>& binaries) {
  std::vector<KernelCode> all;
  for (const auto& binary : binaries) {
    const auto code = read_code(binary);
    all.insert(all.end(), code.begin(), code.end());
  }
  return all;
}

CodeTargets read_targets(const std::filesystem::path& binary) {
  return parse_targets(dump(binary, {"--list-elf", "--list-ptx"}));
}

std::string to_json(const std::vector<KernelCode>& code) {
  auto json = nlohmann::ordered_json::array();
  for (const KernelCode& k : code) {
    json.push_back({{"kernel", k.kernel},
                    {"arch", k.arch},
                    {"registers", k.registers},
                    {"stack_bytes", k.stack_bytes},
                    {"shared_bytes", k.shared_bytes},
                    {"instructions", k.instructions},
                    {"local_loads", k.local_loads},
                    {"local_stores", k.local_stores},
                    {"widest_global_load_bytes", k.widest_global_load()},
                    {"widest_global_store_bytes", k.widest_global_store()},
                    {"global_loads_by_bytes", by_width(k.global_loads)},
                    {"global_stores_by_bytes", by_width(k.global_stores)},
                    {"bulk_copies", k.bulk_copies},
                    {"fused_multiply_adds", k.fused_multiply_adds},
                    {"matrix_instructions", k.matrix_instructions},
                    {"cache_hints", k.cache_hints}});
  }
  return json.dump();
}

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
#include "tests/candidates/door.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace assay::tests {
namespace {

std::filesystem::path fresh_file() {
  static int count = 0;
  return std::filesystem::temp_directory_path() /
         ("assay_door_" + std::to_string(::getpid()) + "_" + std::to_string(++count) + ".jsonl");
}

/// `built` where this machine built it, else what a bundle has beside this program.
std::string found(const std::string& built, const std::string& beside) {
  if (std::filesystem::exists(built))
    return built;
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / beside).string();
}

}  // namespace

const harness::Record& Judged::row() const {
  if (file.records.empty())
    throw std::runtime_error("expected a record, found: " + printed);
  return file.records.back();
}

std::string printed_by(const std::string& command, int* exit_status) {
  std::FILE* const pipe = ::popen((program() + " " + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr)
    throw std::runtime_error("cannot start the program");
  std::string text;
  std::array<char, 4096> part;
  while (const std::size_t got = std::fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), got);
  const int status = ::pclose(pipe);
  if (exit_status != nullptr)
    *exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return text;
}

Judged judge(const std::string& command) {
  const std::filesystem::path records = fresh_file();
  Judged out;
  out.printed = printed_by(command + " --out " + records.string(), &out.exit_status);
  if (std::filesystem::exists(records))
    out.file = harness::read_records(records);
  std::filesystem::remove(records);
  return out;
}

std::string hostile(const std::string& name) {
  return found(std::string(ASSAY_HOSTILE_LIBRARIES) + "/" + name + ".so", "candidates/" + name + ".so");
}

std::string example(const std::string& file) {
  return found(std::string(ASSAY_EXAMPLES) + "/" + file, "examples/" + file);
}

std::string source(const std::string& file) {
  return std::string(ASSAY_HOSTILE_SOURCES) + "/" + file;
}

std::string program() {
  return found(ASSAY_PROGRAM, "assay");
}

bool python_has_numpy() {
  return std::system((python() + " -c 'import numpy' 2> /dev/null").c_str()) == 0;
}

std::string python() {
  return std::filesystem::exists(ASSAY_TEST_PYTHON) ? ASSAY_TEST_PYTHON : "python3";
}

Judged verify_small(const std::string& candidate, const std::string& more) {
  return judge("verify nf4/dequantize/1x16385 --device cpu --candidate '" + candidate + "' " + more);
}

}  // namespace assay::tests

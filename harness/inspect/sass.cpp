// SPDX-License-Identifier: Apache-2.0
// Lines of cuobjdump into KernelCode. For each ELF image it prints the resource usage of all kernels, then
// their code.
#include "harness/inspect/sass.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>

#include "harness/inspect/instruction.hpp"

namespace assay::harness {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string_view::npos ? std::string_view() : text.substr(first, last - first + 1);
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// What follows `prefix` in `line`; nullopt when the line starts otherwise.
std::optional<std::string_view> after(std::string_view line, std::string_view prefix) {
  if (!line.starts_with(prefix)) {
    return std::nullopt;
  }
  return trimmed(line.substr(prefix.size()));
}

/// Value of "REG" in "REG:26 STACK:0 SHARED:0".
int field(std::string_view line, std::string_view name) {
  const std::string key = std::string(name) + ':';
  const std::size_t at = line.find(key);
  int value = 0;
  if (at == std::string_view::npos ||
      std::from_chars(line.data() + at + key.size(), line.data() + line.size(), value).ec != std::errc()) {
    throw std::runtime_error("expected '" + key + "<number>' in cuobjdump's resource usage, found '" +
                             std::string(line) + "'");
  }
  return value;
}

/// Text of the instruction in "/*00a0*/  LDG.E R0, [R2] ;  /* 0x… */"; nullopt for other lines.
std::optional<std::string_view> instruction_text(std::string_view line) {
  if (!line.starts_with("/*") || line.starts_with("/* 0x")) {
    return std::nullopt;
  }
  const std::size_t begin = line.find("*/"), end = line.find(';');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
    return std::nullopt;
  }
  return trimmed(line.substr(begin + 2, end - begin - 2));
}

/// Kernels of one ELF image, filled line by line.
class CodeReader {
 public:
  void read(std::string_view line) {
    if (const auto arch = after(line, "code for ")) {
      begin_code(*arch);
    } else if (const auto symbol = after(line, "Function :")) {
      begin_kernel(*symbol);
    } else if (const auto usage = after(line, "Function "); usage && usage->ends_with(':')) {
      begin_usage(usage->substr(0, usage->size() - 1));
    } else if (line.starts_with("REG:")) {
      usage_of(current_).registers = field(line, "REG");
      usage_of(current_).stack_bytes = field(line, "STACK") + field(line, "LOCAL");
      usage_of(current_).shared_bytes = field(line, "SHARED");
    } else if (const auto text = instruction_text(line)) {
      add_instruction(*text);
    }
  }

  std::vector<KernelCode> finish() {
    close_image();
    return std::move(done_);
  }

 private:
  KernelCode& usage_of(const std::string& symbol) {
    const auto found = image_.find(symbol);
    if (found == image_.end()) {
      throw std::runtime_error("expected cuobjdump to print the resource usage of kernel '" + symbol +
                               "' before its code, found none");
    }
    return found->second;
  }

  void begin_usage(std::string_view symbol) {
    if (in_code_) {
      close_image();
    }
    current_ = symbol;
    image_[current_].symbol = current_;
  }

  void begin_code(std::string_view arch) {
    if (in_code_) {
      close_image();
    }
    in_code_ = true;
    arch_ = arch;
    current_.clear();
  }

  void begin_kernel(std::string_view symbol) {
    current_ = symbol;
    usage_of(current_).arch = arch_;
    descriptors_.emplace(arch_);
  }

  void add_instruction(std::string_view text) {
    const Instruction instruction = parse_instruction(text);
    count(instruction, *descriptors_, usage_of(current_));
    descriptors_->step(instruction);
  }

  void close_image() {
    for (auto& [symbol, kernel] : image_) {
      if (kernel.instructions == 0) {
        throw std::runtime_error("expected cuobjdump to print the code of kernel '" + symbol +
                                 "', found only its resource usage");
      }
      kernel.kernel = kernel_name(symbol);
      done_.push_back(std::move(kernel));
    }
    image_.clear();
    in_code_ = false;
  }

  std::vector<KernelCode> done_;
  std::map<std::string, KernelCode> image_;
  std::string current_, arch_;
  std::optional<DescriptorTracker> descriptors_;
  bool in_code_ = false;
};

}  // namespace

std::string kernel_name(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), std::free);
  if (status != 0) {
    return symbol;
  }
  std::string name = text.get();
  if (name.ends_with(')')) {  // the parameter list: back to the parenthesis that opens it
    int depth = 0;
    std::size_t at = name.size();
    do {
      --at;
      depth += (name[at] == ')') - (name[at] == '(');
    } while (depth > 0 && at > 0);
    name.resize(at);
  }
  return name.starts_with("void ") ? name.substr(5) : name;
}

std::vector<KernelCode> parse_code(std::string_view text) {
  CodeReader reader;
  while (!text.empty()) {
    reader.read(trimmed(next_line(text)));
  }
  return reader.finish();
}

CodeTargets parse_targets(std::string_view text) {
  CodeTargets targets;
  while (!text.empty()) {
    const std::string_view line = trimmed(next_line(text));
    const bool elf = line.starts_with("ELF file"), ptx = line.starts_with("PTX file");
    const std::size_t begin = line.rfind(".sm_"), end = line.rfind('.');
    if ((!elf && !ptx) || begin == std::string_view::npos || end <= begin) {
      continue;
    }
    std::vector<std::string>& list = elf ? targets.sass : targets.ptx;
    std::string arch(line.substr(begin + 1, end - begin - 1));
    if (std::find(list.begin(), list.end(), arch) == list.end()) {
      list.push_back(std::move(arch));
    }
  }
  return targets;
}

}  // namespace assay::harness

// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/nvrtc.hpp"

#include <cuda.h>
#include <dlfcn.h>
#include <nvrtc.h>

#include <regex>
#include <sstream>
#include <stdexcept>

namespace assay::kernels::attention {
namespace {

void* open_library() {
  // The name carries the major version: another one is another interface.
  static_assert(CUDA_VERSION / 1000 == 13);
  return dlopen("libnvrtc.so.13", RTLD_NOW | RTLD_LOCAL);
}

void* library() {
  static void* const handle = open_library();
  return handle;
}

template <class Function>
void find(Function*& function, const char* symbol) {
  function = reinterpret_cast<Function*>(dlsym(library(), symbol));
  if (function == nullptr)
    throw std::runtime_error(std::string("expected NVRTC to have ") + symbol + ", found: " + dlerror());
}

struct Nvrtc {
  decltype(nvrtcVersion)* version;
  decltype(nvrtcGetErrorString)* error_string;
  decltype(nvrtcCreateProgram)* create;
  decltype(nvrtcDestroyProgram)* destroy;
  decltype(nvrtcCompileProgram)* compile;
  decltype(nvrtcGetProgramLogSize)* log_size;
  decltype(nvrtcGetProgramLog)* log;
  decltype(nvrtcGetCUBINSize)* cubin_size;
  decltype(nvrtcGetCUBIN)* cubin;
  decltype(nvrtcGetPTXSize)* ptx_size;
  decltype(nvrtcGetPTX)* ptx;

  void check(nvrtcResult result, const char* step) const {
    if (result != NVRTC_SUCCESS)
      throw std::runtime_error(std::string("NVRTC: ") + step + " failed: " + error_string(result));
  }
};

Nvrtc find_all() {
  if (library() == nullptr)
    throw std::runtime_error(
        std::string("expected libnvrtc.so.13 (CUDA Toolkit 13, or the nvidia-cuda-nvrtc wheel) to "
                    "compile attention, found: ") +
        dlerror() + "; or give a cache folder with this program already compiled");
  Nvrtc n{};
  find(n.version, "nvrtcVersion");
  find(n.error_string, "nvrtcGetErrorString");
  find(n.create, "nvrtcCreateProgram");
  find(n.destroy, "nvrtcDestroyProgram");
  find(n.compile, "nvrtcCompileProgram");
  find(n.log_size, "nvrtcGetProgramLogSize");
  find(n.log, "nvrtcGetProgramLog");
  find(n.cubin_size, "nvrtcGetCUBINSize");
  find(n.cubin, "nvrtcGetCUBIN");
  find(n.ptx_size, "nvrtcGetPTXSize");
  find(n.ptx, "nvrtcGetPTX");
  return n;
}

const Nvrtc& nvrtc() {
  static const Nvrtc instance = find_all();
  return instance;
}

/// Destroys the program however the compilation ends.
class Program {
 public:
  Program(const std::string& source, const std::map<std::string, std::string>& headers) {
    std::vector<const char*> names, texts;
    for (const auto& [name, text] : headers) {
      names.push_back(name.c_str());
      texts.push_back(text.c_str());
    }
    nvrtc().check(nvrtc().create(&program_, source.c_str(), "attention.cu", static_cast<int>(names.size()),
                                 texts.data(), names.data()),
                  "creating the program");
  }
  ~Program() { nvrtc().destroy(&program_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  nvrtcProgram get() const { return program_; }
  std::string read(decltype(nvrtcGetPTXSize)* size_of, decltype(nvrtcGetPTX)* get_text,
                   const char* what) const {
    std::size_t size = 0;
    nvrtc().check(size_of(program_, &size), what);
    std::string text(size, '\0');
    nvrtc().check(get_text(program_, text.data()), what);
    return text;
  }

 private:
  nvrtcProgram program_ = nullptr;
};

std::string line_of(const std::string& text, int number) {
  std::istringstream lines(text);
  std::string line;
  for (int i = 0; i < number && std::getline(lines, line); ++i) {
  }
  return lines ? line : "";
}

}  // namespace

Compilation compile_with_nvrtc(const std::string& source, const std::map<std::string, std::string>& headers,
                               const std::vector<std::string>& options, const std::string& arch) {
  const Program program(source, headers);
  std::vector<const char*> arguments;
  for (const std::string& option : options) arguments.push_back(option.c_str());
  const std::string arch_option = "-arch=" + arch;
  arguments.push_back(arch_option.c_str());
  const nvrtcResult result =
      nvrtc().compile(program.get(), static_cast<int>(arguments.size()), arguments.data());
  Compilation made;
  made.log = program.read(nvrtc().log_size, nvrtc().log, "reading the log");
  while (!made.log.empty() && made.log.back() == '\0') made.log.pop_back();
  if (result != NVRTC_SUCCESS && result != NVRTC_ERROR_COMPILATION)
    throw std::runtime_error(std::string("NVRTC for ") + arch + ": " + nvrtc().error_string(result) + "\n" +
                             made.log);
  made.succeeded = result == NVRTC_SUCCESS;
  if (made.succeeded)
    made.code = arch.starts_with("compute_")
                    ? program.read(nvrtc().ptx_size, nvrtc().ptx, "reading PTX")
                    : program.read(nvrtc().cubin_size, nvrtc().cubin, "reading machine code");
  return made;
}

std::string nvrtc_version() {
  int major = CUDA_VERSION / 1000, minor = CUDA_VERSION % 1000 / 10;
  if (library() != nullptr)
    nvrtc().check(nvrtc().version(&major, &minor), "asking for the version");
  return std::to_string(major) + "." + std::to_string(minor);
}

std::string explain(const std::string& log, const std::map<std::string, std::string>& texts) {
  static const std::regex kError(R"(^(\w+)\((\d+)\): (catastrophic )?error)");
  std::istringstream lines(log);
  std::string line, shown;
  std::smatch match;
  while (std::getline(lines, line)) {
    if (!std::regex_search(line, match, kError))
      continue;
    const auto text = texts.find(match[1]);
    if (text != texts.end())
      shown += "  " + match[1].str() + ":" + match[2].str() + ": " +
               line_of(text->second, std::stoi(match[2])) + "\n";
  }
  return shown + log;
}

}  // namespace assay::kernels::attention

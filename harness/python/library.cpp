// SPDX-License-Identifier: Apache-2.0
#include "harness/python/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/inspect/tool.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> interpreters() {
  std::vector<fs::path> out;
#ifdef ASSAY_PYTHON
  out.emplace_back(ASSAY_PYTHON);
#endif
  for (const fs::path& folder : folders_on_path()) out.push_back(folder / "python3");
  return out;
}

/// The library of `interpreter`; empty when it has no shared one.
fs::path library_of(const fs::path& interpreter) {
  int exit_code = 0;
  const std::string said = run_program(
      {interpreter.string(), "-c",
       "import sysconfig as s; print(s.get_config_var('LIBDIR'), s.get_config_var('INSTSONAME'), sep='\\n')"},
      exit_code);
  std::istringstream lines(said);
  std::string folder, name;
  std::getline(lines, folder);
  std::getline(lines, name);
  const fs::path library = fs::path(folder) / name;
  std::error_code error;
  return exit_code == 0 && name.find(".so") != std::string::npos && fs::is_regular_file(library, error)
             ? library
             : fs::path();
}

template <class Function>
void bind(void* library, const char* name, Function& to) {
  to = reinterpret_cast<Function>(dlsym(library, name));
  if (to == nullptr) {
    throw Skip(fmt::format("this machine's libpython has no {}", name));
  }
}

void bind_all(void* handle, PythonLibrary& p) {
  bind(handle, "Py_SetProgramName", p.set_program_name);
  bind(handle, "Py_InitializeEx", p.initialize);
  bind(handle, "PyImport_AddModule", p.add_module);
  bind(handle, "PyModule_GetDict", p.module_dict);
  bind(handle, "PyRun_String", p.run_string);
  bind(handle, "PyDict_GetItemString", p.dict_item);
  bind(handle, "PyObject_CallFunction", p.call_function);
  bind(handle, "PyTuple_GetItem", p.tuple_item);
  bind(handle, "PyLong_AsLong", p.as_long);
  bind(handle, "PyUnicode_AsUTF8AndSize", p.as_utf8);
  bind(handle, "Py_IncRef", p.incref);
  bind(handle, "Py_DecRef", p.decref);
  bind(handle, "PyErr_Print", p.print_error);
  bind(handle, "PyEval_SaveThread", p.save_thread);
  bind(handle, "PyGILState_Ensure", p.ensure);
  bind(handle, "PyGILState_Release", p.release);
}

}  // namespace

fs::path python_interpreter() {
  for (const fs::path& interpreter : interpreters()) {
    std::error_code error;
    if (fs::exists(interpreter, error)) {
      return interpreter;
    }
  }
  throw Skip("no Python on this machine: neither the one this was built with nor python3 on PATH");
}

PythonLibrary load_python_library() {
  PythonLibrary out;
  out.executable = python_interpreter();
  out.path = library_of(out.executable);
  if (out.path.empty()) {
    throw Skip(fmt::format("{} has no shared library to load into this program (Debian: libpython3-dev)",
                           out.executable.string()));
  }
  void* handle = dlopen(out.path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    throw Skip(fmt::format("expected to load {}, found: {}", out.path.string(), dlerror()));
  }
  bind_all(handle, out);
  return out;
}

}  // namespace assay::harness

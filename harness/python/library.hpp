// SPDX-License-Identifier: Apache-2.0
// The few functions of Python's C interface that the bridge needs, taken from whichever libpython this
// machine has. All of them are part of the stable interface, or have been there since 3.2.
#pragma once

#include <filesystem>
#include <string>

namespace assay::harness {

struct PythonObject;  // PyObject

struct PythonLibrary {
  std::filesystem::path path, executable;
  void (*set_program_name)(const wchar_t*) = nullptr;
  void (*initialize)(int) = nullptr;
  PythonObject* (*add_module)(const char*) = nullptr;     // borrowed
  PythonObject* (*module_dict)(PythonObject*) = nullptr;  // borrowed
  PythonObject* (*run_string)(const char*, int, PythonObject*, PythonObject*) = nullptr;
  PythonObject* (*dict_item)(PythonObject*, const char*) = nullptr;  // borrowed
  PythonObject* (*call_function)(PythonObject*, const char*, ...) = nullptr;
  PythonObject* (*tuple_item)(PythonObject*, std::ptrdiff_t) = nullptr;  // borrowed
  long (*as_long)(PythonObject*) = nullptr;
  const char* (*as_utf8)(PythonObject*, std::ptrdiff_t*) = nullptr;
  void (*incref)(PythonObject*) = nullptr;
  void (*decref)(PythonObject*) = nullptr;
  void (*print_error)() = nullptr;
  PythonObject* (*save_thread)() = nullptr;
  int (*ensure)() = nullptr;
  void (*release)(int) = nullptr;
};

/// The interpreter that this was built with, else `python3` on PATH. Throws Skip where there is neither.
std::filesystem::path python_interpreter();

/// Asks the interpreter where its library lies, and loads it for everyone (extension modules need its names).
/// Throws Skip.
PythonLibrary load_python_library();

}  // namespace assay::harness

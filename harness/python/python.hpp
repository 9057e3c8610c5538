// SPDX-License-Identifier: Apache-2.0
// A Python interpreter inside this process, so that outside software written in Python is judged like
// everything else: on the harness' own tensors and stream, interleaved with the baseline, captured in graphs
// where it can be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// What a script's `prepare` returned: called once a call, with the stream's address (0 on the CPU).
class PythonCall {
 public:
  /// Throws OutOfMemory for torch.OutOfMemoryError, std::runtime_error with the exception's last lines for
  /// any other.
  void operator()(Stream stream) const;

 private:
  friend class Python;
  explicit PythonCall(void* object);
  std::shared_ptr<void> object_;  ///< a reference to the callable
};

/// One for the process: started at the first use, never ended (torch cannot be unloaded). Not for several
/// threads at once.
class Python {
 public:
  /// Starts the interpreter that this was built with, else `python3` on PATH: its own library, packages and
  /// environment. Throws Skip, saying why, where there is none or it has no shared library.
  static Python& instance();

  /// Runs `script` once and returns script.prepare(name, inputs, outputs, parameters): a callable, for the
  /// tensors of the sets as torch tensors over the same memory (dicts by name), and `parameters` (JSON text)
  /// as a dict. Throws Skip for NotImplementedError and for a module that is not installed, else as
  /// PythonCall does.
  PythonCall prepare(const std::filesystem::path& script, const std::string& name, const TensorSet& inputs,
                     const TensorSet& outputs, const std::string& parameters);
  /// script.version(name), for the records; empty when the package is not installed.
  std::string version(const std::filesystem::path& script, const std::string& name);

  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;

 private:
  Python();
};

}  // namespace assay::harness

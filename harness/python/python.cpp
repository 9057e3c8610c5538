// SPDX-License-Identifier: Apache-2.0
#include "harness/python/python.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/core/outcome.hpp"
#include "harness/python/library.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;

/// Runs on the other side. Every entry returns (status, text, object), so that no exception has to be taken
/// apart in C++.
constexpr const char* kBridge = R"py(
import ctypes, importlib.util, json, os, sys, traceback

_scripts = {}

class _DeviceBytes:
    def __init__(self, address, count):
        self.__cuda_array_interface__ = {"data": (address, False), "shape": (count,), "typestr": "|u1", "version": 3}

def _tensor(view):
    import torch
    dtype = getattr(torch, view["dtype"])
    if view["bytes"] == 0:
        return torch.empty(view["shape"], dtype=dtype, device=view["device"])
    if view["device"] == "cuda":
        raw = torch.as_tensor(_DeviceBytes(view["address"], view["bytes"]), device="cuda")
    else:
        raw = torch.frombuffer((ctypes.c_uint8 * view["bytes"]).from_address(view["address"]), dtype=torch.uint8)
    return raw.view(dtype).view(view["shape"])

def _script(path):
    if path not in _scripts:
        spec = importlib.util.spec_from_file_location("assay_peer_" + str(len(_scripts)), path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _scripts[path] = module
    return _scripts[path]

def _guarded(work):
    try:
        return (0, "", work())
    except ModuleNotFoundError as error:
        return (1, str(error), None)
    except NotImplementedError as error:
        return (1, str(error), None)
    except BaseException as error:
        kind = 2 if type(error).__name__ in ("OutOfMemoryError", "MemoryError") else 3
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error) or type(error).__name__
        return (kind, f"{type(error).__name__}: {text[:1500]} ({os.path.basename(last.filename)}:{last.lineno})", None)

def assay_prepare(path, name, description):
    def work():
        asked = json.loads(description)
        tensors = {side: {name: _tensor(view) for name, view in asked[side].items()} for side in ("inputs", "outputs")}
        call = _script(path).prepare(name, tensors["inputs"], tensors["outputs"], asked["parameters"])
        on_gpu = any(view["device"] == "cuda" for view in asked["outputs"].values())
        if not on_gpu:
            return lambda stream: call()
        import torch
        def on_stream(stream):
            with torch.cuda.stream(torch.cuda.ExternalStream(stream)):
                call()
        return on_stream
    return _guarded(work)

def assay_version(path, name):
    return _guarded(lambda: str(_script(path).version(name)))

def assay_call(call, stream):
    return _guarded(lambda: call(stream))
)py";

constexpr int kFileInput = 257;  // Py_file_input
enum Status { kDone, kMissing, kNoMemory, kFailed };

struct Bridge {
  PythonLibrary library;
  PythonObject *prepare = nullptr, *version = nullptr, *call = nullptr;
};

/// Started once; the interpreter and these references live as long as the process.
Bridge& bridge() {
  static Bridge* const started = [] {
    auto* made = new Bridge{.library = load_python_library()};
    PythonLibrary& p = made->library;
    static const std::wstring program = made->library.executable.wstring();
    p.set_program_name(program.c_str());
    p.initialize(0);  // 0: signals stay the program's
    PythonObject* scope = p.module_dict(p.add_module("__main__"));
    if (p.run_string(kBridge, kFileInput, scope, scope) == nullptr) {
      p.print_error();
      throw std::runtime_error("expected the Python bridge to start, found the error above");
    }
    made->prepare = p.dict_item(scope, "assay_prepare");
    made->version = p.dict_item(scope, "assay_version");
    made->call = p.dict_item(scope, "assay_call");
    p.save_thread();  // others may take the interpreter: autograd's threads do
    return made;
  }();
  return *started;
}

class Locked {
 public:
  explicit Locked(const PythonLibrary& library) : library_(library), state_(library.ensure()) {}
  ~Locked() { library_.release(state_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  const PythonLibrary& library_;
  int state_;
};

/// The object of a (status, text, object) answer, with a reference of its own; throws what the status says.
PythonObject* object_of(const PythonLibrary& p, PythonObject* answer) {
  if (answer == nullptr) {
    p.print_error();
    throw std::runtime_error("expected an answer of the Python bridge, found the error above");
  }
  const auto status = static_cast<Status>(p.as_long(p.tuple_item(answer, 0)));
  const std::string text = p.as_utf8(p.tuple_item(answer, 1), nullptr);
  PythonObject* object = p.tuple_item(answer, 2);
  p.incref(object);
  p.decref(answer);
  if (status == kDone) {
    return object;
  }
  p.decref(object);
  if (status == kMissing) {
    throw Skip(text);
  }
  if (status == kNoMemory) {
    throw OutOfMemory(text);
  }
  throw std::runtime_error(text);
}

const char* torch_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::kFloat16:
      return "float16";
    case Dtype::kBfloat16:
      return "bfloat16";
    case Dtype::kFloat32:
      return "float32";
    case Dtype::kFloat64:
      return "float64";
    case Dtype::kInt8:
      return "int8";
    case Dtype::kUint8:
      return "uint8";
    case Dtype::kInt32:
      return "int32";
    case Dtype::kInt64:
      return "int64";
  }
  throw std::invalid_argument("expected a type that torch knows");
}

nlohmann::json described(const TensorSet& set) {
  auto out = nlohmann::json::object();
  for (const TensorView& view : set.views()) {
    out[view.name] = {{"address", reinterpret_cast<std::uintptr_t>(view.data)},
                      {"bytes", view.bytes()},
                      {"dtype", torch_name(view.dtype)},
                      {"shape", view.shape},
                      {"device", view.device == DeviceKind::kCuda ? "cuda" : "cpu"}};
  }
  return out;
}

}  // namespace

PythonCall::PythonCall(void* object)
    : object_(object, [](void* held) {
        const PythonLibrary& p = bridge().library;
        const Locked locked(p);
        p.decref(static_cast<PythonObject*>(held));
      }) {}

void PythonCall::operator()(Stream stream) const {
  const Bridge& b = bridge();
  const Locked locked(b.library);
  PythonObject* answer = b.library.call_function(
      b.call, "OK", object_.get(), static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(stream)));
  b.library.decref(object_of(b.library, answer));
}

Python::Python() {
  bridge();
}

Python& Python::instance() {
  static Python one;
  return one;
}

PythonCall Python::prepare(const fs::path& script, const std::string& name, const TensorSet& inputs,
                           const TensorSet& outputs, const std::string& parameters) {
  const nlohmann::json description = {{"inputs", described(inputs)},
                                      {"outputs", described(outputs)},
                                      {"parameters", nlohmann::json::parse(parameters)}};
  const Bridge& b = bridge();
  const Locked locked(b.library);
  PythonObject* answer =
      b.library.call_function(b.prepare, "sss", script.c_str(), name.c_str(), description.dump().c_str());
  return PythonCall(object_of(b.library, answer));
}

std::string Python::version(const fs::path& script, const std::string& name) {
  const Bridge& b = bridge();
  const Locked locked(b.library);
  try {
    PythonObject* text =
        object_of(b.library, b.library.call_function(b.version, "ss", script.c_str(), name.c_str()));
    std::string out = b.library.as_utf8(text, nullptr);
    b.library.decref(text);
    return out;
  } catch (const Skip&) {
    return "";
  }
}

}  // namespace assay::harness

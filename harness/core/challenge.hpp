// SPDX-License-Identifier: Apache-2.0
// What a suite supplies. Everything here is data or a function; the harness never learns what it computes.
#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/tensor.hpp"

struct CUstream_st;

namespace assay::harness {

struct OutsideInterface;  // core/outside.hpp
struct RemoteCalls;

using Stream = CUstream_st*;  ///< cudaStream_t; null on the CPU

enum class Role { kOracle, kBaseline, kCandidate, kPeer, kMutant };
std::string_view name_of(Role role);

/// One point of a challenge's axes. `name` is the axes joined by '/', as DESIGN's case names.
struct Case {
  std::string name;
  std::any parameters;               ///< the suite's own struct
  std::uint64_t seed = 0;
  bool quick = false;                ///< small enough for verify on a CPU in CI
  bool on_request = false;           ///< too large for the default run: only where a filter names it
  bool measured = true;              ///< false: verify only
  std::vector<DeviceKind> devices = {DeviceKind::kCpu, DeviceKind::kCuda};
  std::string source = "random";     ///< "random", or the file a real input came from
};

/// Least traffic and arithmetic the case needs: every input read once, every output written once.
struct Work {
  std::int64_t bytes = 0;
  std::int64_t flops = 0;
  std::string ceiling = "copy_gbps";
};

/// Truth for one input set, streamed so that no suite must hold f64 copies of large outputs. Thread-safe.
struct Oracle {
  /// Writes truth for elements [begin, begin + out.size()) of `output`.
  std::function<void(std::string_view output, std::int64_t begin, std::span<double> out)> truth;
  /// Where parity is bit equality: the expected bytes of elements [begin, begin + count). Null otherwise.
  std::function<void(std::string_view output, std::int64_t begin, std::int64_t count, std::byte* out)> exact;
};

/// err(candidate) ≤ k · err(baseline) + floor, per element and per 128×128 tile; `exact` demands equal bits instead.
struct ParityRule {
  bool exact = false;
  double k = 1.0;
  double floor_ulp = 0.0;            ///< floor, in units of the last place of the truth in the output's dtype
  /// Factor on k per element, where the largest error of one tile is held against the largest of another.
  double element_slack = 1.0;
  /// Outputs with a floor of their own: one number that sums up many has one error, which the baseline's may escape by luck.
  std::map<std::string, double, std::less<>> floor_ulp_of = {};
};

struct DeviceFacts {
  DeviceKind kind = DeviceKind::kCpu;
  int sm = 0;                        ///< 90 for compute capability 9.0; 0 on the CPU
  std::size_t memory_bytes = 0;
  int cores = 1;
};

/// How a call may treat memory: kInto writes into the given outputs and allocates nothing that it could have
/// allocated in prepare; kAllocating allocates outputs and temporaries inside the call, as a user's Python call does.
enum class CallStyle { kInto, kAllocating };

/// Enqueues the work of one call on `stream` (CPU: does it). Must not synchronise unless `synchronises` says so.
using Invocation = std::function<void(Stream stream)>;

struct Implementation {
  std::string name;
  Role role = Role::kCandidate;
  DeviceKind device = DeviceKind::kCuda;
  std::string about;                 ///< one line for `assay list`
  /// Reason why the case cannot run here; nullopt when it can. Null: always can.
  std::function<std::optional<std::string>(const Case&, const DeviceFacts&)> unsupported;
  /// Inputs and outputs stay alive and in place as long as the returned invocation.
  std::function<Invocation(const Case&, const TensorSet& inputs, TensorSet& outputs, CallStyle)> prepare;
  std::vector<std::string> sources;  ///< paths from the repository root, hashed into the record
  bool deterministic = true;
  bool synchronises = false;         ///< waits for the device inside a call; on CUDA never timed in graph mode
  /// Its results come in memory of its own, which kInto copies into the outputs: kAllocating is timed in every mode, so
  /// that nobody's time holds a copy that its users do not make. Not for deterministic ones, whose timed outputs are read.
  bool copies_results = false;
  bool headline_baseline = false;    ///< baselines that compete to be what speedup is measured against
  std::string expected_check;        ///< mutants: the check that must reject it
  std::string version;               ///< peers: what was found, e.g. "bitsandbytes 0.50.2"
  /// Peers whose version only they know. Asked once, before the run's first case, so it also starts what they need;
  /// what it throws means that they are not there.
  std::function<std::string()> find_version;
  /// Peers alone: the k of ParityRule they are held to, where they trade exactness for something and a row that says how
  /// much is worth more than none. The record shows error and limit. Null: the challenge's.
  std::optional<double> own_k;
  /// Where calls happen in another process: all sets of a rotation at once, and windows of calls that this process clocks.
  /// Null: calls are made here, one by one.
  std::function<RemoteCalls(const Case&, const std::vector<TensorSet>& inputs)> prepare_remote;
  /// SHA-256 of what is judged, where it was not built from `sources`.
  std::string judged_sha256;
  /// CUDA: the SM the code that runs was built for and how ("sass" or "ptx_jit"); null: unknown.
  std::function<std::pair<std::string, std::string>()> target;
};

struct Challenge {
  std::string suite;                 ///< "nf4"
  std::string name;                  ///< "nf4/dequantize"
  std::string about;
  ParityRule parity;
  std::function<ParityRule(const Case&)> parity_of = {};  ///< where cases need rules of their own; null: `parity`
  std::vector<Case> cases;
  std::vector<Implementation> implementations;
  std::function<TensorSet(const Case&, std::uint64_t seed)> make_inputs;   ///< on the CPU
  std::function<std::vector<TensorSpec>(const Case&)> outputs;
  std::function<Oracle(const Case&, const TensorSet& host_inputs)> oracle; ///< host_inputs outlive the oracle
  std::function<Work(const Case&)> work;
  /// Checks that are not about one implementation on one case (table equality, static facts, …).
  struct SuiteCheck {
    std::string name;
    bool measures = false;  ///< takes times: part of `run`, not of `verify`
    std::string subject;    ///< the implementation it speaks of: its sources make the check stale
    /// Returns evidence as JSON text; throws with the reason when the check fails, Skip when it cannot run here.
    std::function<std::string(const DeviceFacts&)> run;
    std::string about = {};  ///< one line for `assay list`
  };
  std::vector<SuiteCheck> checks;
  /// How code that the suite was not built with takes the cases; null: it cannot.
  std::shared_ptr<const OutsideInterface> outside;
  /// No cases: a filter that names the challenge, or none at all, runs and lists its checks. Otherwise
  /// checks come with cases, or by their own name.
  bool checks_are_cases = false;
};

/// Thrown by a SuiteCheck or prepare that cannot run on this machine.
struct Skip : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace assay::harness

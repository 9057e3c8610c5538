// SPDX-License-Identifier: Apache-2.0
// One implementation prepared on one case, and what the checks have learnt about it so far. Checks run in
// order and read what earlier ones left here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include "harness/core/challenge.hpp"
#include "harness/device/device.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness {

/// What is judged and against what: verify()'s arguments.
struct Subject {
  const Challenge& challenge;
  const Case& which;
  const Implementation& implementation;
  const TensorSet& host_inputs;
  const TensorSet& second_inputs;
  const Oracle& oracle;
  const Oracle& second_oracle;
  const BaselineErrors* baseline;
};

/// The implementation threw, or CUDA reported an error during or after its call.
struct CallFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Nothing is known to be wrong with the implementation, but what is needed to judge it is missing.
struct CannotJudge : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The right answer to one input set: the digest of outputs that were judged right, and how to judge others.
struct Answer {
  const Oracle* oracle = nullptr;
  ParityRule rule;
  BaselineErrors limits;
  std::uint64_t digest = 0;
};

inline constexpr std::uint8_t kPoison = 0xFF;        ///< NaN in every floating format
inline constexpr std::uint8_t kSecondPoison = 0xA5;  ///< a small negative number in every floating format

class Trial {
 public:
  explicit Trial(const Subject& subject);

  bool on_cuda() const { return inputs.device() == DeviceKind::kCuda; }
  /// Prepares the call (CallStyle::kInto). Throws CallFailed, Skip or OutOfMemory.
  void prepare();
  /// Copies `from` over the input buffers, in place (blocking).
  void load_inputs(const TensorSet& from);
  /// Poisons the outputs, calls once and waits for the whole device.
  void run(std::uint8_t poison);
  /// Enqueues one call on the stream. Throws CallFailed, Skip or OutOfMemory.
  void invoke();
  /// Runs `foreign` code or waits for it; what it throws leaves as CallFailed, except Skip and OutOfMemory.
  static void attempt(const char* what, const std::function<void()>& foreign);
  /// Waits for the whole device and throws CallFailed for every error CUDA holds.
  void finish();
  /// Why `found` is not `answer`, in words; nullopt when it is.
  std::optional<std::string> disagreement(const TensorSet& found, const Answer& answer) const;

  const Subject subject;
  TensorSet inputs, outputs;
  OwnedStream stream;

  std::optional<TensorSet> first;  ///< outputs of the first run, on the CPU
  bool bits_varied = false;        ///< equal calls gave different bits
  Parity parity;
  std::optional<BaselineErrors> errors;
  Answer first_answer, second_answer;

 private:
  Invocation call_;
};

}  // namespace assay::harness

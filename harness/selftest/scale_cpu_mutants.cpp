// SPDX-License-Identifier: Apache-2.0
// Wrong implementations on the CPU: one for every fault that needs no stream. Each is right except for its
// fault.
#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "harness/selftest/scale_cpu.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness::selftest {
namespace {

constexpr DeviceKind kCpu = DeviceKind::kCpu;

void right(const ScaleViews& v) {
  scale(v, 0, v.count());
}

void nan_in_one_element(const ScaleViews& v) {
  right(v);
  store(v.down, v.count() / 2, std::numeric_limits<double>::quiet_NaN());
}

void one_wrong_tile(const ScaleViews& v) {
  right(v);
  const std::int64_t cols = v.x.shape[1];
  for (std::int64_t row = 128; row < 256; ++row) {
    for (std::int64_t col = 0; col < 128; ++col) {
      store(v.up, row * cols + col, load(v.x, row * cols + col));
    }
  }
}

void tail_not_written(const ScaleViews& v) {
  scale(v, 0, v.count() - 5);
}

void added_to_prior_contents(const ScaleViews& v) {
  for (std::int64_t i = 0; i < v.count(); ++i) {
    store(v.up, i, load(v.up, i) + 2.0 * load(v.x, i) + 1.0);
    store(v.down, i, 1.0 - 2.0 * load(v.x, i));
  }
}

void input_mutated(const ScaleViews& v) {
  right(v);
  store(v.x, 0, load(v.x, 0) + 1.0);
}

void write_past_end(const ScaleViews& v) {
  right(v);
  store(v.down, v.count(), 0.0);
}

void write_before_begin(const ScaleViews& v) {
  right(v);
  store(v.up, -1, 0.0);
}

void write_past_input(const ScaleViews& v) {
  right(v);
  store(v.x, v.count() + 3, 0.0);
}

void all_zeros(const ScaleViews& v) {
  std::memset(v.up.data, 0, v.up.bytes());
  std::memset(v.down.data, 0, v.down.bytes());
}

void swapped_outputs(const ScaleViews& v) {
  right({v.x, v.down, v.up});
}

/// Rounds toward zero: up to a whole ulp where the baseline has half of one, so 1.5 times the baseline is
/// exceeded.
void slightly_inexact(const ScaleViews& v) {
  const auto toward_zero = [](const TensorView& view, std::int64_t i, double value) {
    store(view, i, value);
    if (std::abs(load(view, i)) > std::abs(value)) {
      view.dtype == Dtype::kFloat32 ? --view.as<std::uint32_t>()[i] : --view.as<std::uint16_t>()[i];
    }
  };
  for (std::int64_t i = 0; i < v.count(); ++i) {
    toward_zero(v.up, i, 2.0 * load(v.x, i) + 1.0);
    toward_zero(v.down, i, 1.0 - 2.0 * load(v.x, i));
  }
}

void throws(const ScaleViews&) {
  throw std::runtime_error("this kernel does not do what it should");
}

/// Answers every call with what it computed at the first.
struct CachedAnswer {
  std::vector<std::byte> up, down;
  void operator()(const ScaleViews& v) {
    if (up.empty()) {
      right(v);
      up.assign(v.up.as<std::byte>(), v.up.as<std::byte>() + v.up.bytes());
      down.assign(v.down.as<std::byte>(), v.down.as<std::byte>() + v.down.bytes());
    }
    std::copy(up.begin(), up.end(), v.up.as<std::byte>());
    std::copy(down.begin(), down.end(), v.down.as<std::byte>());
  }
};

/// Keeps the first elements of its first call's input, as a kernel does whose first load was hoisted out.
struct CachedElements {
  std::vector<double> kept;
  void operator()(const ScaleViews& v) {
    constexpr std::int64_t kKept = 16;
    right(v);
    for (std::int64_t i = 0; i < std::min(kKept, v.count()); ++i) {
      if (static_cast<std::int64_t>(kept.size()) == i) {
        kept.push_back(load(v.x, i));
      }
      store(v.up, i, 2.0 * kept[i] + 1.0);
    }
  }
};

/// The eighth call is the last right one: past the single runs, within the repeated ones.
struct RightAtFirst {
  int calls = 0;
  void operator()(const ScaleViews& v) {
    right(v);
    if (++calls > 8) {
      store(v.up, v.count() - 1, 0.0);
    }
  }
};

struct Body {
  const char* name;
  const char* about;
  const char* check;
  void (*body)(const ScaleViews&);
};

constexpr Body kStateless[] = {
    {"no_op", "does nothing", checks::kUnwritten, [](const ScaleViews&) {}},
    {"nan_in_one_element", "one NaN", checks::kParity, nan_in_one_element},
    {"one_wrong_tile", "one 128x128 tile holds x", checks::kParity, one_wrong_tile},
    {"stale_memory", "the last 5 elements are not written", checks::kUnwritten, tail_not_written},
    {"accumulates", "adds to what the output held", checks::kUnwritten, added_to_prior_contents},
    {"input_mutated", "changes x[0]", checks::kInputMutated, input_mutated},
    {"write_past_end", "writes one element behind an output", checks::kCanary, write_past_end},
    {"write_before_begin", "writes one element before an output", checks::kCanary, write_before_begin},
    {"write_past_input", "writes behind the input", checks::kCanary, write_past_input},
    {"all_zeros", "writes zeros", checks::kParity, all_zeros},
    {"swapped_outputs", "up and down exchanged", checks::kParity, swapped_outputs},
    {"slightly_inexact", "rounds toward zero", checks::kParity, slightly_inexact},
    {"throws", "throws", checks::kRunError, throws},
};

template <class State>
Implementation stateful(const char* name, const char* about, const char* check) {
  return with_body(wrong_one(name, kCpu, about, check), [] { return State{}; });
}

}  // namespace

std::vector<Implementation> scale_cpu_mutants() {
  std::vector<Implementation> all;
  for (const Body& mutant : kStateless) {
    all.push_back(with_body(wrong_one(std::string(mutant.name) + "_cpu", kCpu, mutant.about, mutant.check),
                            [body = mutant.body] { return body; }));
  }
  all.push_back(stateful<CachedAnswer>("cached_answer_cpu", "repeats its first answer", checks::kStaleInput));
  all.push_back(
      stateful<CachedElements>("cached_elements_cpu", "keeps 16 input elements", checks::kStaleInput));
  all.push_back(stateful<LastBitVaries>("nondeterministic_cpu", "last bit varies", checks::kDeterminism));
  all.push_back(
      stateful<RightAtFirst>("right_at_first_cpu", "wrong from the 9th call on", checks::kGraphReplay));
  return all;
}

}  // namespace assay::harness::selftest

// SPDX-License-Identifier: Apache-2.0
// Right implementations on the CPU. Each does something legitimate that a careless check would reject.
#include "harness/selftest/scale_cpu.hpp"

#include <cstring>
#include <memory>
#include <thread>

namespace assay::harness::selftest {
namespace {

constexpr DeviceKind kCpu = DeviceKind::kCpu;

/// Rounds to the tensor's dtype after every step, as plain code at that precision does.
void stepwise(const ScaleViews& v) {
  for (std::int64_t i = 0; i < v.count(); ++i) {
    const double x = load(v.x, i);
    store(v.up, i, 2.0 * x);
    store(v.up, i, load(v.up, i) + 1.0);
    store(v.down, i, -2.0 * x);
    store(v.down, i, load(v.down, i) + 1.0);
  }
}

void threaded(const ScaleViews& v) {
  const std::int64_t half = v.count() / 2;
  const std::jthread other([&] { scale(v, half, v.count()); });
  scale(v, 0, half);
}

void written_twice(const ScaleViews& v) {
  std::memset(v.up.data, 0x7F, v.up.bytes());
  std::memset(v.down.data, 0, v.down.bytes());
  scale(v, 0, v.count());
}

/// Keeps memory between calls, but nothing in it outlives one.
struct WithScratch {
  std::shared_ptr<std::vector<double>> scratch = std::make_shared<std::vector<double>>();
  void operator()(const ScaleViews& v) {
    scratch->assign(static_cast<std::size_t>(v.count()), 0.0);
    for (std::int64_t i = 0; i < v.count(); ++i) {
      (*scratch)[i] = 2.0 * load(v.x, i);
    }
    for (std::int64_t i = v.count(); i-- > 0;) {
      store(v.up, i, (*scratch)[i] + 1.0);
      store(v.down, i, 1.0 - (*scratch)[i]);
    }
  }
};

}  // namespace

std::vector<Implementation> scale_cpu() {
  Implementation baseline =
      with_body(right_one("stepwise_cpu", kCpu, "rounds after every step"), [] { return stepwise; });
  baseline.role = Role::kBaseline;
  Implementation varying =
      with_body(right_one("varying_cpu", kCpu, "declared not deterministic"), [] { return LastBitVaries{}; });
  varying.deterministic = false;
  return {std::move(baseline),
          with_body(right_one("once_cpu", kCpu, "rounds once"),
                    [] { return [](const ScaleViews& v) { scale(v, 0, v.count()); }; }),
          with_body(right_one("threaded_cpu", kCpu, "two threads"), [] { return threaded; }),
          with_body(right_one("written_twice_cpu", kCpu, "writes garbage first, then the answer"),
                    [] { return written_twice; }),
          with_body(right_one("scratch_cpu", kCpu, "keeps a buffer between calls, works backwards"),
                    [] { return WithScratch{}; }),
          std::move(varying)};
}

}  // namespace assay::harness::selftest

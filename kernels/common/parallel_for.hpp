// SPDX-License-Identifier: Apache-2.0
// Splits CPU work over a pool of threads that lives as long as the process and sleeps between calls.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace assay::kernels {

/// Cores this process may run on (its affinity mask), at least 1.
int available_cores();

/// A non-owning reference to something callable with (begin, end).
class RangeBody {
 public:
  template <class Body, class = std::enable_if_t<!std::is_same_v<std::remove_cvref_t<Body>, RangeBody>>>
  RangeBody(Body&& body)  // NOLINT: implicit on purpose, as with std::function_ref
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(body)))),
        call_([](void* object, std::int64_t begin, std::int64_t end) {
          (*static_cast<std::remove_reference_t<Body>*>(object))(begin, end);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, std::int64_t);
};

/// Calls body(begin, end) for disjoint ranges of at most `grain` (at least 1) that cover [0, count), on up to
/// `num_threads` threads, the caller's among them (0: available_cores()), and returns when all are done.
/// Ranges are handed out in ascending order as threads become free. The first exception of a body is rethrown
/// here after the rest has stopped. May be called from several threads and from inside a body: a call that
/// finds the pool taken runs on its own thread alone. A forked child starts with a fresh pool.
void parallel_for(std::int64_t count, std::int64_t grain, int num_threads, RangeBody body);

}  // namespace assay::kernels

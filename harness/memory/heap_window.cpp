// SPDX-License-Identifier: Apache-2.0
// The counting allocator: the executable's own malloc family in front of glibc's. Shared libraries and
// dlopen'ed ones resolve to it too, since the executable comes first in symbol lookup. A closed window costs
// one relaxed load a call. Under a sanitizer, which brings its own malloc family, the same counters are fed
// by its hooks.
#include "harness/memory/heap_window.hpp"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace assay::harness {
namespace {

// Constant-initialized: allocation happens before any constructor runs.
constinit std::atomic<bool> window_open = false;
constinit std::atomic<std::int64_t> current = 0;
constinit std::atomic<std::int64_t> peak = 0;

void count_growth(std::size_t bytes) {
  const std::int64_t now = current.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed) +
                           static_cast<std::int64_t>(bytes);
  std::int64_t highest = peak.load(std::memory_order_relaxed);
  while (now > highest && !peak.compare_exchange_weak(highest, now, std::memory_order_relaxed)) {
  }
}

void count_shrinkage(std::size_t bytes) {
  current.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
}

bool counting() {
  return window_open.load(std::memory_order_relaxed);
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

extern "C" {
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                              void (*)(const volatile void*));
std::size_t __sanitizer_get_allocated_size(const volatile void*);
}

namespace {

void prepare_counting() {
  static const int installed = __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, std::size_t bytes) {
        if (counting()) {
          count_growth(bytes);
        }
      },
      [](const volatile void* data) {
        if (counting() && data != nullptr) {
          count_shrinkage(__sanitizer_get_allocated_size(data));
        }
      });
  if (installed == 0) {
    throw std::runtime_error(
        "the sanitizer has no free slot for allocation hooks; measure memory in a plain build");
  }
}

}  // namespace

#else

namespace {

void prepare_counting() {}

void* counted(void* data) {
  if (counting() && data != nullptr) {
    count_growth(malloc_usable_size(data));
  }
  return data;
}

/// Second-lowest bit of the size word in front of a glibc chunk: a mapping of its own, which mremap grows in
/// place of a copy.
bool is_mapped(const void* data) {
  return (static_cast<const std::size_t*>(data)[-1] & 2) != 0;
}

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* __libc_valloc(std::size_t);
void* __libc_pvalloc(std::size_t);
void __libc_free(void*);

void* malloc(std::size_t bytes) noexcept {
  return counted(__libc_malloc(bytes));
}

void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return counted(__libc_calloc(count, bytes));
}

void free(void* data) noexcept {
  if (counting() && data != nullptr) {
    count_shrinkage(malloc_usable_size(data));
  }
  __libc_free(data);
}

void* realloc(void* data, std::size_t bytes) noexcept {
  if (!counting() || data == nullptr) {
    return counted(__libc_realloc(data, bytes));
  }
  const std::size_t before = malloc_usable_size(data);
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const bool mapped = is_mapped(data);
  void* const moved = __libc_realloc(data, bytes);
  if (moved == nullptr && bytes > 0) {
    return nullptr;  // refused: the old block lives on
  }
  const bool copied =
      moved != nullptr && reinterpret_cast<std::uintptr_t>(moved) != address && !(mapped && is_mapped(moved));
  if (!copied) {
    count_shrinkage(before);
  }
  counted(moved);
  if (copied) {  // for a moment both blocks were alive
    count_shrinkage(before);
  }
  return moved;
}

void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return counted(__libc_memalign(alignment, bytes));
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return counted(__libc_memalign(alignment, bytes));
}

int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) noexcept {
  if (alignment % sizeof(void*) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) {
    return EINVAL;
  }
  const int errno_before = errno;
  void* const data = counted(__libc_memalign(alignment, bytes));
  errno = errno_before;  // the standard returns the error and leaves errno alone
  if (data == nullptr) {
    return ENOMEM;
  }
  *out = data;
  return 0;
}

void* valloc(std::size_t bytes) noexcept {
  return counted(__libc_valloc(bytes));
}

void* pvalloc(std::size_t bytes) noexcept {
  return counted(__libc_pvalloc(bytes));
}

}  // extern "C"

#endif

HeapWindow::HeapWindow() {
  prepare_counting();
  if (counting()) {
    throw std::logic_error("a heap window is open already; measure one call at a time");
  }
  current = 0;
  peak = 0;
  window_open = true;
}

HeapWindow::~HeapWindow() {
  window_open = false;
}

std::int64_t HeapWindow::peak_bytes() const {
  return peak;
}

std::int64_t HeapWindow::current_bytes() const {
  return current;
}

}  // namespace assay::harness

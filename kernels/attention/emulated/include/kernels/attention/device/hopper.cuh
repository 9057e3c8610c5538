// SPDX-License-Identifier: Apache-2.0
// Stands in for kernels/attention/device/hopper.cuh: barriers with phases, the copy engine, products of
// warpgroups, as the PTX manual has them. Copies arrive when somebody waits for them, products happen when
// somebody waits for them: whoever looks earlier, or gives memory back too early, sees it.
#pragma once

#include <functional>
#include <map>

#include "kernels/attention/device/machine.cuh"
#include "kernels/attention/device/params.hpp"

namespace assay::kernels::attention::device {

struct Barrier {
  int bytes;
  unsigned char expected, pending, phase, begun;
};
static_assert(sizeof(Barrier) == 8);

inline void settle(Barrier& barrier) {
  require(barrier.begun == 1, "a barrier that has begun");
  if (barrier.pending == 0 && barrier.bytes == 0) {
    barrier.phase ^= 1;
    barrier.pending = barrier.expected;
  }
  emulated::note_progress();
}
inline void begin_barrier(Barrier* barrier, int arrivals) {
  const auto count = static_cast<unsigned char>(arrivals);
  *barrier = {0, count, count, 0, 1};
}
inline void publish_barriers() {}
inline void arrive(Barrier* barrier) {
  require(barrier->pending > 0, "no more arrivals than a phase has");
  --barrier->pending;
  settle(*barrier);
}
inline void arrive_expecting(Barrier* barrier, int bytes) {
  barrier->bytes += bytes;
  arrive(barrier);
}

/// Copies under way, by the barrier they report to.
inline std::multimap<Barrier*, std::function<void()>>& copies_under_way() {
  static std::multimap<Barrier*, std::function<void()>> all;
  return all;
}
/// The slow warp lets the others run ahead.
inline void fall_behind() {
  if (thread_index() / 32 != slow_warp())
    return;
  for (int i = 0; i < 40; ++i) {
    emulated::note_progress();
    emulated::let_others_run();
  }
}
inline void wait_for(Barrier* barrier, int parity) {
  while (barrier->phase == parity) {
    auto& copies = copies_under_way();
    const auto copy = copies.find(barrier);
    if (copy != copies.end()) {
      const std::function<void()> run = copy->second;
      copies.erase(copy);
      run();
    } else {
      emulated::let_others_run();
    }
  }
  fall_behind();
}

/// What the host's tensor_map knows, in place of the driver's own encoding.
struct EmulatedMap {
  char* data;
  long long sequence_stride, token_stride, head_stride;  ///< elements
  int head_size, heads, rows, sequences;
  int box_rows;
};
static_assert(sizeof(EmulatedMap) <= sizeof(TensorMap));

/// The engine's swizzle by 128 bytes: address bits 7 to 9 change bits 4 to 6.
inline unsigned swizzled(unsigned address) {
  return address ^ (address >> 7 & 7) << 4;
}

inline void copy_box(char* to, const TensorMap& map, Barrier* barrier, int column, int head, int row,
                     int sequence) {
  require(shared_address(to) % 1024 == 0, "boxes aligned to 1024 bytes");
  EmulatedMap m;
  std::memcpy(&m, &map, sizeof m);
  require(column + 64 <= m.head_size && head < m.heads && sequence < m.sequences,
          "boxes inside the tensor's heads");
  char* const shared = shared_memory();
  const unsigned begin = shared_address(to);
  std::memset(to, 0xff,
              static_cast<std::size_t>(m.box_rows) * 128);  // whoever reads before the copy arrives reads NaN
  copies_under_way().emplace(barrier, [=] {
    for (int r = 0; r < m.box_rows; ++r)
      for (int c = 0; c < 64; ++c) {
        const long long element =
            sequence * m.sequence_stride + (row + r) * m.token_stride + head * m.head_stride;
        char* const at = shared + swizzled(begin + r * 128 + c * 2);
        if (row + r < m.rows)
          std::memcpy(at, m.data + (element + column + c) * 2, 2);
        else
          std::memset(at, 0, 2);
      }
    barrier->bytes -= m.box_rows * 128;
    settle(*barrier);
  });
}
inline void prefetch_map(const TensorMap&) {}
inline void publish_shared_writes() {}
template <int kRegisters>
inline void take_registers() {}
template <int kRegisters>
inline void give_registers() {}

inline int uniform(int x) {
  return x;
}

struct NamedBarrier {
  int arrived = 0, generation = 0;
};
inline NamedBarrier& named_barrier(int index) {
  static NamedBarrier all[16];
  require(index >= 1 && index < 16, "barriers 1 to 15");
  return all[index];
}
inline void announce(int index, int threads) {
  NamedBarrier& barrier = named_barrier(index);
  if (++barrier.arrived == threads) {
    barrier.arrived = 0;
    ++barrier.generation;
  }
  emulated::note_progress();
}
inline void meet(int index, int threads) {
  const int generation = named_barrier(index).generation;
  announce(index, threads);
  while (named_barrier(index).generation == generation) emulated::let_others_run();
}

/// Products of each thread that have not happened yet, in committed groups; the last group is open.
inline std::vector<std::vector<std::function<void()>>>& products_of_mine() {
  static std::vector<std::vector<std::function<void()>>> all[1024];
  auto& mine = all[thread_index()];
  if (mine.empty())
    mine.emplace_back();
  return mine;
}
inline void fence_products() {}
inline void commit_products() {
  products_of_mine().emplace_back();
}
template <int kPending>
inline void wait_for_products() {
  auto& groups = products_of_mine();
  while (groups.size() > kPending + 1) {
    for (const auto& product : groups.front()) product();
    groups.erase(groups.begin());
  }
  fall_behind();
}
template <int kParts>
inline void pin(float (&)[kParts][4]) {}
template <int kParts>
inline void pin(unsigned (&)[kParts][4]) {}

/// Element of a matrix that a descriptor speaks of: `wide` runs along the 64 contiguous columns, `tall` over
/// rows.
template <class Element>
inline float element_of(unsigned long long descriptor, int wide, int tall) {
  require(descriptor >> 62 == 1, "matrices swizzled by 128 bytes");
  const unsigned start = static_cast<unsigned>(descriptor & 0x3fff) << 4;
  const unsigned next_columns = static_cast<unsigned>(descriptor >> 16 & 0x3fff) << 4;
  const unsigned next_rows = static_cast<unsigned>(descriptor >> 32 & 0x3fff) << 4;
  const unsigned offset = static_cast<unsigned>(wide / 64) * next_columns +
                          static_cast<unsigned>(wide % 64) * 2 + static_cast<unsigned>(tall % 8) * 128 +
                          static_cast<unsigned>(tall / 8) * next_rows;
  unsigned short bits;
  std::memcpy(&bits, shared_memory() + swizzled(start + offset), 2);
  return unpack<Element>(bits);
}

/// Rows g and g + 8 of the warp's 16, columns 2t, 2t + 1 of each part of eight.
inline int row_of_sum(int e) {
  return thread_index() % 128 / 32 * 16 + lane_index() / 4 + e / 2 * 8;
}
inline int column_of_sum(int part, int e) {
  return part * 8 + lane_index() % 4 * 2 + e % 2;
}

template <class Element, int kParts>
inline void multiply_rows_async(float (&d)[kParts][4], unsigned long long a, unsigned long long b,
                                int accumulate) {
  float(*const sums)[4] = d;
  products_of_mine().back().push_back([=] {
    for (int part = 0; part < kParts; ++part)
      for (int e = 0; e < 4; ++e) {
        float sum = accumulate != 0 ? sums[part][e] : 0.0f;
        for (int k = 0; k < 16; ++k)
          sum += element_of<Element>(a, k, row_of_sum(e)) * element_of<Element>(b, k, column_of_sum(part, e));
        sums[part][e] = sum;
      }
  });
}

/// Of the 16 × 16 elements in a warp's registers, which all lanes have shown: row of sum `e`, column `k`.
template <class Element>
inline float shown_element(int e, int k) {
  const unsigned pair = shown(lane_index() / 4 * 4 + k % 8 / 2).a[e / 2 + k / 8 * 2];
  return unpack<Element>(static_cast<unsigned short>(pair >> (k % 2 * 16)));
}
template <class Element, int kParts>
inline void multiply_rows_async(float (&d)[kParts][4], const unsigned (&a)[4], unsigned long long b,
                                int accumulate) {
  float(*const sums)[4] = d;
  const unsigned* const mine = a;
  products_of_mine().back().push_back([=] {
    std::memcpy(show_next().a, mine, 16);
    wait_for_warp();
    for (int part = 0; part < kParts; ++part)
      for (int e = 0; e < 4; ++e) {
        float sum = accumulate != 0 ? sums[part][e] : 0.0f;
        for (int k = 0; k < 16; ++k)
          sum += shown_element<Element>(e, k) * element_of<Element>(b, k, column_of_sum(part, e));
        sums[part][e] = sum;
      }
  });
}
template <class Element, int kParts>
inline void multiply_columns_async(float (&d)[kParts][4], const unsigned (&a)[4], unsigned long long b) {
  float(*const sums)[4] = d;
  const unsigned* const mine = a;
  products_of_mine().back().push_back([=] {
    std::memcpy(show_next().a, mine, 16);
    wait_for_warp();
    for (int part = 0; part < kParts; ++part)
      for (int e = 0; e < 4; ++e) {
        float sum = sums[part][e];
        for (int k = 0; k < 16; ++k)
          sum += shown_element<Element>(e, k) * element_of<Element>(b, column_of_sum(part, e), k);
        sums[part][e] = sum;
      }
  });
}

}  // namespace assay::kernels::attention::device

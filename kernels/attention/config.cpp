// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/config.hpp"

#include <stdexcept>

#include "kernels/attention/device/params.hpp"

namespace assay::kernels::attention {
namespace {

/// device/tiles.cuh says why.
int row_bytes(int head_size) {
  return 2 * head_size + 16;
}

void require(bool holds, const std::string& rule, const std::string& found) {
  if (!holds)
    throw std::invalid_argument("attention: expected " + rule + ", found " + found);
}

void validate(const char* kernel, const Tiling& t, int shared_bytes, int own_rows, const HeadType& head,
              const Target& target) {
  const std::string text = std::string(kernel) + " tiling of " + std::to_string(t.tile_q) + " queries, " +
                           std::to_string(t.tile_k) + " keys, " + std::to_string(t.warps) + " warps, " +
                           std::to_string(t.stages) + " stages";
  const auto divides_block = [](int tile) { return tile >= 16 && tile % 16 == 0 && kBlock % tile == 0; };
  require(divides_block(t.tile_q) && divides_block(t.tile_k), "tiles of 16, 32, 64 or 128 rows", text);
  require(t.warps >= 1 && t.warps <= 8 && own_rows % (16 * t.warps) == 0,
          "1 to 8 warps of 16 rows or multiples", text);
  require(t.stages >= 1 && t.stages <= 4, "1 to 4 stages", text);
  require(t.blocks_per_multiprocessor >= 1, "at least one block a multiprocessor", text);
  for (const int tile : {t.tile_q, t.tile_k})
    require(tile * (head.head_size / 8) % (32 * t.warps) == 0, "tiles that the threads copy evenly", text);
  require(shared_bytes <= shared_bytes_limit(target.sm),
          "at most " + std::to_string(shared_bytes_limit(target.sm)) + " bytes of shared memory",
          text + " with " + std::to_string(shared_bytes));
}

/// Warpgroups' tiles: whole blocks, one warpgroup that feeds two.
void validate_hopper(const char* kernel, const Tiling& t, int shared_bytes, int least_stages,
                     const HeadType& head, const Target& target) {
  require(target.sm == 90, std::string("warpgroups in ") + kernel + " on sm_90a alone",
          "sm_" + std::to_string(target.sm));
  require(head.head_size == 64 || head.head_size == 128, "a head size of 64 or 128 for warpgroups",
          std::to_string(head.head_size));
  require(t.tile_q == kBlock && t.tile_k == kBlock && t.warps == 12 && t.blocks_per_multiprocessor == 1,
          "128 queries, 128 keys and 12 warps for warpgroups",
          std::to_string(t.tile_q) + ", " + std::to_string(t.tile_k) + " and " + std::to_string(t.warps));
  require(t.stages >= least_stages && t.stages <= 6 && shared_bytes <= shared_bytes_limit(target.sm),
          std::to_string(least_stages) + " to 6 stages that fit " +
              std::to_string(shared_bytes_limit(target.sm)) + " bytes of shared memory",
          std::to_string(t.stages) + " stages with " + std::to_string(shared_bytes));
}

void validate(const HeadType& head, const Target& target) {
  const int d = head.head_size;
  require(d == 32 || d == 64 || d == 96 || d == 128, "a head size of 32, 64, 96 or 128", std::to_string(d));
  require(head.type == ElementType::kFloat16 || head.type == ElementType::kBfloat16, "f16 or bf16",
          "type " + std::to_string(static_cast<int>(head.type)));
  require(target.sm >= 75, "a GPU of compute capability 7.5 or later", std::to_string(target.sm));
  require(head.type == ElementType::kFloat16 || target.sm >= 80,
          "f16 on GPUs before sm_80, which have no bf16 products", "bf16 on sm_" + std::to_string(target.sm));
}

}  // namespace

std::string name_of(const Target& target) {
  // The 'a' of sm_90a opens wgmma and setmaxnreg, for that very GPU.
  return (target.ptx ? "compute_" : "sm_") + std::to_string(target.sm) + (target.sm == 90 ? "a" : "");
}

int shared_bytes_limit(int sm) {
  switch (sm) {
    case 75:
      return 64 << 10;
    case 80:
    case 87:
      return 163 << 10;
    case 86:
    case 89:
    case 120:
    case 121:
      return 99 << 10;
    default:
      return 227 << 10;
  }
}

int forward_shared_bytes(const Tiling& t, int head_size) {
  if (t.hopper)  // device/forward_hopper.cuh
    return (1 + 2 * t.stages) * kBlock * head_size * 2 + 256;
  return (t.tile_q + 2 * t.tile_k) * row_bytes(head_size);
}
int backward_keys_shared_bytes(const Tiling& t, int head_size) {
  if (t.hopper)  // device/backward_keys_hopper.cuh
    return (4 + 2 * t.stages) * kHalfBlock * head_size * 2 + t.stages * kHalfBlock * 8 + 256;
  return 2 * t.tile_k * row_bytes(head_size) +
         t.stages * (2 * t.tile_q * row_bytes(head_size) + 2 * t.tile_q * 4);
}
int backward_queries_shared_bytes(const Tiling& t, int head_size) {
  if (t.hopper)  // device/backward_queries_hopper.cuh
    return (4 + 2 * t.stages) * kHalfBlock * head_size * 2 + 256;
  return 2 * t.tile_q * row_bytes(head_size) + t.stages * 2 * t.tile_k * row_bytes(head_size);
}

void validate(const Tilings& tilings, const HeadType& head, const Target& target, bool learnable) {
  validate(head, target);
  const int d = head.head_size;
  const Tiling& forward = tilings.forward;
  if (forward.hopper)
    validate_hopper("forward", forward, forward_shared_bytes(forward, d), 1, head, target);
  else
    validate("forward", forward, forward_shared_bytes(forward, d), forward.tile_q, head, target);
  const Tiling &keys = tilings.backward_keys, &queries = tilings.backward_queries;
  require(keys.hopper == queries.hopper, "both backward kernels by warpgroups or none", "one of them");
  if (keys.hopper) {
    require(!learnable, "no learnable buffers where backward is by warpgroups", "some");
    validate_hopper("backward_keys", keys, backward_keys_shared_bytes(keys, d), 2, head, target);
    validate_hopper("backward_queries", queries, backward_queries_shared_bytes(queries, d), 2, head, target);
    return;
  }
  validate("backward_keys", keys, backward_keys_shared_bytes(keys, d), keys.tile_k, head, target);
  validate("backward_queries", queries, backward_queries_shared_bytes(queries, d), queries.tile_q, head,
           target);
  require(keys.tile_k == 16 * keys.warps && queries.tile_q == 16 * queries.warps,
          "16 rows a warp in backward",
          "tiles of " + std::to_string(keys.tile_k) + " and " + std::to_string(queries.tile_q) + " rows");
}

Tilings choose_tilings(const HeadType& head, const Target& target, bool learnable) {
  validate(head, target);
  Tilings t;
  const bool wide = head.head_size > 64;  // sums of 128 columns leave registers for 32 others, without spills
  if (target.sm < 80) {                   // 64 KB of shared memory
    t.forward = {64, 64, 4, 1, 1};
    t.backward_keys = {32, 64, 4, 1, 1};
    t.backward_queries = {64, 32, 4, 1, 1};
  } else if (shared_bytes_limit(target.sm) <= 99 << 10) {
    t.forward = {128, 64, 8, 1, 1};
    t.backward_keys = {wide ? 32 : 64, 64, 4, 1, 1};
    t.backward_queries = {64, 64, 4, 1, 1};
  } else {  // two blocks a multiprocessor
    t.forward = {128, wide ? 32 : 64, 4, 1, 2};
    t.backward_keys = {wide ? 32 : 64, 64, 4, 2, 2};
    t.backward_queries = {64, 64, 4, target.sm >= 90 || !wide ? 2 : 1, 2};
  }
  if (target.sm == 90 && (head.head_size == 64 || head.head_size == 128)) {
    t.forward = {.tile_q = kBlock, .tile_k = kBlock, .warps = 12, .stages = 2, .hopper = true, .turns = true};
    if (!learnable)
      t.backward_keys = t.backward_queries = {
          .tile_q = kBlock, .tile_k = kBlock, .warps = 12, .stages = 4, .hopper = true, .turns = true};
  }
  validate(t, head, target, learnable);
  return t;
}

}  // namespace assay::kernels::attention

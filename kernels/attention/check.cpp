// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/check.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

namespace assay::kernels::attention {
namespace {

void require(bool holds, const std::string& expected, const std::string& found) {
  if (!holds)
    throw std::invalid_argument("attention: expected " + expected + ", found " + found);
}

std::string text(std::int64_t value) {
  return std::to_string(value);
}

void check_view(const char* name, const View& view, const Sequences& s, bool has_rows) {
  const auto address = reinterpret_cast<std::uintptr_t>(view.data);
  require(!has_rows || address != 0, std::string("memory for ") + name, "none");
  require(address % 16 == 0, std::string(name) + " aligned to 16 bytes",
          "address " + text(address % 16) + " behind that");
  require(view.token_stride % 8 == 0 && view.head_stride % 8 == 0 && view.sequence_stride % 8 == 0,
          std::string("strides of ") + name + " that are multiples of 8",
          text(view.sequence_stride) + ", " + text(view.token_stride) + ", " + text(view.head_stride));
  require(!s.packed() || view.sequence_stride == 0, std::string("sequence stride 0 of packed ") + name,
          text(view.sequence_stride));
}

bool has_queries(const Sequences& s) {
  return s.sequences > 0 && s.q_length > 0;
}
bool has_keys(const Sequences& s) {
  return s.sequences > 0 && s.k_length > 0;
}

}  // namespace

void check(const Sequences& s) {
  require(
      s.sequences >= 0 && s.q_length >= 0 && s.k_length >= 0, "numbers and lengths of at least 0",
      text(s.sequences) + " sequences of " + text(s.q_length) + " queries, " + text(s.k_length) + " keys");
  require(s.kv_heads >= 1 && s.q_heads >= 1 && s.q_heads % s.kv_heads == 0,
          "a multiple of the key heads as query heads", text(s.q_heads) + " on " + text(s.kv_heads));
  require((s.q_starts == nullptr) == (s.k_starts == nullptr),
          "starts of both queries and keys, or of neither", "one of them");
  require(!s.packed() || (s.q_rows >= 0 && s.k_rows >= 0), "numbers of packed rows",
          text(s.q_rows) + ", " + text(s.k_rows));
  constexpr int kMost = std::numeric_limits<int>::max() - 2 * kBlock;
  require(s.q_rows <= kMost && s.k_rows <= kMost && s.q_length <= kMost && s.k_length <= kMost,
          "fewer than 2^31 - 256 rows", text(s.q_rows) + ", " + text(s.k_rows));
  require(std::isfinite(s.scale), "a finite scale", std::to_string(s.scale));
}

void check(const Mods& mods, const Sequences& sequences, const BlockMask& mask) {
  check(sequences);
  const std::size_t needed = block_mask_bytes(mods, sequences);
  require(mask.bytes >= needed, text(static_cast<std::int64_t>(needed)) + " bytes for the block mask",
          text(static_cast<std::int64_t>(mask.bytes)));
  require(needed == 0 || mask.workspace != nullptr, "memory for the block mask", "none");
  require(reinterpret_cast<std::uintptr_t>(mask.workspace) % 256 == 0, "a block mask aligned to 256 bytes",
          "another address");
}

void check(const Mods& mods, const ForwardArgs& args) {
  check(mods, args.sequences, args.mask);
  const Sequences& s = args.sequences;
  check_view("q", args.q, s, has_queries(s));
  check_view("o", args.o, s, has_queries(s));
  check_view("k", args.k, s, has_keys(s));
  check_view("v", args.v, s, has_keys(s));
  require(!has_queries(s) || args.lse != nullptr, "memory for lse", "none");
}

void check(const Mods& mods, const BackwardArgs& args) {
  check(mods, args.sequences, args.mask);
  const Sequences& s = args.sequences;
  for (const auto& [name, view] :
       {std::pair{"q", &args.q}, {"o", &args.o}, {"d_o", &args.d_o}, {"d_q", &args.d_q}})
    check_view(name, *view, s, has_queries(s));
  for (const auto& [name, view] :
       {std::pair{"k", &args.k}, {"v", &args.v}, {"d_k", &args.d_k}, {"d_v", &args.d_v}})
    check_view(name, *view, s, has_keys(s));
  require(!has_queries(s) || args.lse != nullptr, "lse of the forward pass", "none");
  for (int slot = 0; slot < kMaxLearnable; ++slot) {
    const bool wanted = args.learnable_gradients[slot] != nullptr;
    require(!wanted || slot < mods.learnable,
            "gradients of the mods' " + text(mods.learnable) + " learnable buffers",
            "one for slot " + text(slot));
    require(!wanted || args.learnable_sizes[slot] >= 0, "a size of learnable buffer " + text(slot),
            text(args.learnable_sizes[slot]));
  }
  require(args.fixed_point_bits >= 0 && args.fixed_point_bits <= 62, "0 to 62 bits behind the point",
          text(args.fixed_point_bits));
  const std::size_t needed = backward_workspace_bytes(args);
  require(args.workspace_bytes >= needed, text(static_cast<std::int64_t>(needed)) + " bytes of workspace",
          text(static_cast<std::int64_t>(args.workspace_bytes)));
  require(needed == 0 || args.workspace != nullptr, "a workspace", "none");
  require(reinterpret_cast<std::uintptr_t>(args.workspace) % 256 == 0, "a workspace aligned to 256 bytes",
          "another address");
}

}  // namespace assay::kernels::attention

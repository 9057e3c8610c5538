// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/elements.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace assay::kernels::compile::checkpoint {
namespace {

struct Half {
  using Bits = std::uint16_t;
  static constexpr Bits kExponent = 0x7c00;
  static float widen(Bits bits) { return __half2float(__ushort_as_half(bits)); }
  static Bits round(float value) { return __half_as_ushort(__float2half_rn(value)); }
};
struct Brain {
  using Bits = std::uint16_t;
  static constexpr Bits kExponent = 0x7f80;
  static float widen(Bits bits) { return __bfloat162float(__ushort_as_bfloat16(bits)); }
  static Bits round(float value) { return __bfloat16_as_ushort(__float2bfloat16_rn(value)); }
};
struct Single {
  using Bits = std::uint32_t;
  static constexpr Bits kExponent = 0x7f80'0000;
  static float widen(Bits bits) { return std::bit_cast<float>(bits); }
  static Bits round(float value) { return std::bit_cast<Bits>(value); }
};

template <class Body>
auto with(ElementType type, const Body& body) {
  switch (type) {
    case ElementType::kFloat16:
      return body(Half{});
    case ElementType::kBfloat16:
      return body(Brain{});
    case ElementType::kFloat32:
      return body(Single{});
  }
  throw std::invalid_argument("expected f16, bf16 or f32, found another type");
}

template <class Bits>
Bits load(const std::byte* from) {
  Bits bits;
  std::memcpy(&bits, from, sizeof bits);
  return bits;
}

}  // namespace

std::optional<ElementType> element_type(const std::string& stored_type) {
  if (stored_type == "F16")
    return ElementType::kFloat16;
  if (stored_type == "BF16")
    return ElementType::kBfloat16;
  if (stored_type == "F32")
    return ElementType::kFloat32;
  return std::nullopt;
}

std::size_t bytes_to_convert(std::int64_t count, ElementType from, ElementType to) {
  return static_cast<std::size_t>(count) * std::max(llama::size_of(from), llama::size_of(to));
}

void convert(std::span<std::byte> memory, std::int64_t count, ElementType from, ElementType to) {
  if (from == to)
    return;
  // Forwards: an element is written no later than where the next one that is unread begins.
  with(from, [&](auto source) {
    with(to, [&](auto target) {
      using From = typename decltype(source)::Bits;
      using To = typename decltype(target)::Bits;
      const std::byte* in = memory.data() + memory.size() - static_cast<std::size_t>(count) * sizeof(From);
      std::byte* out = memory.data();
      for (std::int64_t i = 0; i < count; ++i, in += sizeof(From), out += sizeof(To)) {
        const To bits = target.round(source.widen(load<From>(in)));
        std::memcpy(out, &bits, sizeof bits);
      }
    });
  });
}

std::int64_t first_not_finite(std::span<const std::byte> elements, ElementType type) {
  return with(type, [&](auto format) -> std::int64_t {
    using Format = decltype(format);
    using Bits = typename Format::Bits;
    constexpr std::size_t kAtOnce = 4096;  // the inner loop has no exit, so it is vectorized
    const std::size_t count = elements.size() / sizeof(Bits);
    for (std::size_t begin = 0; begin < count; begin += kAtOnce) {
      const std::size_t end = std::min(count, begin + kAtOnce);
      const auto bad = [&](std::size_t i) {
        return (load<Bits>(elements.data() + i * sizeof(Bits)) & Format::kExponent) == Format::kExponent;
      };
      Bits any = 0;
      for (std::size_t i = begin; i < end; ++i) any = static_cast<Bits>(any | Bits{bad(i)});
      for (std::size_t i = begin; any != 0 && i < end; ++i)
        if (bad(i))
          return static_cast<std::int64_t>(i);
    }
    return -1;
  });
}

}  // namespace assay::kernels::compile::checkpoint

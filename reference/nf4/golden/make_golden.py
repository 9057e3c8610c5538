# SPDX-License-Identifier: Apache-2.0
"""Writes bitsandbytes.hpp: what the real bitsandbytes wheel makes of reproducible inputs on a CPU.

Run with a Python that has torch and bitsandbytes:  python make_golden.py > bitsandbytes.hpp
The committed file says which versions it came from. Weight i of a case is the f32 (h / 2^23 - 1) * 2^exponent with
h = (i * 2654435761 + seed * 40503) mod 2^32 >> 8, rounded to the case's dtype; `zero_block` makes one block all zeros.
Dequantized values are kept as FNV-1a 64 of their bytes, with -0 made +0 for FP4, whose zero the CPU path signs at random.
"""

import importlib.metadata

import bitsandbytes.functional as F
import numpy as np
import torch

CASES = [  # name, codebook, dtype, block size, weights, seed, exponent, all-zero block (-1: none)
    ("nf4_f32_64", "nf4", torch.float32, 64, 512, 1, -4, -1),
    ("nf4_f16_64_tail", "nf4", torch.float16, 64, 333, 2, -4, -1),
    ("nf4_bf16_64_odd_tail_of_one", "nf4", torch.bfloat16, 64, 129, 3, 0, -1),
    ("nf4_bf16_32_two_nested_blocks", "nf4", torch.bfloat16, 32, 8325, 4, -3, -1),
    ("nf4_f32_64_zero_block", "nf4", torch.float32, 64, 256, 5, -2, 1),
    ("nf4_f32_4096_short", "nf4", torch.float32, 4096, 700, 6, 3, -1),
    ("nf4_f16_128_subnormal_f16", "nf4", torch.float16, 128, 300, 7, -15, -1),
    ("fp4_f32_64", "fp4", torch.float32, 64, 512, 8, -4, -1),
    ("fp4_bf16_128_odd_tail", "fp4", torch.bfloat16, 128, 511, 9, -4, -1),
    ("fp4_f16_256_zero_tail", "fp4", torch.float16, 256, 257, 10, 0, 1),
]
OUTPUTS = [("f16", torch.float16), ("bf16", torch.bfloat16), ("f32", torch.float32)]


def weights(dtype, block_size, count, seed, exponent, zero_block):
    i = np.arange(count, dtype=np.uint64)
    h = ((i * 2654435761 + seed * 40503) % (1 << 32)) >> 8
    values = ((h.astype(np.float64) / (1 << 23) - 1) * 2.0**exponent).astype(np.float32)
    if zero_block >= 0:
        values[zero_block * block_size : (zero_block + 1) * block_size] = 0
    return torch.from_numpy(values).to(dtype)


def raw(tensor):
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def fnv1a(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 % (1 << 64)
    return digest


def quoted(data):
    text = data.hex()
    lines = [text[k : k + 96] for k in range(0, len(text), 96)] or [""]
    return "\n     ".join(f'"{line}"' for line in lines)


def emit(name, codebook, dtype, block_size, count, seed, exponent, zero_block):
    values = weights(dtype, block_size, count, seed, exponent, zero_block)
    packed, single = F.quantize_4bit(values, blocksize=block_size, quant_type=codebook)
    same, nested = F.quantize_4bit(values, blocksize=block_size, quant_type=codebook, compress_statistics=True)
    assert torch.equal(packed, same)
    absmax = F.dequantize_blockwise(nested.absmax, nested.state2) + nested.offset
    digests = []
    for _, out_dtype in OUTPUTS:
        out = torch.ops.bitsandbytes.dequantize_4bit(packed, absmax, block_size, codebook, (1, count), out_dtype)
        digests.append(fnv1a(raw(out + 0.0 if codebook == "fp4" else out)))
    kind = {torch.float16: "kFloat16", torch.bfloat16: "kBfloat16", torch.float32: "kFloat32"}[dtype]
    print(f'    {{"{name}", Codebook::k{codebook.capitalize()}, Scalar::{kind}, {block_size}, {count}, {seed}, {exponent},')
    print(f"     {zero_block},")
    for data in (packed, single.absmax, nested.absmax, nested.state2.absmax, nested.offset.reshape(1)):
        print(f"     {quoted(raw(data))},")
    print("     {" + ", ".join(f"0x{d:016x}u" for d in digests) + "}},")


def main():
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("bitsandbytes", "torch"))
    print(f"""// SPDX-License-Identifier: Apache-2.0
// What bitsandbytes makes of reproducible inputs on a CPU. Made by make_golden.py, which explains the fields, with
// {versions}. Not edited by hand.
#pragma once

#include <cstdint>
#include <string_view>

#include "reference/nf4/dequantize.hpp"

// clang-format off
namespace assay::reference::nf4::golden {{

/// Bytes as hexadecimal text, little endian.
struct Case {{
  std::string_view name;
  Codebook codebook;
  Scalar type;
  std::int32_t block_size;
  std::int64_t count;
  std::uint32_t seed;
  int exponent, zero_block;
  std::string_view packed, absmax;                      // single level
  std::string_view absmax_codes, nested_absmax, offset;  // nested
  std::uint64_t dequantized[3];                         // of the nested weights: f16, bf16, f32
}};

inline constexpr std::string_view kDynamicMap =
     {quoted(raw(F.create_dynamic_map()))};

inline constexpr Case kCases[] = {{""")
    for case in CASES:
        emit(*case)
    print("};\n\n}  // namespace assay::reference::nf4::golden\n// clang-format on")


if __name__ == "__main__":
    main()

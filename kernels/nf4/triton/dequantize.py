# SPDX-License-Identifier: Apache-2.0
"""4-bit weights to f16, bf16 or f32 in one Triton kernel: nested absmax, nibble decode, multiply and cast.

Compiled ahead of time by cmake/triton_aot.py (every entry of `images()`), launched from
kernels/nf4/dequantize_triton.cpp. The formula is that of kernels/nf4/format.hpp, each step rounded by itself.

Shapes: a program makes two tiles of [WORDS, PER_WORD] weights. A thread owns one word of packed weights in each tile:
PER_WORD weights, 16 bytes of output, so stores are whole 16-byte vectors and neighbouring threads are neighbours in
memory. A word lies within one absmax block, since the smallest block has 32 weights.
"""

import triton
import triton.language as tl

NUM_WARPS = 4
WORDS = 32 * NUM_WARPS
TILES = 2


@triton.jit
def multiply_rn(x, y):
    """PTX mul.rn is never fused into an fma, not even when the driver compiles the PTX itself."""
    return tl.inline_asm_elementwise("mul.rn.f32 $0, $1, $2;", "=f,f,f", [x, y], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def add_rn(x, y):
    return tl.inline_asm_elementwise("add.rn.f32 $0, $1, $2;", "=f,f,f", [x, y], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def code_table(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15):
    """The codebook as a tensor [16]: a tree of selects over the bits of the index."""
    i = tl.arange(0, 16)
    bit0 = (i & 1) != 0
    bit1 = (i & 2) != 0
    bit2 = (i & 4) != 0
    q0 = tl.where(bit1, tl.where(bit0, c3, c2), tl.where(bit0, c1, c0))
    q1 = tl.where(bit1, tl.where(bit0, c7, c6), tl.where(bit0, c5, c4))
    q2 = tl.where(bit1, tl.where(bit0, c11, c10), tl.where(bit0, c9, c8))
    q3 = tl.where(bit1, tl.where(bit0, c15, c14), tl.where(bit0, c13, c12))
    return tl.where(i >= 8, tl.where(bit2, q3, q2), tl.where(bit2, q1, q0))


@triton.jit
def load_words(packed, word, last_byte, BYTES: tl.constexpr, ALIGNED: tl.constexpr):
    """Words of BYTES packed bytes, little endian; byte by byte and never past `last_byte` unless ALIGNED."""
    if ALIGNED:
        kind: tl.constexpr = tl.uint32 if BYTES == 4 else tl.uint16
        words = tl.load(packed.to(tl.pointer_type(kind)) + word, eviction_policy="evict_first")
        return words.to(tl.uint32)
    else:
        words = tl.zeros(word.shape, tl.uint32)
        for i in tl.static_range(BYTES):
            byte = tl.minimum(word * BYTES + i, last_byte)
            words |= tl.load(packed + byte, eviction_policy="evict_first").to(tl.uint32) << (8 * i)
        return words


@triton.jit
def load_absmax(absmax, nested_code, nested_absmax, offset, block, nested_block_shift, NESTED: tl.constexpr):
    """The absmax of `block`; nested: fl(fl(nested_code[code] * nested_absmax) + offset)."""
    if NESTED:
        code = tl.load(nested_code + tl.load(absmax + block), eviction_policy="evict_last")
        scale = tl.load(nested_absmax + (block >> nested_block_shift), eviction_policy="evict_last")
        return add_rn(multiply_rn(code, scale), offset)
    else:
        return tl.load(absmax + block)


@triton.jit
def round_to(x, dtype: tl.constexpr, CANONICAL_NAN: tl.constexpr):
    """One rounding. CANONICAL_NAN: without a bf16 instruction (sm_75) a NaN keeps its payload; make it cvt's 0x7fff."""
    y = x.to(dtype)
    if CANONICAL_NAN:
        y = tl.where(x == x, y.to(tl.int16, bitcast=True), 0x7FFF).to(tl.bfloat16, bitcast=True)
    return y


@triton.jit
def decode(table, packed, absmax, nested_code, nested_absmax, offset, out, first, num_weights, block_shift,
           nested_block_shift, NESTED: tl.constexpr, ALIGNED: tl.constexpr, WHOLE: tl.constexpr, WORDS: tl.constexpr,
           PER_WORD: tl.constexpr, CANONICAL_NAN: tl.constexpr):
    """Weights first … first + 2 * WORDS * PER_WORD, or only those below num_weights unless WHOLE."""
    TILE: tl.constexpr = WORDS * PER_WORD
    packed += first // 2
    out += first
    left = (num_weights - first).to(tl.int32) if not WHOLE else 2 * TILE
    last_block = (num_weights - 1) >> block_shift
    word = tl.arange(0, WORDS)

    # All loads before the first use. In the last program indices past the end read the last element instead.
    words0 = load_words(packed, word, (left - 1) // 2, PER_WORD // 2, ALIGNED and WHOLE)
    words1 = load_words(packed, word + WORDS, (left - 1) // 2, PER_WORD // 2, ALIGNED and WHOLE)
    block0 = (first + word * PER_WORD) >> block_shift
    block1 = (first + TILE + word * PER_WORD) >> block_shift
    if not WHOLE:
        block0 = tl.minimum(block0, last_block)
        block1 = tl.minimum(block1, last_block)
    absmax0 = load_absmax(absmax, nested_code, nested_absmax, offset, block0, nested_block_shift, NESTED)
    absmax1 = load_absmax(absmax, nested_code, nested_absmax, offset, block1, nested_block_shift, NESTED)

    # Nibbles, even weights in the high one; both tiles through one gather, which costs one barrier.
    k = tl.arange(0, PER_WORD)[None, :]
    nibbles0 = (words0[:, None] >> ((k * 4) ^ 4)) & 15
    nibbles1 = (words1[:, None] >> ((k * 4) ^ 4)) & 15
    nibbles = tl.reshape(tl.join(nibbles0, nibbles1), [2 * TILE]).to(tl.int32)
    codes0, codes1 = tl.split(tl.reshape(tl.gather(table, nibbles, 0), [WORDS, PER_WORD, 2]))

    dtype: tl.constexpr = out.dtype.element_ty
    weights0 = round_to(multiply_rn(codes0, tl.broadcast_to(absmax0[:, None], codes0.shape)), dtype, CANONICAL_NAN)
    weights1 = round_to(multiply_rn(codes1, tl.broadcast_to(absmax1[:, None], codes1.shape)), dtype, CANONICAL_NAN)
    index = word[:, None] * PER_WORD + k
    if WHOLE:
        tl.store(out + index, weights0, eviction_policy="evict_first")
        tl.store(out + TILE + index, weights1, eviction_policy="evict_first")
    else:
        tl.store(out + index, weights0, mask=index < left, eviction_policy="evict_first")
        tl.store(out + TILE + index, weights1, mask=TILE + index < left, eviction_policy="evict_first")


@triton.jit
def nf4_dequantize_triton(packed, absmax, nested_code, nested_absmax, nested_offset, out, num_weights, block_shift,
                          nested_block_shift, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15,
                          NESTED: tl.constexpr, ALIGNED: tl.constexpr, WORDS: tl.constexpr, PER_WORD: tl.constexpr,
                          CANONICAL_NAN: tl.constexpr):
    table = code_table(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15)
    first = tl.program_id(0).to(tl.int64) * (2 * WORDS * PER_WORD)
    offset = 0.0
    if NESTED:
        offset = tl.load(nested_offset)
    if first + 2 * WORDS * PER_WORD <= num_weights:
        decode(table, packed, absmax, nested_code, nested_absmax, offset, out, first, num_weights, block_shift,
               nested_block_shift, NESTED, ALIGNED, True, WORDS, PER_WORD, CANONICAL_NAN)
    else:
        decode(table, packed, absmax, nested_code, nested_absmax, offset, out, first, num_weights, block_shift,
               nested_block_shift, NESTED, ALIGNED, False, WORDS, PER_WORD, CANONICAL_NAN)


def images(arch):
    """What cmake/triton_aot.py builds for compute capability `arch`: one description for each compiled kernel."""
    for out_type, triton_type in (("f16", "fp16"), ("bf16", "bf16"), ("f32", "fp32")):
        per_word = 4 if out_type == "f32" else 8
        for nested in (True, False):
            for aligned in (True, False):
                signature = {
                    "packed": "*u8", "absmax": "*u8" if nested else "*fp32", "nested_code": "*fp32",
                    "nested_absmax": "*fp32", "nested_offset": "*fp32", "out": f"*{triton_type}", "num_weights": "i64",
                    "block_shift": "i32", "nested_block_shift": "i32", **{f"c{i}": "fp32" for i in range(16)},
                }
                yield {
                    "name": f"{out_type}_{'nested' if nested else 'single'}_{'aligned' if aligned else 'unaligned'}",
                    "kernel": nf4_dequantize_triton,
                    "signature": signature,
                    "constants": {"NESTED": nested, "ALIGNED": aligned, "WORDS": WORDS, "PER_WORD": per_word,
                                  "CANONICAL_NAN": out_type == "bf16" and arch < 80},
                    "aligned_to_16": ["out"] if aligned else [],
                    "num_warps": NUM_WARPS,
                    "weights_per_program": TILES * WORDS * per_word,
                }

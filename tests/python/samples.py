# SPDX-License-Identifier: Apache-2.0
"""Random packed weights and the formula of kernels/nf4/format.hpp in torch words, for the tests of the operators."""

import math

import torch

BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
DTYPES = (torch.float16, torch.bfloat16, torch.float32)
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)

# Not the kernels' own tables: NF4 from the QLoRA paper, FP4 from its bits (sign, then three bits of magnitude).
NF4 = (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0)
FP4_MAGNITUDES = (0.0, 0.0625 / 12, 8 / 12, 12 / 12, 4 / 12, 6 / 12, 2 / 12, 3 / 12)
FP4 = (*FP4_MAGNITUDES, *(-x for x in FP4_MAGNITUDES))


def code_of(quant_type, device):
    return torch.tensor(NF4 if quant_type == "nf4" else FP4, dtype=torch.float32, device=device)


def sample(shape, dtype=torch.bfloat16, nested=True, device="cpu", block_size=64, quant_type="nf4",
           nested_block_size=256, seed=3407):
    """Arguments and options of nf4_dequantize."""
    generator = torch.Generator().manual_seed(seed)
    n = math.prod(shape)
    blocks = -(-n // block_size)
    bytes_ = lambda size: torch.randint(0, 256, (size,), dtype=torch.uint8, generator=generator).to(device)
    floats = lambda *size: torch.randn(size, generator=generator).to(device)
    options = {"block_size": block_size, "quant_type": quant_type}
    if nested:
        options |= {"nested_absmax": floats(-(-blocks // nested_block_size)), "nested_code": floats(256),
                    "nested_offset": floats(), "nested_block_size": nested_block_size}
    return (bytes_(-(-n // 2)), bytes_(blocks) if nested else floats(blocks), shape, dtype), options


def formula(packed, absmax, shape, dtype, block_size=64, quant_type="nf4", nested_absmax=None, nested_code=None,
            nested_offset=None, nested_block_size=256):
    packed = packed.reshape(-1).view(torch.uint8)
    i = torch.arange(math.prod(shape), device=packed.device)
    byte = packed[i // 2].int()
    nibble = torch.where(i % 2 == 0, byte >> 4, byte & 15)
    if nested_absmax is not None:
        block = torch.arange(len(absmax), device=packed.device)
        absmax = nested_code[absmax.long()] * nested_absmax[block // nested_block_size]
        absmax = absmax + nested_offset
    return (code_of(quant_type, packed.device)[nibble.long()] * absmax[i // block_size]).to(dtype).reshape(shape)


def same_bits(a, b):
    """Equal type, shape and bits; NaN equals NaN of the same bits."""
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32}
    kind = integers[a.element_size()]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(
        a.contiguous().view(kind), b.contiguous().view(kind))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the small checkpoints beside this file with the real wheels (torch, bitsandbytes, safetensors) on the CPU.

Usage: make_fixtures.py [--check]      --check: compare with the files that are there, write nothing, exit 1 on a difference

bnb4_*.safetensors     what Linear4bit's state_dict holds, as people save it
*.expected.safetensors the same names, each the bits bitsandbytes.functional.dequantize_4bit gives for that weight on the CPU
dense.safetensors      a 16- and 32-bit checkpoint; dense_nf4/dense_fp4 hold what bitsandbytes quantizes its matrices to

bitsandbytes 0.50.2 has three CPU decoders that do not always agree with each other or with its CUDA kernels. Weights here
are chosen where the CPU gives what CUDA gives, and the script asserts it against the formula, so that regenerating on
another CPU gives the same files:
- the AVX-512 decoder is wrong where a row is no multiple of the block size but one of 32 ([64, 96] in blocks of 64);
- code 8 of FP4 is -0 in CUDA and in the scalar decoder, +0 in the AVX-512 one and in the torch one (odd rows): FP4
  weights here have none.
"""

import argparse
import os
import pathlib
import sys
import tempfile

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # bitsandbytes would compile its decoder, once per shape
os.environ["ATEN_CPU_CAPABILITY"] = "default"  # the mean of the absmax depends on the width of the vectors

import bitsandbytes as bnb
import safetensors.torch
import torch
from bitsandbytes import functional

FOLDER = pathlib.Path(__file__).parent
SEED = 3407


def weights(shape, dtype):
    return (torch.randn(shape) * 0.02).to(dtype)


def linear_4bit(weight, quant_type="nf4", nested=True, block_size=64, storage=torch.uint8):
    """A quantized layer as a loader makes it: the state_dict is bitsandbytes' own."""
    layer = bnb.nn.Linear4bit(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = bnb.nn.Params4bit(
        weight, requires_grad=False, compress_statistics=nested, quant_type=quant_type, blocksize=block_size,
        quant_storage=storage,
    )
    return layer.to("cpu")


def formula(packed, state):
    """kernels/nf4/format.hpp, step by step in float32."""
    count = state.shape.numel()
    packed = packed.view(torch.uint8).reshape(-1)
    nibbles = torch.stack([packed >> 4, packed & 15], 1).view(-1)[:count].long()
    absmax = state.absmax
    if state.nested:
        group = torch.arange(absmax.numel()) // state.state2.blocksize
        absmax = (state.state2.code[absmax.long()] * state.state2.absmax[group]) + state.offset
    block = torch.arange(count) // state.blocksize
    return (state.code[nibbles] * absmax[block]).to(state.dtype).view(state.shape)


def expected_bits(layer, name):
    packed, state = layer.weight.data, layer.weight.quant_state
    out = functional.dequantize_4bit(packed, state)
    bits = {2: torch.int16, 4: torch.int32}[state.dtype.itemsize]
    differ = (out.view(bits) != formula(packed, state).view(bits)).sum().item()
    assert differ == 0, f"{name}: expected bitsandbytes and the formula to agree, found {differ} differences"
    return out.contiguous()


def checkpoint_4bit(layers):
    tensors, expected = {}, {}
    for name, layer in layers.items():
        tensors |= layer.state_dict(prefix=f"{name}.")
        expected[f"{name}.weight"] = expected_bits(layer, name)
    return tensors, expected


def bfloat(shape, **options):
    return linear_4bit(weights(shape, torch.bfloat16), **options)


def half(shape, **options):
    return linear_4bit(weights(shape, torch.float16), **options)


def single(shape, **options):
    return linear_4bit(weights(shape, torch.float32), **options)


def without_code_8(shape, dtype, **options):
    """Redraws the few weights that FP4 would round to -0."""
    weight = weights(shape, dtype)
    while True:
        layer = linear_4bit(weight.clone(), quant_type="fp4", **options)
        packed = layer.weight.data.view(torch.uint8).reshape(-1)
        minus_zero = torch.stack([packed >> 4, packed & 15], 1).view(-1)[: weight.numel()] == 8
        if not minus_zero.any():
            return layer
        weight.view(-1)[minus_zero] = 0.02


def four_bit_checkpoints():
    yield "bnb4_nested_nf4_bf16", {
        "model.layers.0.self_attn.q_proj": bfloat((64, 64)),
        "model.layers.0.mlp.down_proj": bfloat((66, 256)),  # 264 blocks: two nested ones, the second short
    }
    yield "bnb4_single_nf4_f16", {"model.layers.0.mlp.up_proj": half((24, 128), nested=False)}
    yield "bnb4_fp4", {
        "nested_bf16": without_code_8((16, 128), torch.bfloat16),
        "single_f16": without_code_8((16, 64), torch.float16, nested=False),
    }
    yield "bnb4_storage", {
        "as_bf16": bfloat((16, 64), storage=torch.bfloat16),
        "as_f16": half((16, 64), storage=torch.float16),
        "as_f32": single((8, 64), storage=torch.float32),
    }
    yield "bnb4_odd_shapes", {
        "odd_length_bf16": bfloat((7, 33)),
        "odd_row_f16": half((33, 5)),
        "one_row_f32": single((1, 65), nested=False),
        "one_column_bf16": bfloat((67, 1)),
        "one_weight_f16": half((1, 1), nested=False),
    }
    yield "bnb4_block_sizes", {
        "b32": bfloat((8, 64), block_size=32),
        "b128": half((16, 128), block_size=128),
        "b128_tail": half((3, 43), block_size=128),
        "b4096_single": bfloat((2, 4096), block_size=4096, nested=False),
    }


def dense_matrices():
    matrices = {
        "embed_tokens.weight": weights((20, 32), torch.float16),
        "model.layers.0.self_attn.o_proj.weight": weights((24, 64), torch.bfloat16),
        "model.layers.0.mlp.gate_proj.weight": weights((7, 33), torch.float32),
        "model.layers.0.mlp.up_proj.weight": weights((40, 512), torch.bfloat16),
    }
    matrices["model.layers.0.self_attn.o_proj.weight"][3] = 0  # an all-zero block
    return matrices


def dense_checkpoint():
    return dense_matrices() | {
        "embeddings.position_ids": torch.arange(16).view(1, 16),
        "model.layers.0.input_layernorm.weight": torch.ones(32, dtype=torch.bfloat16),
        "model.layers.0.self_attn.o_proj.bias": torch.zeros(24, dtype=torch.bfloat16),
        "model.layers.0.rotary_emb.inv_freq": weights((4, 8), torch.float32),
        "model.layers.0.self_attn.q_proj.lora_A.weight": weights((4, 64), torch.float16),
        "model.vision.conv.weight": weights((4, 3, 2, 2), torch.float16),
        "model.layers.0.none.weight": torch.empty((0, 8), dtype=torch.float16),
    }


def quantized_dense(quant_type):
    layers = {
        name.removesuffix(".weight"): linear_4bit(weight, quant_type=quant_type, nested=False)
        for name, weight in dense_matrices().items()
    }
    return {key: value for name, layer in layers.items() for key, value in layer.state_dict(prefix=f"{name}.").items()}


def make(folder):
    for name, layers in four_bit_checkpoints():
        tensors, expected = checkpoint_4bit(layers)
        safetensors.torch.save_file(tensors, folder / f"{name}.safetensors", metadata={"format": "pt"})
        safetensors.torch.save_file(expected, folder / f"{name}.expected.safetensors")
    torch.manual_seed(SEED)
    safetensors.torch.save_file(dense_checkpoint(), folder / "dense.safetensors", metadata={"format": "pt"})
    for quant_type in ("nf4", "fp4"):
        torch.manual_seed(SEED)
        safetensors.torch.save_file(quantized_dense(quant_type), folder / f"dense_{quant_type}.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files that are there, write nothing")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the mean of the absmax depends on how its sum is split
    if not arguments.check:
        make(FOLDER)
        return 0
    with tempfile.TemporaryDirectory() as fresh:
        make(pathlib.Path(fresh))
        differ = [
            path.name
            for path in sorted(pathlib.Path(fresh).iterdir())
            if not (FOLDER / path.name).exists() or path.read_bytes() != (FOLDER / path.name).read_bytes()
        ]
    if differ:
        print(f"expected the committed fixtures, found others for: {', '.join(differ)}; run {__file__} and look at why")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())

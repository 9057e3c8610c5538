#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns 16- or 32-bit safetensors into a bitsandbytes-4bit checkpoint with the real wheel, on the CPU.

A quarter of the size and exactly what people load, so real weights can travel to a GPU machine:
    ci/make_bnb_checkpoint.py model.safetensors model-bnb-4bit.safetensors --keep 'layers\\.[0-3]\\.'
INPUT is a safetensors file, an index (*.safetensors.index.json) or the directory of either. Every matrix whose name
--keep finds is quantized; everything else is left out, and counted.
"""

import argparse
import json
import os
import pathlib
import re
import sys

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

DTYPES = ("float16", "bfloat16", "float32")
BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)


class BadInput(Exception):
    """Message for the user; exit status 2."""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument(
        "--keep", default="", metavar="REGEX", help="quantize the matrices with this in their name (default: all)"
    )
    parser.add_argument("--quant-type", choices=("nf4", "fp4"), default="nf4")
    parser.add_argument("--block-size", type=int, choices=BLOCK_SIZES, default=64)
    parser.add_argument("--single-level", action="store_true", help="keep absmax in f32 (default: nested statistics)")
    parser.add_argument("--dtype", choices=DTYPES, help="convert to this type first (default: as stored)")
    return parser.parse_args()


def shards(path):
    if path.is_dir():
        found = sorted(path.glob("*.safetensors.index.json")) or sorted(path.glob("*.safetensors"))
        if len(found) != 1:
            raise BadInput(
                f"{path}: expected one index or one safetensors file, found {len(found)}; pass the file that is meant"
            )
        path = found[0]
    if path.name.endswith(".safetensors.index.json"):
        names = json.loads(path.read_text())["weight_map"].values()
        return [path.parent / name for name in sorted(set(names))]
    return [path]


def kept_matrices(path, pattern):
    """Yields (name, tensor or None): None for what is left out."""
    from safetensors import SafetensorError, safe_open

    for shard in shards(path):
        try:
            with safe_open(shard, framework="pt", device="cpu") as file:
                for name in file.keys():
                    part = file.get_slice(name)
                    wanted = (
                        len(part.get_shape()) == 2
                        and 0 not in part.get_shape()
                        and part.get_dtype() in ("F16", "BF16", "F32")
                        and pattern.search(name)
                    )
                    yield name, file.get_tensor(name) if wanted else None
        except (SafetensorError, OSError) as error:
            raise BadInput(f"{shard}: expected a safetensors file, found: {error}") from error


def quantized(name, weight, arguments):
    """The tensors bitsandbytes' Linear4bit saves for the weight `name`."""
    import torch
    from bitsandbytes import functional

    if arguments.dtype:
        weight = weight.to(getattr(torch, arguments.dtype))
    if not torch.isfinite(weight).all():
        raise BadInput(f"{name}: expected finite weights, found NaN or infinity")
    packed, state = functional.quantize_4bit(
        weight.contiguous(),
        blocksize=arguments.block_size,
        compress_statistics=not arguments.single_level,
        quant_type=arguments.quant_type,
    )
    return {name: packed} | {f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}


def convert(arguments):
    import safetensors.torch

    pattern = re.compile(arguments.keep)
    tensors, kept, left_out = {}, 0, 0
    for name, weight in kept_matrices(arguments.input, pattern):
        if weight is None:
            left_out += 1
            continue
        tensors |= quantized(name, weight, arguments)
        kept += 1
        if sys.stderr.isatty():
            print(f"\r{kept} matrices", end="", file=sys.stderr, flush=True)
    if not kept:
        raise BadInput(
            f"{arguments.input}: expected a matrix of F16, BF16 or F32 whose name has '{arguments.keep}', "
            f"found none in {left_out} tensors"
        )
    pending = arguments.output.with_name(arguments.output.name + ".part")
    try:
        pending.touch()  # says what is wrong with the path better than the writer does
        safetensors.torch.save_file(tensors, pending, metadata={"format": "pt"})
        pending.chmod(0o644)
        pending.replace(arguments.output)
    finally:
        pending.unlink(missing_ok=True)
    size = arguments.output.stat().st_size
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    text = f"{kept} matrices in {size / 2**20:.1f} MiB, {left_out} other tensors left out"
    print(f"{arguments.output}: {text}", file=sys.stderr)


def main():
    arguments = parse_arguments()
    try:
        convert(arguments)
    except (BadInput, OSError, re.error, ValueError, KeyError) as error:
        print(f"make_bnb_checkpoint.py: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        wanted = "torch, safetensors and bitsandbytes"
        print(f"make_bnb_checkpoint.py: expected {wanted}, found {error}; run ci/bootstrap.sh", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The Triton twin without a GPU: its images read with cuobjdump, its logic run by Triton's interpreter on the CPU.

    python test_triton.py --kernel kernels/nf4/triton/dequantize.py [--images BUILD/triton/dequantize_triton_images]
"""

import argparse
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

import torch
import triton
import triton.language as tl

OPTIONS = None

# Disassembling takes most of a second each; these have every path of the kernel at least once.
DISASSEMBLED = ("f16_nested_aligned", "bf16_nested_aligned", "f32_nested_aligned", "bf16_nested_unaligned",
                "bf16_single_aligned")


@functools.cache
def kernel_module():
    """The kernel file with its two inline-PTX functions replaced: the interpreter rounds each numpy step by itself."""
    spec = importlib.util.spec_from_file_location("dequantize", OPTIONS.kernel)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.multiply_rn = interpreted_multiply
    module.add_rn = interpreted_add
    return module


@triton.jit
def interpreted_multiply(x, y):
    return x * y


@triton.jit
def interpreted_add(x, y):
    return x + y


def nf4_code():
    """QLoRA's table, from the paper; not the one that the kernels hold."""
    return torch.tensor([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                         -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                         0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                         0.7229568362236023, 1.0])


def random_weights(n, block_size, nested_block_size, generator):
    """Random packed weights, both levels."""
    blocks = -(-n // block_size)
    return {
        "packed": torch.randint(0, 256, (-(-n // 2),), dtype=torch.uint8, generator=generator),
        "codes": torch.randint(0, 256, (blocks,), dtype=torch.uint8, generator=generator),
        "nested_code": torch.randn(256, generator=generator),
        "nested_absmax": torch.rand(-(-blocks // nested_block_size), generator=generator) + 0.1,
        "offset": torch.rand(1, generator=generator),
        "absmax": torch.rand(blocks, generator=generator) + 0.01,
    }


def formula(w, n, block_size, nested_block_size, nested, dtype):
    """kernels/nf4/format.hpp in tensor words: one f32 rounding a step, then to the output type as the interpreter does."""
    i = torch.arange(n)
    byte = w["packed"][i // 2].int()
    nibble = torch.where(i % 2 == 0, byte >> 4, byte & 15)
    absmax = w["absmax"]
    if nested:
        block = torch.arange(len(w["codes"]))
        absmax = w["nested_code"][w["codes"].long()] * w["nested_absmax"][block // nested_block_size]
        absmax = absmax + w["offset"]
    exact = nf4_code()[nibble.long()] * absmax[i // block_size]
    if dtype == torch.bfloat16:  # the interpreter truncates to bf16
        return (exact.view(torch.int32) & -65536).view(torch.float32).to(dtype)
    return exact.to(dtype)


class Interpreted(unittest.TestCase):
    """Indexing, nibble order, tails and both levels of every variant; rounding is proven on a GPU."""

    def run_variant(self, image, n, block_size, nested_block_size, generator):
        dtype = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}[image["name"].split("_")[0]]
        nested = image["constants"]["NESTED"]
        w = random_weights(n, block_size, nested_block_size, generator)
        out = torch.full((n + 8,), float("nan"), dtype=dtype)
        programs = -(-n // image["weights_per_program"])
        image["kernel"][(programs,)](
            w["packed"], w["codes"] if nested else w["absmax"], w["nested_code"], w["nested_absmax"], w["offset"], out, n,
            block_size.bit_length() - 1, nested_block_size.bit_length() - 1, *nf4_code().tolist(), **image["constants"])
        expected = formula(w, n, block_size, nested_block_size, nested, dtype)
        self.assertTrue(torch.equal(out[:n], expected), f"{image['name']} n={n} block={block_size}")
        self.assertTrue(out[n:].isnan().all(), f"{image['name']} n={n} wrote past the end")

    def test_every_variant_gives_the_formula_for_whole_programs_and_tails(self):
        generator = torch.Generator().manual_seed(3407)
        for image in kernel_module().images(75):
            whole = image["weights_per_program"]
            for n, block_size, nested_block_size in ((2 * whole - 63, 64, 256), (1, 4096, 16), (whole, 32, 2)):
                with self.subTest(image=image["name"], n=n, block_size=block_size):
                    self.run_variant(image, n, block_size, nested_block_size, generator)


def cuobjdump():
    return Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"


@functools.cache
def instructions(cubin):
    text = subprocess.run([cuobjdump(), "-sass", cubin], check=True, capture_output=True, text=True).stdout
    return re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", text)


class Images(unittest.TestCase):
    """What cmake/triton_aot.py left beside the generated sources."""

    def manifests(self):
        if OPTIONS.images is None:
            self.skipTest("no folder of images given (--images)")
        found = sorted(Path(OPTIONS.images).glob("*/manifest.json"))
        self.assertTrue(found, f"no manifest.json under {OPTIONS.images}")
        return [(path.parent, json.loads(path.read_text())) for path in found]

    def for_each(self, form, check, names=None):
        for folder, manifest in self.manifests():
            for image in manifest:
                if image["format"] == form and (names is None or image["name"] in names):
                    with self.subTest(arch=image["arch"], image=image["name"]):
                        check(folder / image["file"], image)

    def test_every_architecture_has_every_variant(self):
        for folder, manifest in self.manifests():
            with self.subTest(folder=folder.name):
                arch = manifest[0]["arch"]
                self.assertEqual([i["name"] for i in manifest], [i["name"] for i in kernel_module().images(arch)])

    def test_aligned_code_stores_sixteen_bytes_and_nothing_is_fused_or_spilled(self):
        def check(path, image):
            ops = instructions(path)
            self.assertGreater(len(ops), 50)
            wide = [op for op in ops if op.startswith("STG") and "128" in op]
            self.assertEqual(bool(wide), image["name"].endswith("_aligned"))
            self.assertFalse([op for op in ops if op.startswith("FFMA")], "a fused multiply-add changes the bits")
            self.assertFalse([op for op in ops if re.match(r"(LDL|STL)\b", op)], "registers were spilled")
            self.assertEqual(any(op.startswith("FADD") for op in ops), "_nested_" in image["name"])

        self.for_each("cubin", check, DISASSEMBLED)

    def test_streams_are_marked_evict_first_and_tables_evict_last(self):
        def check(path, image):
            ops = instructions(path)
            self.assertTrue(any(op.startswith("LDG") and ".EF" in op for op in ops))
            self.assertTrue(any(op.startswith("STG") and ".EF" in op for op in ops))
            self.assertEqual(any(op.startswith("LDG") and ".EL" in op for op in ops), "_nested_" in image["name"])

        self.for_each("cubin", check, DISASSEMBLED)

    def test_ptx_keeps_every_rounding_separate(self):
        def check(path, _):
            text = path.read_text()
            self.assertTrue(text.endswith("}\n\0"))
            self.assertNotIn("fma", text)
            # A plain mul.f32 next to an add may be contracted by the driver's compiler.
            self.assertFalse(re.findall(r"\b(?:mul|add)\.f32", text))

        self.for_each("ptx", check)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--images")
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""torch.ops.assay.nf4_* against the real bitsandbytes wheel, bit by bit, on the CPU and, where there is one, on a GPU.

    python test_bitsandbytes.py --library BUILD/lib/libassay_ops.so [--evidence FILE]

Two known limits of the peer are stepped around, not loosened. Its vectorized CPU dequantize (0.50.2, AVX-512) takes the
wrong absmax when a matrix' rows are not whole blocks, so it is given the weights as one row. Its fallback for odd lengths
is wrapped in torch.compile for every shape, which is turned off to keep the test short; the arithmetic is the same.
"""

import argparse
import importlib.util
import json
import random
import sys
import unittest

import torch

from quant_state import dequantize_arguments, dequantize_options, quant_state
from samples import BLOCK_SIZES, DEVICES, DTYPES, same_bits

EVIDENCE = {"bitsandbytes": None, "devices": [], "cases": 0, "mismatched_tensors": 0}
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
HAVE = importlib.util.find_spec("bitsandbytes") is not None


def shapes(count, seed=3407):
    """Random lengths around block borders, odd ones and several dimensions among them; then fixed corners."""
    random.seed(seed)
    for _ in range(count):
        columns = random.choice((1, 2, 63, 64, 65, 127, 1000, 4096, 4097)) + random.randrange(3)
        yield random.choice(((columns,), (random.randrange(1, 40), columns), (2, random.randrange(1, 9), columns)))
    yield from ((1,), (2,), (63,), (64,), (65,), (4095,), (4097,), (129, 256), (64 * 257,), (64 * 256 * 3 + 1,))


def weights(shape, dtype, kind):
    """Normal weights; with whole blocks of zeros, one constant, or values from tiny to huge."""
    w = torch.randn(shape)
    flat = w.view(-1)
    if kind == "zeros":
        flat[: max(1, flat.numel() // 2)] = 0
    elif kind == "constant":
        flat.fill_(-0.37)
    elif kind == "wide":
        flat.mul_(torch.exp(torch.empty_like(flat).uniform_(-10, 10)))
    return w.to(dtype)


def cases():
    kinds = ("normal", "normal", "zeros", "constant", "wide")
    for i, shape in enumerate(shapes(70)):
        yield (shape, DTYPES[i % 3], BLOCK_SIZES[(i // 3) % 8], ("nf4", "fp4")[i % 2], i % 4 != 3,
               kinds[i % len(kinds)], i)


class Bitsandbytes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import bitsandbytes

        EVIDENCE["bitsandbytes"] = bitsandbytes.__version__

    def peer_quantize(self, weight, block_size, quant_type, nested):
        from bitsandbytes.functional import quantize_4bit

        return quantize_4bit(weight, blocksize=block_size, quant_type=quant_type, compress_statistics=nested)

    def peer_dequantize(self, packed, state):
        from bitsandbytes.functional import dequantize_4bit

        shape, state.shape = state.shape, torch.Size((1, state.shape.numel()))
        try:
            with torch.compiler.set_stance("force_eager"):
                return dequantize_4bit(packed, state).reshape(shape)
        finally:
            state.shape = shape

    def expect_same(self, name, ours, theirs, case):
        equal = same_bits(ours, theirs)
        EVIDENCE["mismatched_tensors"] += not equal
        if not equal and ours.shape == theirs.shape:
            differ = (ours.reshape(-1) != theirs.reshape(-1)).nonzero().reshape(-1)
            case = (*case, f"{len(differ)} differ, first at {differ[:1].tolist()}")
        self.assertTrue(equal, f"{name} {case}")

    def for_each_case(self, check):
        """Calls check(weight, block_size, quant_type, nested, case), each in a subtest."""
        for device in DEVICES:
            for shape, dtype, block_size, quant_type, nested, kind, seed in cases():
                torch.manual_seed(seed)
                case = (device, shape, str(dtype), block_size, quant_type, nested, kind)
                with self.subTest(case=case):
                    check(weights(shape, dtype, kind).to(device), block_size, quant_type, nested, case)
                EVIDENCE["cases"] += 1
        EVIDENCE["devices"] = list(DEVICES)

    def compare_dequantized(self, packed, state, case):
        ours = torch.ops.assay.nf4_dequantize(*dequantize_arguments(packed, state), **dequantize_options(state))
        theirs = self.peer_dequantize(packed, state)
        if state.quant_type == "fp4":  # code 8 is -0 in bitsandbytes' compiled tables and +0 in its Python one
            ours, theirs = ours + 0.0, theirs + 0.0
        self.expect_same("weights", ours, theirs, case)

    def test_dequantize_is_bit_equal(self):
        def check(weight, block_size, quant_type, nested, case):
            packed, state = self.peer_quantize(weight, block_size, quant_type, nested)
            self.compare_dequantized(packed, state, case)

        self.for_each_case(check)

    def test_dequantize_of_random_bytes_is_bit_equal(self):
        def check(weight, block_size, quant_type, nested, case):
            packed, state = self.peer_quantize(weight, block_size, quant_type, nested)
            packed.random_(0, 256)
            if nested:
                state.absmax.random_(0, 256)
            self.compare_dequantized(packed, state, case)

        self.for_each_case(check)

    def test_quantize_is_bit_equal_nested_statistics_included(self):
        def check(weight, block_size, quant_type, nested, case):
            packed, state = self.peer_quantize(weight, block_size, quant_type, nested)
            ours = torch.ops.assay.nf4_quantize(weight, block_size=block_size, quant_type=quant_type, nested=nested)
            self.expect_same("packed", ours[0], packed, case)
            self.expect_same("absmax", ours[1], state.absmax, case)
            if nested:
                self.expect_same("nested_absmax", ours[2], state.state2.absmax, case)
                self.expect_same("nested_code", ours[3], state.state2.code, case)
                self.expect_same("offset", ours[4], state.offset, case)

        self.for_each_case(check)

    def test_bitsandbytes_reads_what_we_quantized(self):
        weight = torch.randn(96, 320).to(torch.bfloat16)
        quantized = torch.ops.assay.nf4_quantize(weight)
        state = quant_state(weight, quantized)
        self.compare_dequantized(quantized[0], state, ("round trip",))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--evidence")
    options, rest = parser.parse_known_args()
    torch.ops.load_library(options.library)
    if not HAVE:
        print(f"skipped: bitsandbytes is not installed in {sys.executable}, so there is nothing to compare with")
        return SKIPPED
    program = unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False)
    if options.evidence:
        with open(options.evidence, "w") as file:
            json.dump({**EVIDENCE, "tests_passed": program.result.wasSuccessful()}, file, indent=1)
            file.write("\n")
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

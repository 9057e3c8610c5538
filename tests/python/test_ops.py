# SPDX-License-Identifier: Apache-2.0
"""torch.ops.assay.nf4_*: conformance to torch.library, torch.compile, autograd, CUDA graphs, and bad input.

    python test_ops.py --library BUILD/lib/libassay_ops.so [--evidence FILE]

The evidence file says what torch.compile did, as numbers; it is written whether or not the tests pass. Comparison with
bitsandbytes: test_bitsandbytes.py.
"""

import argparse
import json
import shutil
import sys
import unittest

import torch
from torch._dynamo.utils import counters

from samples import BLOCK_SIZES, DEVICES, DTYPES, formula, same_bits, sample

EVIDENCE = {"graph_breaks": None, "bit_equal": None, "dynamic_shapes": 0, "recompiles": None, "backends": [],
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"}


def ops():
    return torch.ops.assay


class Conformance(unittest.TestCase):
    def test_opcheck_of_dequantize(self):
        for device in DEVICES:
            for shape, dtype, nested, block_size, quant_type in (
                    ((64, 128), torch.bfloat16, True, 64, "nf4"), ((3, 33), torch.float16, True, 32, "fp4"),
                    ((2, 5, 7), torch.float32, False, 4096, "nf4"), ((0,), torch.bfloat16, True, 64, "nf4"),
                    ((), torch.float16, False, 64, "nf4")):
                arguments, options = sample(shape, dtype, nested, device, block_size, quant_type)
                with self.subTest(device=device, shape=shape):
                    torch.library.opcheck(ops().nf4_dequantize.default, arguments, options)

    def test_opcheck_of_dequantize_out(self):
        for device in DEVICES:
            (packed, absmax, shape, dtype), options = sample((5, 77), device=device)
            out = torch.empty(shape, dtype=dtype, device=device)
            with self.subTest(device=device):
                torch.library.opcheck(ops().nf4_dequantize.out, (packed, absmax), {**options, "out": out})

    def test_opcheck_of_quantize(self):
        for device in DEVICES:
            for shape, dtype, nested in (((64, 128), torch.bfloat16, True), ((3, 33), torch.float32, False),
                                         ((1,), torch.float16, True)):
                weight = torch.randn(shape, device=device).to(dtype)
                with self.subTest(device=device, shape=shape):
                    torch.library.opcheck(ops().nf4_quantize.default, (weight,), {"nested": nested})

    def test_every_type_block_size_and_tail_is_the_formula(self):
        for device in DEVICES:
            for i, block_size in enumerate(BLOCK_SIZES):
                for nested in (True, False):
                    shape = (3, block_size + 2 * i + 1)
                    arguments, options = sample(shape, DTYPES[i % 3], nested, device, block_size,
                                                ("nf4", "fp4")[i % 2], nested_block_size=2)
                    with self.subTest(device=device, shape=shape, nested=nested):
                        got = ops().nf4_dequantize(*arguments, **options)
                        self.assertTrue(same_bits(got, formula(*arguments, **options)))
                        out = torch.full_like(got, float("nan"))
                        ops().nf4_dequantize.out(*arguments[:2], **options, out=out)
                        self.assertTrue(same_bits(got, out))

    def test_bytes_kept_as_floats_are_read_as_bytes(self):
        for storage in DTYPES:
            (packed, *rest), options = sample((16, 128))
            with self.subTest(storage=storage):
                self.assertTrue(same_bits(ops().nf4_dequantize(packed.view(storage), *rest, **options),
                                          formula(packed, *rest, **options)))


class Compile(unittest.TestCase):
    # The first two hold one and several nested blocks: torch makes a graph of its own for any size of 1. No size of the
    # first two equals another by chance, which torch would take for a rule (64 rows make as many blocks as columns).
    SHAPES = ((48, 128), (250, 448), (33, 256), (128, 192), (7, 320), (96, 1024), (1000, 64), (513, 70))

    @staticmethod
    def layer(x, packed, absmax, rows, columns, dtype, options):
        """A frozen linear layer as a trainer would write it; the weight is returned too, to compare its bits."""
        weight = ops().nf4_dequantize(packed, absmax, [rows, columns], dtype, **options)
        return weight, torch.relu(x @ weight.t())

    def inputs(self, shape, device, dtype, nested):
        (packed, absmax, _, _), options = sample(shape, dtype, nested, device, seed=sum(shape))
        x = torch.randn(5, shape[1], device=device).to(dtype).requires_grad_()
        return x, packed, absmax, *shape, dtype, options

    def run_compiled(self, backend, device, dtype, nested):
        """Number of graphs compiled after the first two shapes; every output compared with eager."""
        torch._dynamo.reset()
        counters.clear()
        compiled = torch.compile(self.layer, fullgraph=True, dynamic=True, backend=backend)
        graphs = []
        for shape in self.SHAPES:
            inputs = self.inputs(shape, device, dtype, nested)
            weight, y = compiled(*inputs)
            expected_weight, expected_y = self.layer(*inputs)
            equal = same_bits(weight, expected_weight)
            EVIDENCE["bit_equal"] = equal and EVIDENCE["bit_equal"] is not False
            self.assertTrue(equal, f"{shape} {backend}")
            torch.testing.assert_close(y, expected_y)
            y.sum().backward()
            self.assertTrue(inputs[0].grad.isfinite().all())
            graphs.append(counters["stats"]["unique_graphs"])
        breaks = sum(counters["graph_break"].values())
        EVIDENCE["graph_breaks"] = (EVIDENCE["graph_breaks"] or 0) + breaks
        EVIDENCE["recompiles"] = (EVIDENCE["recompiles"] or 0) + graphs[-1] - graphs[1]
        EVIDENCE["dynamic_shapes"] = max(EVIDENCE["dynamic_shapes"], len(self.SHAPES))
        EVIDENCE["backends"].append(f"{backend}/{device}")
        self.assertGreaterEqual(graphs[0], 1)
        self.assertEqual(breaks, 0)
        return graphs[-1] - graphs[1]

    def test_layer_compiles_whole_and_never_again_for_other_shapes(self):
        for device in DEVICES:
            for dtype, nested in ((torch.bfloat16, True), (torch.float16, False)):
                with self.subTest(device=device, dtype=dtype):
                    self.assertEqual(self.run_compiled("aot_eager", device, dtype, nested), 0)

    def test_inductor_gives_the_same_bits(self):
        if not any(map(shutil.which, ("c++", "g++", "gcc", "cc"))):
            self.skipTest("inductor needs a C++ compiler, found none")
        for device in DEVICES:
            with self.subTest(device=device):
                self.assertEqual(self.run_compiled("inductor", device, torch.bfloat16, True), 0)

    def test_explain_finds_no_graph_break(self):
        for device in DEVICES:
            torch._dynamo.reset()
            found = torch._dynamo.explain(self.layer)(*self.inputs((64, 128), device, torch.bfloat16, True))
            EVIDENCE["graph_breaks"] = (EVIDENCE["graph_breaks"] or 0) + found.graph_break_count
            self.assertEqual((found.graph_count, found.graph_break_count), (1, 0))

    def test_quantize_and_out_variant_compile_whole(self):
        def round_trip(weight, out):
            packed, absmax, nested_absmax, nested_code, nested_offset = ops().nf4_quantize(weight)
            ops().nf4_dequantize.out(packed, absmax, nested_absmax=nested_absmax, nested_code=nested_code,
                                     nested_offset=nested_offset, out=out)
            return packed, absmax, out * 2

        for device in DEVICES:
            torch._dynamo.reset()
            compiled = torch.compile(round_trip, fullgraph=True, dynamic=True, backend="aot_eager")
            for shape in self.SHAPES[:3]:
                weight = torch.randn(shape, device=device)
                outs = [torch.full(shape, float("nan"), device=device) for _ in range(2)]
                got, expected = compiled(weight, outs[0]), round_trip(weight, outs[1])
                with self.subTest(device=device, shape=shape):
                    for a, b in zip((*got, outs[0]), (*expected, outs[1])):
                        self.assertTrue(same_bits(a, b))


class Autograd(unittest.TestCase):
    def test_frozen_weight_passes_gradients_to_the_input(self):
        arguments, options = sample((32, 64), torch.float32)
        x = torch.randn(4, 64, requires_grad=True)
        weight = ops().nf4_dequantize(*arguments, **options)
        (x @ weight.t()).sum().backward()
        self.assertFalse(weight.requires_grad)
        torch.testing.assert_close(x.grad, weight.sum(0).expand(4, -1))

    def test_quantized_parameter_asks_for_no_gradient(self):
        for tensor in ops().nf4_quantize(torch.nn.Parameter(torch.randn(64, 64))):
            self.assertFalse(tensor.requires_grad)


class BadInput(unittest.TestCase):
    """Each call is refused with a message that holds the given words."""

    def refuse(self, words, error=(ValueError, TypeError, RuntimeError), change=None, nested=True, **changed_options):
        (packed, absmax, shape, dtype), options = sample((16, 64), nested=nested)
        arguments = {"packed": packed, "absmax": absmax, "shape": shape, "dtype": dtype, **options, **changed_options,
                     **(change or {})}
        with self.assertRaisesRegex(error, words):
            ops().nf4_dequantize(**arguments)

    def test_sizes(self):
        for shape in ((16, 65), (16, 62), (0,)):
            self.refuse("expected packed of .* bytes.*found 512", shape=shape)
        self.refuse("sizes of at least 0", shape=(16, -64))
        self.refuse("fewer than 2\\^63", shape=(1 << 40, 1 << 40))
        self.refuse("absmax of 16 elements.*found 15", absmax=torch.zeros(15, dtype=torch.uint8))
        self.refuse("nested_absmax of 1 elements.*found 2", nested_absmax=torch.zeros(2))
        self.refuse("nested_code of 256", nested_code=torch.zeros(255))
        self.refuse("nested_offset of 1", nested_offset=torch.zeros(2))

    def test_types(self):
        self.refuse("packed as uint8", TypeError, packed=torch.zeros(512, dtype=torch.int64))
        self.refuse("absmax of uint8 .* or float32", TypeError, absmax=torch.zeros(16, dtype=torch.float16))
        self.refuse("nested_absmax of float32", TypeError, nested_absmax=torch.zeros(1, dtype=torch.bfloat16))
        self.refuse("float16, bfloat16 or float32 weights", TypeError, dtype=torch.float64)

    def test_options(self):
        for block_size in (0, -64, 16, 48, 8192, 1 << 40):
            self.refuse("block_size to be a power of two from 32 to 4096", block_size=block_size)
        self.refuse('quant_type "nf4" or "fp4", found "int4"', quant_type="int4")
        self.refuse("nested_block_size to be a power of two", nested_block_size=100)

    def test_levels(self):
        self.refuse("expected nested_offset because absmax is uint8", nested_offset=None)
        self.refuse("expected no nested_absmax.*single level", nested=False, nested_absmax=torch.zeros(1))

    def test_layout_and_device(self):
        self.refuse("absmax to be contiguous", absmax=torch.zeros(32, dtype=torch.uint8)[::2])
        self.refuse("packed to be contiguous", packed=torch.zeros(1024, dtype=torch.uint8)[::2])
        self.refuse("absmax on the device of packed", absmax=torch.zeros(16, dtype=torch.uint8, device="meta"))

    def test_out(self):
        (packed, absmax, _, _), options = sample((16, 64))
        for words, out in (("out to be contiguous", torch.empty(64, 16).t()),
                           ("float16, bfloat16 or float32", torch.empty(16, 64, dtype=torch.float64)),
                           ("packed of 513 bytes", torch.empty(1025))):
            with self.assertRaisesRegex((ValueError, TypeError), words):
                ops().nf4_dequantize.out(packed, absmax, **options, out=out)
        with self.assertRaisesRegex(RuntimeError, "single memory location|overlap"):
            memory = torch.zeros(4096, dtype=torch.uint8)
            ops().nf4_dequantize.out(memory[:512], absmax, **options, out=memory.view(torch.float32))

    def test_quantize(self):
        with self.assertRaisesRegex(TypeError, "float16, bfloat16 or float32 weights"):
            ops().nf4_quantize(torch.zeros(64, dtype=torch.int32))
        with self.assertRaisesRegex(ValueError, "block_size"):
            ops().nf4_quantize(torch.zeros(64), block_size=63)


@unittest.skipUnless(torch.cuda.is_available(), "no GPU")
class GpuOnly(unittest.TestCase):
    def test_captured_graph_reads_new_weights_on_replay(self):
        (packed, absmax, shape, dtype), options = sample((128, 256), device="cuda")
        out = torch.empty(shape, dtype=dtype, device="cuda")
        ops().nf4_dequantize.out(packed, absmax, **options, out=out)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            ops().nf4_dequantize.out(packed, absmax, **options, out=out)
        packed.copy_(packed.flip(0))
        out.fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        self.assertTrue(same_bits(out, formula(packed, absmax, shape, dtype, **options)))

    def test_work_is_on_the_current_stream(self):
        arguments, options = sample((2048, 2048), device="cuda")
        expected = formula(*arguments, **options)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            torch.cuda._sleep(50_000_000)
            late = arguments[0].clone()
            got = ops().nf4_dequantize(late, *arguments[1:], **options)
        stream.synchronize()
        self.assertTrue(same_bits(got, expected))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--evidence")
    options, rest = parser.parse_known_args()
    torch.ops.load_library(options.library)
    torch.manual_seed(3407)
    program = unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False)
    if options.evidence:
        EVIDENCE["tests_passed"] = program.result.wasSuccessful()
        with open(options.evidence, "w") as file:
            json.dump(EVIDENCE, file, indent=1)
            file.write("\n")
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

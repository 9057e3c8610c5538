# SPDX-License-Identifier: Apache-2.0
"""torch.ops.assay.nf4_linear: the product with a decoded 4-bit weight, bias and adapter; right, differentiable,
compilable, and bad input.

    python test_nf4_linear.py --library BUILD/lib/libassay_ops.so
"""

import sys
import weakref

import torch
from torch.nn import functional

from conformance import DEVICES, DTYPES, Judged, main, ops, random, results_and_gradients
from samples import formula, sample

SCALE = 0.5


class Layer:
    """A stored weight [out, in] and its options; `weight` is what it says, by the formula."""

    def __init__(self, out_features, in_features, device="cpu", nested=True, block_size=64, quant_type="nf4"):
        (self.packed, self.absmax, self.shape, _), self.options = sample(
            (out_features, in_features), nested=nested, device=device, block_size=block_size, quant_type=quant_type)

    def weight(self, dtype):
        stored = torch.float32 if dtype == torch.float64 else dtype
        return formula(self.packed, self.absmax, self.shape, stored, **self.options).to(dtype)

    def __call__(self, x, bias=None, lora_a=None, lora_b=None):
        return ops().nf4_linear(x, self.packed, self.absmax, self.shape[0], bias=bias, lora_a=lora_a, lora_b=lora_b,
                                lora_scale=SCALE, **self.options)

    def plain(self, dtype):
        """The same weight, rounded to `dtype`, under peft's Linear.forward in whichever type its inputs have."""
        def call(x, bias=None, lora_a=None, lora_b=None):
            y = functional.linear(x, self.weight(dtype).to(x.dtype), bias)
            if lora_a is None:
                return y
            return (y + functional.linear(functional.linear(x.to(lora_a.dtype), lora_a), lora_b) * SCALE).to(x.dtype)
        return call


def tensors_of(layer, rows=(3, 5), rank=3, dtype=torch.float32, device="cpu", adapter=None):
    out_features, in_features = layer.shape
    adapter = adapter or dtype
    return [random(*rows, in_features, dtype=dtype, device=device, seed=1),
            random(out_features, dtype=dtype, device=device, seed=2),
            random(rank, in_features, dtype=adapter, device=device, seed=3, spread=0.3),
            random(out_features, rank, dtype=adapter, device=device, seed=4, spread=0.3)]


class Right(Judged):
    def test_is_as_exact_as_torch_with_pefts_formula(self):
        for device in DEVICES:
            for dtype in DTYPES:
                for adapter in {dtype, torch.float32}:
                    for nested, quant_type, shape in ((True, "nf4", (48, 64)), (False, "fp4", (37, 53))):
                        layer = Layer(*shape, device, nested, quant_type=quant_type)
                        tensors = tensors_of(layer, dtype=dtype, device=device, adapter=adapter)
                        with self.subTest(device=device, dtype=dtype, adapter=adapter, shape=shape):
                            self.no_worse_than_plain(layer, layer.plain(dtype), tensors)
                            self.no_worse_than_plain(layer, layer.plain(dtype), tensors[:1])

    def test_each_part_may_be_missing_or_frozen(self):
        layer = Layer(20, 32)
        x, bias, lora_a, lora_b = tensors_of(layer)
        for tensors in ([x, None, lora_a, lora_b], [x, bias], [x.detach(), bias, lora_a, lora_b],
                        [x, bias.detach(), lora_a.detach(), lora_b], [x, None, lora_a, lora_b.detach()],
                        [x, None, lora_a.detach(), lora_b.detach()]):
            for a, b in zip(results_and_gradients(layer, tensors),
                            results_and_gradients(layer.plain(torch.float32), tensors), strict=True):
                torch.testing.assert_close(a, b)

    def test_x_of_any_strides_and_of_no_rows(self):
        layer = Layer(20, 32)
        x = random(32, 6, grad=False).t()
        torch.testing.assert_close(layer(x), layer(x.contiguous()), rtol=0, atol=0)
        self.assertEqual(layer(torch.empty(2, 0, 32)).shape, (2, 0, 20))
        self.assertEqual(layer(random(32, grad=False)).shape, (20,))

    def test_a_captured_layer_follows_new_inputs(self):
        if not torch.cuda.is_available():
            self.skipTest("no GPU")
        layer = Layer(256, 128, "cuda")
        x, bias, lora_a, lora_b = (t.detach() for t in tensors_of(layer, dtype=torch.bfloat16, device="cuda"))
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            layer(x, bias, lora_a, lora_b)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = layer(x, bias, lora_a, lora_b)
        x.mul_(-0.5)
        graph.replay()
        torch.cuda.synchronize()
        self.assertTrue(torch.equal(y, layer(x, bias, lora_a, lora_b)))


class Differentiable(Judged):
    def test_gradcheck_in_f64(self):
        layer = Layer(6, 64)
        self.assertTrue(torch.autograd.gradcheck(layer, tuple(tensors_of(layer, (2,), 2, torch.float64))))

    def test_neither_the_decoded_weight_nor_an_unneeded_input_is_kept(self):
        layer = Layer(64, 256)
        x, _, lora_a, lora_b = tensors_of(layer)
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            layer(x, None, lora_a.detach(), lora_b.detach())
        self.assertNotIn(layer.shape, [tuple(t.shape) for t in kept])
        self.assertNotIn(tuple(x.shape), [tuple(t.shape) for t in kept])
        inner = torch.tanh(x)
        gone = weakref.ref(inner)
        y = layer(inner)
        del inner
        expected, = torch.autograd.grad(layer.plain(torch.float32)(torch.tanh(x)).sum(), [x])
        found, = torch.autograd.grad(y.sum(), [x])
        torch.testing.assert_close(found, expected)
        del y
        self.assertIsNone(gone())

    def test_a_second_derivative_is_refused(self):
        layer = Layer(8, 32)
        self.refuses_second_derivative(layer, random(4, 32))


class Library(Judged):
    def test_opcheck(self):
        for device in DEVICES:
            for dtype in (torch.float32, torch.bfloat16):
                for nested in (True, False):
                    layer = Layer(20, 32, device, nested)
                    x, bias, lora_a, lora_b = tensors_of(layer, dtype=dtype, device=device)
                    with self.subTest(device=device, dtype=dtype, nested=nested):
                        torch.library.opcheck(
                            ops().nf4_linear.default, (x, layer.packed, layer.absmax, 20),
                            {"bias": bias, "lora_a": lora_a, "lora_b": lora_b, "lora_scale": SCALE, **layer.options})

    def test_compiles_whole_and_never_again_for_other_lengths(self):
        for device in DEVICES:
            layer = Layer(20, 32, device)
            _, *parts = tensors_of(layer, device=device)

            def two(x, bias, lora_a, lora_b):
                return torch.tanh(layer(torch.tanh(x), bias, lora_a, lora_b)) * 2

            def make(batch, length):
                return [random(batch, length, 32, device=device, seed=batch), *parts]

            with self.subTest(device=device):
                self.compiles_once(two, ((6, 7), (5, 13), (2, 129), (4, 31)), make)  # 3 is the rank: torch would take a rule from it


class BadInput(Judged):
    def test_each_is_refused_with_what_was_expected(self):
        layer = Layer(20, 32)
        x, bias, lora_a, lora_b = (t.detach() for t in tensors_of(layer))
        self.refuses("both lora_a and lora_b", layer, x, bias, lora_a)
        self.refuses("lora_a \\[rank, 32\\]", layer, x, bias, lora_a[:, 1:], lora_b)
        self.refuses("lora_b of lora_a's type", layer, x, bias, lora_a, lora_b.double())
        self.refuses("of x's type Half or float32", layer, x.half(), None, lora_a.double(), lora_b.double())
        self.refuses("bias of x's type", layer, x, bias.half())
        self.refuses("bias of 20 elements", layer, x, bias[1:])
        self.refuses("expected packed of .* bytes", layer, x[..., 1:])
        self.refuses("float16, bfloat16, float32 or float64", layer, x.int())
        self.refuses("packed on x's device", layer, x.to("meta"))
        self.refuses("quant_type", ops().nf4_linear, x, layer.packed, layer.absmax, 20,
                     **{**layer.options, "quant_type": "int4"})


if __name__ == "__main__":
    sys.exit(main(__doc__))

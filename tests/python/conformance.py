# SPDX-License-Identifier: Apache-2.0
"""How the operators of a Llama are judged: errors against f64 beside those of plain torch in the same type, and whether
torch.compile takes them whole and never again for other lengths."""

import argparse
import sys
import unittest

import torch
from torch._dynamo.utils import counters

from samples import DEVICES, DTYPES  # noqa: F401: for the tests

NO_WORSE = 1.5  # times plain torch's own error
FLOOR = {torch.float16: 2e-5, torch.bfloat16: 2e-4, torch.float32: 3e-8}  # a tenth of what one rounding costs


def ops():
    return torch.ops.assay


def relative_error(found, truth):
    """Infinite where anything is not a number, which a comparison would let pass."""
    found, truth = found.detach().double(), truth.detach().double()
    if not found.isfinite().all():
        return float("inf")
    return ((found - truth).norm() / truth.norm().clamp_min(1e-300)).item()


def random(*shape, dtype=torch.float32, device="cpu", seed=0, spread=1.0, grad=True):
    generator = torch.Generator().manual_seed(3407 + seed)
    made = (torch.randn(shape, generator=generator) * spread).to(device, dtype)
    return made.requires_grad_(grad)


def as_tuple(result):
    return result if isinstance(result, (tuple, list)) else (result,)


def results_and_gradients(function, tensors):
    """What `function` returns and the gradients of all leaves, for fixed random upstream gradients."""
    results = as_tuple(function(*tensors))
    upstream = [random(*r.shape, dtype=torch.float64, seed=i + 50, grad=False).to(r.device, r.dtype)
                for i, r in enumerate(results)]
    leaves = [t for t in tensors if isinstance(t, torch.Tensor) and t.requires_grad]
    return [*results, *torch.autograd.grad(results, leaves, upstream)]


def in_f64(tensors):
    return [t.detach().double().requires_grad_(t.requires_grad) if isinstance(t, torch.Tensor) and t.is_floating_point()
            else t for t in tensors]


class Judged(unittest.TestCase):
    def no_worse_than_plain(self, ours, plain, tensors):
        """Every result and gradient: type and shape of plain's, error against f64 at most 1.5 times plain's."""
        truth = results_and_gradients(plain, in_f64(tensors))
        beside = results_and_gradients(plain, tensors)
        found = results_and_gradients(ours, tensors)
        self.assertEqual(len(found), len(truth))
        for i, (a, b, t) in enumerate(zip(found, beside, truth)):
            self.assertEqual((a.dtype, a.shape), (b.dtype, b.shape), f"result {i}")
            self.assertLessEqual(relative_error(a, t), NO_WORSE * relative_error(b, t) + FLOOR[a.dtype], f"result {i}")

    def compiles_once(self, function, shapes, make, backend="aot_eager"):
        """`make(*shape)` gives the tensors of a call. The compiled function agrees with itself uncompiled at every shape,
        gradients too, in one graph without a break."""
        torch._dynamo.reset()
        counters.clear()
        compiled = torch.compile(function, fullgraph=True, dynamic=True, backend=backend)
        for shape in shapes:
            tensors = make(*shape)
            for a, b in zip(results_and_gradients(compiled, tensors), results_and_gradients(function, tensors)):
                self.assertLessEqual(relative_error(a, b), 1e-6, f"{shape}")
        self.assertEqual(counters["stats"]["unique_graphs"], 1)
        self.assertFalse(counters["graph_break"])

    def refuses(self, words, function, *arguments, **options):
        with self.subTest(words), self.assertRaisesRegex((RuntimeError, ValueError, TypeError), words):
            function(*arguments, **options)

    def refuses_second_derivative(self, function, leaf):
        with self.assertRaisesRegex(RuntimeError, "create_graph"):
            torch.autograd.grad(as_tuple(function(leaf))[0].sum(), [leaf], create_graph=True)


def main(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    options, rest = parser.parse_known_args()
    torch.ops.load_library(options.library)
    program = unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False)
    return 0 if program.result.wasSuccessful() else 1

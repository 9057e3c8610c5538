# SPDX-License-Identifier: Apache-2.0
"""torch.ops.assay.rms_norm, add_rms_norm, rope and swiglu: right, differentiable, compilable, and bad input.

    python test_llama_ops.py --library BUILD/lib/libassay_ops.so
"""

import sys

import torch
from torch.nn import functional

from conformance import DEVICES, DTYPES, Judged, main, ops, random

EPS = 1e-5


def wide(x):
    return x if x.dtype == torch.float64 else x.float()


def plain_norm(x, weight):
    """As transformers' LlamaRMSNorm."""
    h = wide(x)
    return weight * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + EPS)).to(x.dtype)


def plain_add_norm(x, residual, weight):
    total = x + residual
    return total, plain_norm(total, weight)


def rms_norm(x, weight):
    return ops().rms_norm(x, weight, EPS)


def add_rms_norm(x, residual, weight):
    return ops().add_rms_norm(x, residual, weight, EPS)


def plain_rope(q, k, frequencies, positions):
    """As transformers' LlamaRotaryEmbedding and apply_rotary_pos_emb."""
    angles = positions[..., None].to(wide(q).dtype) * frequencies
    both = torch.cat((angles, angles), -1).unsqueeze(2)
    cos, sin = both.cos().to(q.dtype), both.sin().to(q.dtype)

    def turned(x):
        low, high = x.chunk(2, -1)
        return x * cos + torch.cat((-high, low), -1) * sin
    return turned(q), turned(k)


def frequencies_of(head_dim, device="cpu"):
    return (1.0 / 10000.0 ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)).to(device)


def rope(q, k, frequencies, positions):
    return ops().rope(q, k, frequencies.float(), positions)


def plain_swiglu(gate, up):
    return functional.silu(gate) * up


def norm_tensors(rows=(3, 5), hidden=33, dtype=torch.float32, device="cpu"):
    made = [random(*rows, hidden, dtype=dtype, device=device, seed=i) for i in range(2)]
    return [*made, random(hidden, dtype=dtype, device=device, seed=9)]


def rope_tensors(batch=2, length=7, heads=(4, 2), head_dim=10, dtype=torch.float32, device="cpu"):
    q, k = (random(batch, length, n, head_dim, dtype=dtype, device=device, seed=n) for n in heads)
    positions = torch.arange(length, device=device).flip(0).expand(batch, -1) % 5
    return [q, k, frequencies_of(head_dim, device), positions]


def swiglu_tensors(rows=(3, 5), columns=33, dtype=torch.float32, device="cpu"):
    return [random(*rows, columns, dtype=dtype, device=device, seed=i) for i in range(2)]


class Right(Judged):
    def test_norm_is_as_exact_as_torchs(self):
        for device in DEVICES:
            for dtype in DTYPES:
                for rows, hidden in (((3, 5), 33), ((300,), 256), ((), 64), ((2, 1, 2), 9)):
                    x, residual, weight = norm_tensors(rows, hidden, dtype, device)
                    with self.subTest(device=device, dtype=dtype, rows=rows):
                        self.no_worse_than_plain(rms_norm, plain_norm, [x, weight])
                        self.no_worse_than_plain(add_rms_norm, plain_add_norm, [x, residual, weight])

    def test_rope_is_as_exact_as_torchs(self):
        for device in DEVICES:
            for dtype in DTYPES:
                for heads, head_dim in (((4, 2), 10), ((3, 1), 64), ((2, 2), 128)):
                    tensors = rope_tensors(heads=heads, head_dim=head_dim, dtype=dtype, device=device)
                    with self.subTest(device=device, dtype=dtype, head_dim=head_dim):
                        self.no_worse_than_plain(rope, plain_rope, tensors)

    def test_positions_are_optional_shared_or_32_bit(self):
        for device in DEVICES:
            q, k, frequencies, _ = rope_tensors(device=device)
            line = torch.arange(7, device=device)
            expected = ops().rope(q, k, frequencies, line.expand(2, -1))
            for positions in (None, line.unsqueeze(0), line.int().expand(2, -1)):
                for a, b in zip(ops().rope(q, k, frequencies, positions), expected):
                    self.assertTrue(torch.equal(a, b))

    def test_swiglu_is_as_exact_as_torchs(self):
        for device in DEVICES:
            for dtype in DTYPES:
                for rows, columns in (((3, 5), 33), ((70,), 512), ((), 8)):
                    with self.subTest(device=device, dtype=dtype, rows=rows):
                        self.no_worse_than_plain(ops().swiglu, plain_swiglu,
                                                 swiglu_tensors(rows, columns, dtype, device))

    def test_strided_inputs_give_what_their_copies_give(self):
        for device in DEVICES:
            both = random(6, 80, device=device, grad=False)
            halves = both.chunk(2, -1)
            self.assertTrue(torch.equal(ops().swiglu(*halves), ops().swiglu(*(h.clone() for h in halves))))
            x, weight = random(40, 6, device=device, grad=False).t(), random(40, device=device, grad=False)
            self.assertTrue(torch.equal(rms_norm(x, weight), rms_norm(x.contiguous(), weight)))
            expanded = random(1, 40, device=device, grad=False).expand(6, -1)
            self.assertTrue(torch.equal(rms_norm(expanded, weight), rms_norm(expanded.contiguous(), weight)))
            q, k, frequencies, positions = rope_tensors(device=device)
            heads_first = [t.detach().transpose(1, 2).contiguous().transpose(1, 2) for t in (q, k)]
            for a, b in zip(rope(*heads_first, frequencies, positions), rope(q, k, frequencies, positions)):
                self.assertTrue(torch.equal(a, b))

    def test_nothing_in_gives_nothing_out(self):
        for device in DEVICES:
            x = torch.empty(0, 16, device=device, requires_grad=True)
            weight = random(16, device=device)
            y = rms_norm(x, weight)
            self.assertEqual(y.shape, (0, 16))
            y.sum().backward()
            self.assertTrue(torch.equal(weight.grad, torch.zeros_like(weight)))
            self.assertEqual(ops().swiglu(x, x).shape, (0, 16))
            q = torch.empty(2, 0, 4, 8, device=device)
            self.assertEqual(ops().rope(q, q, frequencies_of(8, device))[0].shape, q.shape)


class Differentiable(Judged):
    def test_gradcheck_in_f64(self):
        x, residual, weight = norm_tensors((2, 3), 5, torch.float64)
        self.assertTrue(torch.autograd.gradcheck(rms_norm, (x, weight)))
        self.assertTrue(torch.autograd.gradcheck(add_rms_norm, (x, residual, weight)))
        q, k, frequencies, positions = rope_tensors(length=3, head_dim=6, dtype=torch.float64)
        self.assertTrue(torch.autograd.gradcheck(lambda *t: rope(*t, frequencies, positions), (q, k)))
        self.assertTrue(torch.autograd.gradcheck(ops().swiglu, tuple(swiglu_tensors((2,), 5, torch.float64))))

    def test_a_frozen_weight_and_an_unused_output_are_no_trouble(self):
        x, residual, weight = norm_tensors()
        frozen = weight.detach()
        expected = torch.autograd.grad(add_rms_norm(x, residual, weight)[1].sum(), [x, residual])
        found = torch.autograd.grad(add_rms_norm(x, residual, frozen)[1].sum(), [x, residual])
        for a, b in zip(found, expected):
            self.assertTrue(torch.equal(a, b))
        past, = torch.autograd.grad(add_rms_norm(x, residual, frozen)[0].sum(), [x])
        self.assertTrue(torch.equal(past, torch.ones_like(x)))

    def test_a_second_derivative_is_refused(self):
        x, residual, weight = norm_tensors()
        q, k, frequencies, positions = rope_tensors()
        self.refuses_second_derivative(lambda x: rms_norm(x, weight), x)
        self.refuses_second_derivative(lambda x: ops().swiglu(x, residual), x)
        self.refuses_second_derivative(lambda q: rope(q, k, frequencies, positions), q)


class Library(Judged):
    def test_opcheck(self):
        for device in DEVICES:
            for dtype in (*DTYPES, torch.float64):
                x, residual, weight = norm_tensors(dtype=dtype, device=device)
                with self.subTest(device=device, dtype=dtype):
                    torch.library.opcheck(ops().rms_norm.default, (x, weight, EPS))
                    torch.library.opcheck(ops().add_rms_norm.default, (x, residual, weight, EPS))
                    torch.library.opcheck(ops().rope.default, tuple(rope_tensors(dtype=dtype, device=device)))
                    torch.library.opcheck(ops().swiglu.default, tuple(swiglu_tensors(dtype=dtype, device=device)))

    def test_compiles_whole_and_never_again_for_other_lengths(self):
        def layer(x, residual, weight, gate):
            total, y = ops().add_rms_norm(torch.tanh(x), residual, weight, EPS)
            heads = y.view(y.shape[0], y.shape[1], 4, 8)
            q, k = ops().rope(heads, heads[:, :, :2], frequencies_of(8, y.device))
            return ops().swiglu(q.flatten(2), gate) + ops().rms_norm(total, weight, EPS) * k.sum()

        for device in DEVICES:
            def make(batch, length):
                x, residual, weight = norm_tensors((batch, length), 32, torch.float32, device)
                return [x, residual, weight, random(batch, length, 32, device=device, seed=3)]

            with self.subTest(device=device):
                self.compiles_once(layer, ((3, 7), (5, 13), (2, 129), (4, 31)), make)


class BadInput(Judged):
    def test_norm(self):
        x, residual, weight = norm_tensors()
        self.refuses("weight of x's type", ops().rms_norm, x, weight.double())
        self.refuses("weight of 33 elements.*found 32", ops().rms_norm, x, weight[:32])
        self.refuses("float16, bfloat16, float32 or float64", ops().rms_norm, x.int(), weight.int())
        self.refuses("residual of x's shape", ops().add_rms_norm, x, residual[:2], weight)
        self.refuses("a finite eps", ops().rms_norm, x, weight, float("nan"))
        self.refuses("weight on x's device", ops().rms_norm, x, weight.to("meta"))

    def test_rope(self):
        q, k, frequencies, positions = rope_tensors()
        self.refuses("\\[batch, length, heads, head_dim\\]", ops().rope, q[0], k, frequencies)
        self.refuses("same batch, length", ops().rope, q, k[:, :3], frequencies)
        self.refuses("k of q's type", ops().rope, q, k.double(), frequencies)
        self.refuses("half an even head_dim", ops().rope, q, k, frequencies[:4])
        self.refuses("inverse_frequency of float32", ops().rope, q, k, frequencies.double())
        self.refuses("positions of int32 or int64", ops().rope, q, k, frequencies, positions.float())
        self.refuses("positions as \\[2 or 1, 7\\]", ops().rope, q, k, frequencies, positions[:, :3])

    def test_swiglu(self):
        gate, up = swiglu_tensors()
        self.refuses("up of gate's shape", ops().swiglu, gate, up[:2])
        self.refuses("up of gate's type", ops().swiglu, gate, up.half())
        self.refuses("found a scalar", ops().swiglu, gate.sum(), up.sum())


if __name__ == "__main__":
    sys.exit(main(__doc__))

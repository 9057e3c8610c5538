# SPDX-License-Identifier: Apache-2.0
"""torch.ops.assay.attention and flex_attention: against the formula and torch's own attention, differentiable,
compilable, and bad input. GPUs take f16 and bf16 and four head sizes; the CPU takes every type and size.

    python test_attention.py --library BUILD/lib/libassay_ops.so
"""

import functools
import sys
import unittest

import torch
from torch.nn import functional

from conformance import DEVICES, Judged, main, ops, random, relative_error, results_and_gradients

CAUSAL = "bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) { return k <= q; }"
BIAS = """template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {
  return score * buffers.scalar(0) + buffers.get<float>(0, h) * float(k - q);
}"""


def inputs(batch=2, lengths=(37, 37), heads=(4, 2), head_size=32, dtype=torch.float32, device="cpu"):
    return [random(batch, n, h, head_size, dtype=dtype, device=device, seed=i)
            for i, (n, h) in enumerate(zip((lengths[0], lengths[1], lengths[1]), (heads[0], heads[1], heads[1])))]


def visible(q_length, k_length, causal, window, device):
    behind = torch.arange(q_length, device=device)[:, None] - torch.arange(k_length, device=device)
    seen = torch.ones_like(behind, dtype=torch.bool)
    if causal:
        seen &= behind >= 0
    return seen & (behind.abs() < window) if window else seen


def plain(q, k, v, scale=None, causal=True, window=0, softcap=0.0, starts=None, score=lambda x: x):
    """The formula, scores in f32 at least as transformers has them; probabilities in the inputs' type. `score` is a
    function of the scores [batch, heads, queries, keys]."""
    if starts is not None:
        flat = [t.flatten(0, 1) for t in (q, k, v)]
        parts = [plain(*(t[None, a:b] for t in flat), scale, causal, window, softcap) for a, b in zip(starts, starts[1:])]
        rest = flat[0].new_zeros(flat[0].shape[0] - starts[-1], *flat[0].shape[1:])
        return torch.cat([*(p[0] for p in parts), rest]).view(q.shape)
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
    scores = (q @ k.transpose(2, 3)).to(wide) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    scores = score(scores)
    seen = visible(q.shape[2], k.shape[2], causal, window, q.device)
    probabilities = torch.softmax(scores.masked_fill(~seen, float("-inf")), -1).masked_fill(~seen, 0.0)
    return (probabilities.nan_to_num().to(q.dtype) @ v).transpose(1, 2)


def ours(q, k, v, starts=None, **options):
    cu_seqlens = None if starts is None else torch.tensor(starts, dtype=torch.int32, device=q.device)
    return ops().attention(q, k, v, cu_seqlens=cu_seqlens, **options)


KINDS = ({}, {"causal": False}, {"window": 9}, {"causal": False, "window": 5}, {"softcap": 2.0}, {"scale": 0.4},
         {"starts": [0, 5, 5, 21, 70]}, {"starts": [0, 11, 74], "window": 4, "softcap": 3.0},
         {"starts": [0, 30, 31, 74], "causal": False})


class Right(Judged):
    def test_is_as_exact_as_the_formula_in_the_same_type(self):
        for device in DEVICES:
            for dtype in (torch.float16, torch.bfloat16) if device == "cuda" else (torch.float32, torch.bfloat16):
                for options in KINDS:
                    with self.subTest(device=device, dtype=dtype, options=options):
                        self.no_worse_than_plain(functools.partial(ours, **options), functools.partial(plain, **options),
                                                 inputs(dtype=dtype, device=device))

    def test_lengths_that_are_multiples_of_nothing(self):
        for device, dtype in zip(DEVICES, (torch.float32, torch.bfloat16)):
            for lengths, causal in (((129, 129), True), ((257, 131), False), ((7, 300), True), ((2, 2), True)):
                with self.subTest(device=device, lengths=lengths):
                    self.no_worse_than_plain(functools.partial(ours, causal=causal),
                                             functools.partial(plain, causal=causal),
                                             inputs(lengths=lengths, dtype=dtype, device=device))

    def test_agrees_with_torchs_own(self):
        q, k, v = inputs(dtype=torch.float64)
        theirs = functional.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), is_causal=True,
                                                         enable_gqa=True).transpose(1, 2)
        torch.testing.assert_close(ours(q, k, v), theirs)

    def test_a_query_that_sees_nothing_is_zero_and_gives_no_gradient(self):
        for device, dtype in zip(DEVICES, (torch.float64, torch.bfloat16)):
            q, k, v = inputs(lengths=(20, 6), dtype=dtype, device=device)
            o = ours(q, k, v, window=4)
            self.assertTrue(torch.equal(o[:, 10:], torch.zeros_like(o[:, 10:])))
            dq, dk, dv = torch.autograd.grad(o.sum(), (q, k, v))
            self.assertTrue(torch.equal(dq[:, 10:], torch.zeros_like(dq[:, 10:])))
            self.assertTrue(dk.isfinite().all() and dv.isfinite().all())

    def test_heads_first_and_expanded_inputs_give_what_their_copies_give(self):
        for device, dtype in zip(DEVICES, (torch.float32, torch.bfloat16)):
            q, k, v = (t.detach() for t in inputs(dtype=dtype, device=device))
            heads_first = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in (q, k, v)]
            self.assertTrue(torch.equal(ours(*heads_first), ours(q, k, v)))
            one = k[:, :, :1].expand_as(k)
            self.assertTrue(torch.equal(ours(q, one, v), ours(q, one.contiguous(), v)))

    def test_packed_is_what_its_sequences_are_apart(self):
        for device, dtype in zip(DEVICES, (torch.float32, torch.bfloat16)):
            q, k, v = (t.detach() for t in inputs(1, (200, 200), dtype=dtype, device=device))
            starts = [0, 64, 65, 193, 200]
            together = ours(q, k, v, starts, max_length=128)
            for a, b in zip(starts, starts[1:]):
                apart = ours(*(t[:, a:b] for t in (q, k, v)))
                self.assertLessEqual(relative_error(together[:, a:b], apart), 1e-6 if device == "cpu" else 1e-2)

    def test_nothing_in_gives_nothing_out(self):
        for device, dtype in zip(DEVICES, (torch.float32, torch.bfloat16)):
            for lengths in ((0, 0), (3, 0), (0, 3)):
                tensors = inputs(lengths=lengths, dtype=dtype, device=device)
                o, *gradients = results_and_gradients(functools.partial(ours, causal=False), tensors)
                for t in (o, *gradients):
                    self.assertTrue(torch.equal(t, torch.zeros_like(t)))


class Differentiable(Judged):
    def test_gradcheck_in_f64(self):
        for options in ({}, {"causal": False, "window": 2, "softcap": 1.5}, {"starts": [0, 2, 7, 8]}):
            tensors = inputs(2, (4, 4), (4, 2), 3, torch.float64)
            with self.subTest(options=options):
                self.assertTrue(torch.autograd.gradcheck(functools.partial(ours, **options), tensors))

    def test_a_second_derivative_is_refused(self):
        q, k, v = inputs()
        self.refuses_second_derivative(lambda q: ours(q, k, v), q)


class Library(Judged):
    def test_opcheck(self):
        for device in DEVICES:
            for dtype in (torch.bfloat16,) if device == "cuda" else (torch.bfloat16, torch.float64):
                for options in ({}, {"window": 5, "softcap": 3.0, "causal": False},
                                {"starts": [0, 11, 70], "max_length": 60}):
                    tensors = inputs(dtype=dtype, device=device)
                    named = {n: v for n, v in options.items() if n != "starts"}
                    if "starts" in options:
                        named["cu_seqlens"] = torch.tensor(options["starts"], dtype=torch.int32, device=device)
                    with self.subTest(device=device, dtype=dtype, options=options):
                        torch.library.opcheck(ops().attention.default, tuple(tensors), named)

    def test_compiles_whole_and_never_again_for_other_lengths_and_packings(self):
        def two(q, k, v, starts):
            first = ops().attention(torch.tanh(q), k, v)
            return first + ops().attention(first, k, v, window=7, cu_seqlens=starts, max_length=q.shape[1])

        for device, dtype in zip(DEVICES, (torch.float32, torch.bfloat16)):
            def make(length, *starts):
                return [*inputs(1, (length, length), dtype=dtype, device=device),
                        torch.tensor((0, *starts, length), dtype=torch.int32, device=device)]

            with self.subTest(device=device):
                self.compiles_once(two, ((70, 8, 31, 40, 50), (35, 1, 2, 9), (131, 4, 5, 130), (33, 5)), make)

    def test_texts_of_mods_have_fake_kernels(self):
        tensors = [t.to("meta") for t in inputs()]
        o = ops().flex_attention(*tensors, [], mask_mod=CAUSAL)
        self.assertEqual(o.shape, tensors[0].shape)


class BadInput(Judged):
    def test_each_is_refused_with_what_was_expected(self):
        q, k, v = (t.detach() for t in inputs())
        starts = torch.tensor([0, 74], dtype=torch.int32)
        attention, flex = ops().attention, ops().flex_attention
        self.refuses("\\[batch, length, heads, head_size\\]", attention, q[0], k, v)
        self.refuses("k of q's type", attention, q, k.half(), v)
        self.refuses("v of k's shape", attention, q, k, v[:, 1:])
        self.refuses("multiple of the key heads", attention, q[:, :, :3], k, v)
        self.refuses("same batch and head_size", attention, q[..., :8], k, v)
        self.refuses("a window", attention, q, k, v, window=-1)
        self.refuses("a softcap", attention, q, k, v, softcap=-2.0)
        self.refuses("cu_seqlens of int32", attention, q, k, v, cu_seqlens=starts.long())
        self.refuses("cu_seqlens to rise", attention, q, k, v, cu_seqlens=starts + 1)
        self.refuses("cu_seqlens to rise", attention, q, k, v, cu_seqlens=starts.flip(0))
        self.refuses("at most max_length", attention, q, k, v, cu_seqlens=starts, max_length=10)
        self.refuses("as many keys as queries", attention, q, k[:, 1:], v[:, 1:], cu_seqlens=starts)
        self.refuses("a score_mod or a mask_mod", flex, q, k, v, [])
        self.refuses("need a GPU", flex, q, k, v, [], mask_mod=CAUSAL)
        self.refuses("at most 8 buffers", flex, q, k, v, [starts] * 9, mask_mod=CAUSAL)
        self.refuses("buffers on q's device", flex, q, k, v, [starts.to("meta")], mask_mod=CAUSAL)


@unittest.skipUnless(torch.cuda.is_available(), "no GPU")
class GpuOnly(Judged):
    def test_mods_of_ones_own(self):
        slopes = torch.tensor([0.5, 0.25, 0.125, 0.0625], device="cuda")

        def sloped(scores):
            i, j = (torch.arange(n, device="cuda") for n in scores.shape[2:])
            return scores * 0.7 + slopes.to(scores.dtype)[:, None, None] * (j - i[:, None])

        def mine(q, k, v):
            return ops().flex_attention(q, k, v, [slopes], score_mod=BIAS, mask_mod=CAUSAL, scalars=[0.7],
                                        mask_by_head=False, mask_by_sequence=False)

        self.no_worse_than_plain(mine, functools.partial(plain, score=sloped),
                                 inputs(lengths=(200, 200), dtype=torch.bfloat16, device="cuda"))
        torch.library.opcheck(ops().flex_attention.default,
                              (*inputs(dtype=torch.bfloat16, device="cuda"), [slopes]),
                              {"score_mod": BIAS, "mask_mod": CAUSAL, "scalars": [0.7]})

    def test_a_mod_that_does_not_compile_shows_its_line(self):
        self.refuses("mask_mod:1:.*strangers", ops().flex_attention, *inputs(dtype=torch.bfloat16, device="cuda"), [],
                     mask_mod=CAUSAL.replace("k <= q", "strangers"))

    def test_other_lengths_and_windows_compile_nothing(self):
        def call(length, window):
            tensors = inputs(1, (length, length), dtype=torch.bfloat16, device="cuda")
            results_and_gradients(functools.partial(ours, window=window), tensors)
        call(100, 8)
        before = ops().attention_counters()[0]
        for length in range(90, 400, 17):
            call(length, length // 3)
        self.assertEqual(ops().attention_counters()[0], before)

    def test_what_gpus_do_not_do_is_refused(self):
        self.refuses("float16 or bfloat16", ours, *inputs(device="cuda"))
        self.refuses("head_size of 32, 64, 96 or 128", ours, *inputs(head_size=48, dtype=torch.float16, device="cuda"))

    def test_a_captured_call_follows_new_inputs_and_packings(self):
        q, k, v = (t.detach() for t in inputs(1, (200, 200), dtype=torch.bfloat16, device="cuda"))
        starts = torch.tensor([0, 100, 200], dtype=torch.int32, device="cuda")
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            ops().attention(q, k, v, cu_seqlens=starts)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            o = ops().attention(q, k, v, cu_seqlens=starts)
        q.mul_(-0.5)
        starts[1] = 33
        graph.replay()
        torch.cuda.synchronize()
        self.assertTrue(torch.equal(o, ops().attention(q, k, v, cu_seqlens=starts)))


if __name__ == "__main__":
    sys.exit(main(__doc__))

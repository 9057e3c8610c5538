# SPDX-License-Identifier: Apache-2.0
"""torch.ops.assay.linear_cross_entropy and linear_logprob: right, differentiable, compilable, checkpointable.

    python test_linear_losses.py --library BUILD/lib/libassay_ops.so
"""

import argparse
import sys
import unittest
import weakref

import torch
from torch._dynamo.utils import counters
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
TENSORS = ("hidden", "weight", "bias", "lora_a", "lora_b")


def ops():
    return torch.ops.assay


def layer(rows=29, width=16, vocab=131, dtype=torch.float32, device="cpu", adapted=True, ignored=True):
    """Leaves that want gradients, and labels of which every fourth does not count."""
    generator = torch.Generator().manual_seed(3407)

    def leaf(*shape, spread=0.3):
        return (torch.randn(shape, generator=generator) * spread).to(device, dtype).requires_grad_()

    made = {"hidden": leaf(rows, width, spread=1.0), "weight": leaf(vocab, width)}
    if adapted:
        made |= {"bias": leaf(vocab), "lora_a": leaf(3, width), "lora_b": leaf(vocab, 3)}
    labels = torch.randint(vocab, (rows,), generator=generator)
    if ignored:
        labels[1::4] = -100
    return made, labels.to(device)


def call(op, made, indices, **options):
    named = {name: made[name] for name in TENSORS[2:] if name in made}
    return op(made["hidden"], made["weight"], indices, **named, **options)


def logits_of(made, lora_scale=1.0):
    logits = made["hidden"] @ made["weight"].T
    if "bias" in made:
        logits = logits + made["bias"] + lora_scale * (made["hidden"] @ made["lora_a"].T) @ made["lora_b"].T
    return logits.float() if logits.dtype != torch.float64 else logits


def relative_error(found, truth):
    return ((found.double() - truth.double()).norm() / truth.double().norm().clamp_min(1e-300)).item()


class Right(unittest.TestCase):
    def same_as(self, found, truth, leaves, limit, upstream=None):
        self.assertLessEqual(relative_error(found, truth), limit)
        upstream = torch.full_like(truth, 3.7) if upstream is None else upstream
        expected = torch.autograd.grad(truth, leaves, upstream.to(truth.dtype), retain_graph=True)
        gradients = torch.autograd.grad(found, leaves, upstream.to(found.dtype), retain_graph=True)
        for name, a, b in zip(TENSORS, gradients, expected):
            self.assertEqual((a.dtype, a.shape), (b.dtype, b.shape))
            self.assertLessEqual(relative_error(a, b), limit, name)

    def test_cross_entropy_is_torchs_with_its_gradients(self):
        weights = torch.rand(131) + 0.2
        for device in DEVICES:
            for reduction in ("mean", "sum", "none"):
                for options in ({}, {"label_smoothing": 0.1}, {"class_weight": weights.to(device)}):
                    made, labels = layer(device=device)
                    with self.subTest(device=device, reduction=reduction, options=list(options)):
                        plain = functional.cross_entropy(
                            logits_of(made, 0.5), labels, weight=options.get("class_weight"), reduction=reduction,
                            label_smoothing=options.get("label_smoothing", 0.0))
                        found = call(ops().linear_cross_entropy, made, labels, reduction=reduction, lora_scale=0.5,
                                     chunk_rows=7, **options)
                        upstream = torch.randn_like(plain)
                        self.same_as(found, plain, list(made.values()), 5e-6, upstream)

    def test_logprob_entropy_and_logsumexp(self):
        for device in DEVICES:
            made, tokens = layer(device=device, ignored=False)
            found = call(ops().linear_logprob, made, tokens, softcap=5.0, temperature=0.7, chunk_rows=7)
            z = 5.0 * torch.tanh(logits_of(made) / 5.0) / 0.7
            log_p = torch.log_softmax(z, -1)
            plain = (log_p.gather(1, tokens[:, None])[:, 0], -(log_p.exp() * log_p).sum(-1), z.logsumexp(-1))
            for a, b in zip(found, plain):
                with self.subTest(device=device):
                    self.same_as(a, b, list(made.values()), 5e-6, torch.randn_like(b))

    def test_leading_extents_and_a_given_divisor(self):
        made, labels = layer(rows=24, ignored=False)
        made["hidden"] = made["hidden"].detach().view(2, 12, 16).requires_grad_()
        found = call(ops().linear_cross_entropy, made, labels.view(2, 12), divisor=torch.tensor(5.0))
        plain = functional.cross_entropy(logits_of(made).flatten(0, 1), labels, reduction="sum") / 5.0
        self.same_as(found, plain, list(made.values()), 5e-6)

    def test_gradcheck_in_f64(self):
        made, labels = layer(rows=5, width=4, vocab=7, dtype=torch.float64)
        for reduction in ("mean", "none"):
            self.assertTrue(torch.autograd.gradcheck(
                lambda *leaves: call(ops().linear_cross_entropy, dict(zip(TENSORS, leaves)), labels, chunk_rows=2,
                                     reduction=reduction, label_smoothing=0.1, z_loss=0.01, softcap=3.0),
                list(made.values())))
        self.assertTrue(torch.autograd.gradcheck(
            lambda *leaves: call(ops().linear_logprob, dict(zip(TENSORS, leaves)), labels.clamp_min(0), chunk_rows=2),
            list(made.values())))


class Library(unittest.TestCase):
    def test_opcheck(self):
        for device in DEVICES:
            for dtype in (torch.float32, torch.bfloat16):
                made, labels = layer(device=device, dtype=dtype)
                named = {name: made[name] for name in TENSORS[2:]}
                arguments = (made["hidden"], made["weight"], labels)
                for reduction in ("mean", "none"):
                    with self.subTest(device=device, dtype=dtype, reduction=reduction):
                        torch.library.opcheck(ops().linear_cross_entropy.default, arguments,
                                              {**named, "reduction": reduction, "chunk_rows": 8})
                torch.library.opcheck(ops().linear_logprob.default,
                                      (made["hidden"], made["weight"], labels.clamp_min(0)),
                                      {**named, "chunk_rows": 8})

    def test_compiles_whole_and_never_again_for_other_lengths(self):
        torch._dynamo.reset()
        counters.clear()

        def step(hidden, weight, labels):
            loss = ops().linear_cross_entropy(torch.tanh(hidden), weight, labels, chunk_rows=8)
            logprob, entropy, _ = ops().linear_logprob(hidden, weight, labels.clamp_min(0), chunk_rows=8)
            return 3.0 * loss + logprob.mean() - 0.01 * entropy.mean()

        compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
        for rows in (24, 31, 57):
            made, labels = layer(rows=rows, adapted=False)
            leaves = list(made.values())
            plain = torch.autograd.grad(step(*leaves, labels), leaves)
            found = torch.autograd.grad(compiled(*leaves, labels), leaves)
            for a, b in zip(found, plain):
                self.assertLessEqual(relative_error(a, b), 1e-6)
        self.assertEqual(counters["stats"]["unique_graphs"], 1)
        self.assertFalse(counters["graph_break"])

    def test_activation_checkpointing_gives_the_same_gradients(self):
        made, labels = layer()
        leaves = list(made.values())
        plain = torch.autograd.grad(call(ops().linear_cross_entropy, made, labels, chunk_rows=7), leaves)
        for reentrant in (False, True):
            loss = checkpoint(lambda *t: call(ops().linear_cross_entropy, dict(zip(TENSORS, t)), labels, chunk_rows=7),
                              *leaves, use_reentrant=reentrant)
            if reentrant:  # torch's reentrant kind supports .backward() alone
                for leaf in leaves:
                    leaf.grad = None
                loss.backward()
                found = [leaf.grad for leaf in leaves]
            else:
                found = torch.autograd.grad(loss, leaves)
            for a, b in zip(found, plain):
                self.assertTrue(torch.equal(a, b))


class FourBitHead(unittest.TestCase):
    def test_a_decoded_head_serves_and_is_not_kept_until_backward(self):
        for device in DEVICES:
            made, labels = layer(width=64, device=device, adapted=False, dtype=torch.bfloat16)
            packed, absmax, *nested = ops().nf4_quantize(made["weight"].detach())
            names = ("nested_absmax", "nested_code", "nested_offset")
            weight = ops().nf4_dequantize(packed, absmax, made["weight"].shape, torch.bfloat16, **dict(zip(names, nested)))
            plain = functional.cross_entropy(made["hidden"].float() @ weight.float().T, labels)
            expected, = torch.autograd.grad(plain, [made["hidden"]])
            gone = weakref.ref(weight)
            loss = ops().linear_cross_entropy(made["hidden"], weight, labels)
            del weight, plain
            self.assertIsNone(gone(), "a mean's gradients are made in forward: the decoded weight may go")
            found, = torch.autograd.grad(loss, [made["hidden"]])
            self.assertLessEqual(relative_error(found, expected), 5e-3)


class BadInput(unittest.TestCase):
    def test_each_is_refused_with_what_was_expected(self):
        made, labels = layer()
        hidden, weight = made["hidden"], made["weight"]
        for words, arguments, options in (
                ("reduction", (hidden, weight, labels), {"reduction": "average"}),
                ("chunk_rows", (hidden, weight, labels), {"chunk_rows": 0}),
                ("int64", (hidden, weight, labels.int()), {}),
                ("rows of the hidden states", (hidden, weight, labels[1:]), {}),
                ("of one type", (hidden, weight.bfloat16(), labels), {}),
                ("shape", (hidden, weight[:, 1:], labels), {}),
                ("both lora_a and lora_b", (hidden, weight, labels), {"lora_a": made["lora_a"]}),
                ("label", (hidden, weight, labels.clamp_min(0) + 500), {})):
            with self.subTest(words), self.assertRaisesRegex((RuntimeError, ValueError), words):
                ops().linear_cross_entropy(*arguments, **options)


    def test_a_second_derivative_is_refused(self):
        for reduction in ("mean", "none"):
            made, labels = layer()
            loss = call(ops().linear_cross_entropy, made, labels, reduction=reduction).sum()
            with self.subTest(reduction), self.assertRaisesRegex(RuntimeError, "create_graph"):
                torch.autograd.grad(loss, [made["hidden"]], create_graph=True)


class GpuOnly(unittest.TestCase):
    def setUp(self):
        if not torch.cuda.is_available():
            self.skipTest("no GPU")

    def test_a_captured_step_follows_new_inputs(self):
        made, labels = layer(rows=300, width=64, vocab=1000, dtype=torch.bfloat16, device="cuda", adapted=False)
        leaves = list(made.values())

        def step():
            loss = call(ops().linear_cross_entropy, made, labels, chunk_rows=128)
            return (loss, *torch.autograd.grad(loss, leaves))

        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            step()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = step()
        with torch.no_grad():
            made["hidden"].mul_(0.5)
            labels.copy_(labels.flip(0))
        graph.replay()
        torch.cuda.synchronize()
        for a, b in zip(captured, step()):
            self.assertTrue(torch.equal(a, b))

    def test_nothing_waits_for_the_gpu(self):
        made, labels = layer(rows=300, width=64, vocab=1000, dtype=torch.bfloat16, device="cuda")
        torch.cuda.set_sync_debug_mode("error")
        try:
            call(ops().linear_cross_entropy, made, labels).backward()
            call(ops().linear_logprob, made, labels.clamp_min(0))[0].sum().backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    options, rest = parser.parse_known_args()
    torch.ops.load_library(options.library)
    torch.manual_seed(3407)
    program = unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""suites/compile/hf on the CPU: a Hugging Face Llama with peft's LoRA over torch.ops.assay compiles whole, once, trains as
in f64, and each planted fault is seen.

    python test_hf_llama.py --library BUILD/lib/libassay_ops.so
"""

import argparse
import importlib.util
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "suites" / "compile" / "hf"))
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
MISSING = [name for name in ("torch", "transformers", "peft") if not importlib.util.find_spec(name)]
if not MISSING:
    # One thread: the tensors are tiny.
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    import batches
    import model as models
    import mutants
    import operators
    import run
    import training
    import verdict

    transformers.utils.logging.set_verbosity_error()

LIBRARY = None


def report_of(*arguments):
    return run.run(run.options_from(["--library", LIBRARY, *map(str, arguments)]))


def gradients(model, batch):
    loss = model(**batch).loss
    loss.backward()
    return {"loss": loss.detach(), **{name: p.grad for name, p in training.adapters(model).items()}}


class Driver(unittest.TestCase):
    def test_forty_mixes_of_lengths_in_one_graph_a_kind(self):
        report = report_of("--mixes", 40)
        self.assertEqual(report["faults"], [])
        self.assertEqual((report["length_mixes"], report["graphs"], report["graph_breaks"]), (40, 2, 0))
        self.assertEqual(report["recompilations_after_warm_up"], 0)
        self.assertEqual(report["compiled_against_uncompiled"], 0.0)
        layers = models.SHAPES["tiny"]["num_hidden_layers"]
        expected = {"rms_norm": layers + 1, "add_rms_norm": layers, "rope": layers, "attention": layers,
                    "swiglu": layers, "nf4_linear": 7 * layers, "linear_cross_entropy": 1}
        self.assertEqual({name: report["operators"][f"assay.{name}"] for name in expected}, expected)

    def test_bf16(self):
        self.assertEqual(report_of("--mixes", 16, "--dtype", "bfloat16")["faults"], [])

    def test_inductor(self):
        report = report_of("--mixes", 8, "--backend", "inductor", "--timed", 2)
        self.assertEqual(report["faults"], [])
        self.assertGreater(report["speed"]["compiled"]["tokens_per_second"], 0.0)

    def test_each_mutant_is_seen_where_it_is_wrong(self):
        for name, (part, _) in mutants.MUTANTS.items():
            with self.subTest(name):
                faults = report_of("--mixes", 8, "--mutant", name)["faults"]
                self.assertTrue(faults)
                for fault in faults:
                    self.assertRegex(fault, "adapters|" + part if part == "loss" else part)


class Model(unittest.TestCase):
    def test_every_gradient_is_that_of_f64(self):
        spec = models.ModelSpec()
        for mix in (batches.Mix((11, 11), False), batches.Mix((2, 19, 5), True)):
            batch = batches.batch_of(mix, 203)
            plain = batches.for_transformers(batch)
            truth = gradients(models.exact_model(spec), plain)
            beside = gradients(models.plain_model(spec), plain)
            found = gradients(models.our_model(spec), batch)
            self.assertEqual(found.keys(), truth.keys())
            for name, t in truth.items():
                error = lambda x: ((x.double() - t).norm() / t.norm()).item()
                with self.subTest(name, packed=mix.packed):
                    self.assertLessEqual(error(found[name]), 2.0 * error(beside[name]) + 1e-6)

    def test_weights_lie_in_four_bits(self):
        model = models.our_model(models.ModelSpec())
        packed = [m for m in model.modules() if isinstance(m, operators.Nf4Weight)]
        self.assertEqual(len(packed), 14)
        for weight in packed:
            self.assertEqual(weight.packed.numel() * 2, weight.in_features * weight.out_features)
            self.assertFalse(list(weight.parameters()))

    def test_what_the_operators_do_not_do_is_refused(self):
        batch = batches.batch_of(batches.Mix((9, 9), False), 203)
        model = models.our_model(models.ModelSpec())
        with self.assertRaisesRegex(ValueError, "without attention_mask"):
            model(**batch, attention_mask=torch.ones(2, 9, dtype=torch.int64))
        for words, config in (("silu", {"hidden_act": "gelu"}), ("attention dropout", {"attention_dropout": 0.1})):
            changed = models.base_model(models.ModelSpec())
            for name, value in config.items():
                setattr(changed.config, name, value)
            with self.subTest(words), self.assertRaisesRegex(NotImplementedError, words):
                operators.use_operators(changed)
        for words, settings in (("dropout", {"lora_dropout": 0.1}), ("plain LoRA", {"use_dora": True})):
            adapted = get_peft_model(models.base_model(models.ModelSpec()),
                                     LoraConfig(target_modules="all-linear", **settings))
            with self.subTest(words), self.assertRaisesRegex(NotImplementedError, words):
                operators.pack_linears(adapted)


class Batches(unittest.TestCase):
    def test_no_mix_comes_twice(self):
        mixes = batches.distinct_mixes(200, 400)
        self.assertEqual(len(set(mixes)), 200)
        packed = [m.tokens() for m in mixes if m.packed]
        self.assertEqual(len(set(packed)), 100)

    def test_a_packed_batch_says_where_sequences_begin(self):
        batch = batches.batch_of(batches.Mix((3, 2), True), 50)
        self.assertEqual(batch["cu_seq_lens_q"].tolist(), [0, 3, 5])
        self.assertEqual(batch["position_ids"].tolist(), [[0, 1, 2, 0, 1]])
        self.assertEqual((batch["labels"] == operators.IGNORED).tolist(), [[False, False, False, True, False]])


class Verdict(unittest.TestCase):
    GOOD = {"failed": "", "graph_breaks": 0, "graph_break_reasons": [], "graphs": 2, "recompilations_after_warm_up": 0,
            "recompilation_reasons": [], "programs_after_warm_up": 0, "mean_loss": 5.0,
            "loss_rms_error": {"plain": 1e-6, "compiled": 1.9e-6, "uncompiled": 1e-6},
            "adapter_error": {"plain": 1e-5, "compiled": 1.9e-5, "uncompiled": 1e-5},
            "compiled_against_uncompiled": 1e-6}

    def faults(self, **changes):
        return verdict.faults_of(self.GOOD | {"operators": {f"assay.{n}": 1 for n in verdict.OPERATORS}} | changes)

    def test_a_good_report_has_no_fault_and_each_change_one(self):
        self.assertEqual(self.faults(), [])
        nan = float("nan")
        for words, changes in (
                ("no graph breaks", {"graph_breaks": 1}), ("1 to 30 graphs", {"graphs": 31}),
                ("1 to 30 graphs", {"graphs": 0}), ("after warm-up", {"recompilations_after_warm_up": 1}),
                ("program after warm-up", {"programs_after_warm_up": 1}), ("assay.rope inside", {"operators": {
                    f"assay.{n}": n != "rope" for n in verdict.OPERATORS}}),
                ("loss within", {"loss_rms_error": {"plain": 1e-6, "compiled": 2.4e-6, "uncompiled": 0.0}}),
                ("loss within", {"loss_rms_error": {"plain": 1e-6, "compiled": nan, "uncompiled": 0.0}}),
                ("adapters within", {"adapter_error": {"plain": 1e-5, "compiled": 0.0, "uncompiled": 2.1e-5}}),
                ("uncompiled model", {"compiled_against_uncompiled": nan}),
                ("one graph for all lengths", {"failed": "FailOnRecompileLimitHit: …"}),
                ("training without errors", {"failed": "OutOfMemoryError: …"})):
            with self.subTest(words):
                found = self.faults(**changes)
                self.assertEqual(len(found), 1)
                self.assertIn(words, found[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    options, rest = parser.parse_known_args()
    if MISSING:
        print(f"needs {' and '.join(MISSING)}: not installed")
        return SKIPPED
    global LIBRARY
    LIBRARY = options.library
    torch.ops.load_library(LIBRARY)
    program = unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

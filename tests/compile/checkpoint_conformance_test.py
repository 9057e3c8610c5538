# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the compiled step against transformers, peft and bitsandbytes on the CPU.

    python checkpoint_conformance_test.py --probe BUILD/bin/checkpoint_probe

transformers saves tiny models, peft adapters; checkpoint_probe trains from them and saves adapters, which peft loads.
Losses are compared in f32, where both compute the same but for the order of sums.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "llama"))
from llama_conformance_test import ALL, LLAMA3, MISSING, NESTED, SKIPPED, make_model, load_model, weights_in_f32

if not MISSING:
    import torch
    import transformers
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.torch import load_file, save_file


@dataclass
class Case:
    name: str
    dtype: str = "bfloat16"
    config: dict = field(default_factory=dict)
    four_bit: dict | None = None  # as make_model wants it
    quantize: bool = False  # transformers quantizes while it loads, and so does the probe
    lora: dict = field(default_factory=dict)
    shard: str = "1GB"


CASES = (
    Case("bf16_sharded_llama3", config={"rope_parameters": LLAMA3}, shard="100KB"),
    Case("f16_tied", dtype="float16", config={"tie_word_embeddings": True}, lora={"use_rslora": True}),
    Case("f32_some_targets", dtype="float32", lora={"target_modules": ["q_proj", "v_proj", "down_proj"]}),
    Case("nf4_bf16", four_bit=NESTED, config={"rope_parameters": LLAMA3}),
    Case("nf4_f16_tied", dtype="float16", four_bit=NESTED, config={"tie_word_embeddings": True}),
    Case("bf16_quantized_while_loading", quantize=True),
    Case("f16_quantized_while_loading", dtype="float16", quantize=True, shard="100KB"),
)


def model_of(case, folder):
    """As users load it."""
    options = {}
    if case.quantize:
        options["quantization_config"] = transformers.BitsAndBytesConfig(load_in_4bit=True, **NESTED)
    return load_model(folder / "model", **options)


def loss_of(model, tokens, labels):
    """In f32: dense weights as they were stored, 4-bit ones decoded without rounding to the stored type.

    In training mode: otherwise bitsandbytes multiplies in bf16 on CPUs that can."""
    model.train()
    for module in model.modules():
        if state := getattr(getattr(module, "weight", None), "quant_state", None):
            state.dtype = torch.float32
    with torch.no_grad():
        return weights_in_f32(model)(tokens, labels=labels).loss.item()


class CheckpointConformance(unittest.TestCase):
    probe = ""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.home.cleanup)
        root = pathlib.Path(cls.home.name)
        cls.tokens = torch.randint(0, 131, (2, 40), generator=torch.Generator().manual_seed(3407))
        cls.labels = cls.tokens.clone()
        cls.labels[0, 31:] = -100
        save_file({"tokens": cls.tokens, "labels": cls.labels}, root / "tokens.safetensors")
        cls.expected, lines = {}, []
        for case in CASES:
            folder = root / case.name
            for name in ("new", "trained"):
                (folder / name).mkdir(parents=True)
            make_model(case, folder / "model")
            cls.expected[case.name] = loss_of(model_of(case, folder), cls.tokens, cls.labels)
            lora = {"r": 4, "lora_alpha": 12, "target_modules": ALL, "init_lora_weights": False} | case.lora
            model = get_peft_model(model_of(case, folder), LoraConfig(task_type="CAUSAL_LM", **lora))
            model.save_pretrained(folder / "adapter")
            cls.expected[case.name, "adapter"] = loss_of(model, cls.tokens, cls.labels)
            base = " nf4" if case.quantize or case.four_bit else ""
            at = f"{folder}/model {root}/tokens.safetensors {folder}"
            lines += [f"{at}/new{base}", f"{at}/trained{base} adapters={folder}/adapter steps=4"]
        result = subprocess.run([cls.probe], input="\n".join(lines), text=True, capture_output=True, timeout=240)
        if result.returncode:
            raise RuntimeError(f"expected checkpoint_probe to run, found {result.returncode}: {result.stderr}")

    def for_each_case(self, check):
        for case in CASES:
            with self.subTest(case.name):
                folder = pathlib.Path(self.home.name) / case.name
                check(case, folder, *(load_file(folder / name / "numbers.safetensors") for name in ("new", "trained")))

    def near(self, found, expected):
        self.assertLessEqual(abs(found.item() - expected), 2e-5 * expected)

    def test_losses_before_training_are_those_of_transformers_and_peft(self):
        def check(case, _, new, trained):
            self.near(new["before"], self.expected[case.name])
            self.near(trained["before"], self.expected[case.name, "adapter"])
            self.assertGreater(abs(trained["before"] - new["before"]).item(), 0.01)  # the adapter does something

        self.for_each_case(check)

    def test_a_trained_adapter_gives_peft_the_same_loss(self):
        def check(case, folder, new, trained):
            self.assertLess(trained["after"].item(), 0.99 * trained["before"].item())
            model = PeftModel.from_pretrained(model_of(case, folder), folder / "trained/adapter")
            self.near(trained["after"], loss_of(model, self.tokens, self.labels))
            model = PeftModel.from_pretrained(model_of(case, folder), folder / "new/adapter")
            self.near(new["after"], loss_of(model, self.tokens, self.labels))

        self.for_each_case(check)

    def test_adapters_have_the_names_shapes_and_settings_of_peft(self):
        def check(case, folder, *_):
            theirs, ours = (load_file(folder / name / "adapter_model.safetensors") for name in ("adapter", "trained/adapter"))
            self.assertEqual({n: (t.shape, t.dtype) for n, t in theirs.items()}, {n: (t.shape, t.dtype) for n, t in ours.items()})
            theirs, ours = (LoraConfig.from_pretrained(folder / name) for name in ("adapter", "trained/adapter"))
            for key in ("r", "lora_alpha", "use_rslora", "lora_dropout", "bias", "task_type", "fan_in_fan_out"):
                self.assertEqual(getattr(theirs, key), getattr(ours, key), key)
            self.assertEqual(set(theirs.target_modules), set(ours.target_modules))

        self.for_each_case(check)

    def test_weights_quantized_while_loading_have_the_bits_of_bitsandbytes(self):
        """Codes of the absmax depend on its mean, whose last bits depend on torch's number of threads."""

        def check(case, folder, new, _):
            if not case.quantize:
                return
            compared = 0
            for name, module in model_of(case, folder).named_modules():
                if not hasattr(module, "compute_type_is_set"):
                    continue
                buffer = "layers." + name.removeprefix("model.layers.").replace("self_attn.", "").replace("mlp.", "")
                state = module.weight.quant_state
                self.assertTrue(torch.equal(new[buffer], module.weight.data.reshape(-1)), name)
                self.assertAlmostEqual(new[buffer + ".nested_offset"].item(), state.offset.item(), delta=1e-6 * state.offset.item())
                self.assertLessEqual((new[buffer + ".absmax"] != state.absmax.reshape(-1)).sum().item(), 1, name)
                self.assertTrue(torch.allclose(new[buffer + ".nested_absmax"], state.state2.absmax, rtol=1e-5, atol=0), name)
                compared += 1
            self.assertEqual(14, compared)

        self.for_each_case(check)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe", required=True)
    arguments, rest = parser.parse_known_args()
    if MISSING:
        print(f"skipped: expected torch, transformers, peft and bitsandbytes, found no {', '.join(MISSING)}")
        sys.exit(SKIPPED)
    CheckpointConformance.probe = arguments.probe
    unittest.main(argv=[sys.argv[0], *rest])

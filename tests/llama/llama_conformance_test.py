# SPDX-License-Identifier: Apache-2.0
"""reference/llama against transformers, peft and bitsandbytes on the CPU: logits, loss, gradients; adapters both ways.

    python llama_conformance_test.py --probe BUILD/bin/llama_probe

Tiny random models are saved by transformers, adapters by peft; llama_probe loads them. f32: relative error. 16 bits:
the difference against a quarter of the error that 16 bits have in transformers itself, beside the same weights in f32.
(Found with torch 2.11 on AVX-512, 2026-11: equal bits in every tensor of every case.)
"""

import argparse
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass, field

SKIPPED = 77  # ctest's SKIP_RETURN_CODE
MISSING = [name for name in ("torch", "transformers", "peft", "bitsandbytes") if not importlib.util.find_spec(name)]
if not MISSING:
    # One thread: the tensors are tiny, and the sums then have one order on every machine.
    os.environ |= {"OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1", "HF_HUB_OFFLINE": "1",
                   "TOKENIZERS_PARALLELISM": "false"}
    import torch
    import transformers
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.torch import load_file, save_file

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}

NESTED = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}


@dataclass
class Case:
    name: str
    dtype: str = "float32"
    config: dict = field(default_factory=dict)
    four_bit: dict | None = None
    lora: dict = field(default_factory=dict)
    adapter_stored: bool = False  # adapters stay in the model's type instead of f32
    shard: str = "1GB"


CASES = (
    Case("mha", config={"num_key_value_heads": 4}, lora={"target_modules": ["q_proj", "v_proj"]}),
    Case("grouped_tied_llama3", config={"tie_word_embeddings": True, "rope_parameters": LLAMA3, "head_dim": 32}),
    Case("biases_sharded", config={"attention_bias": True, "mlp_bias": True}, lora={"use_rslora": True}, shard="100KB"),
    Case("lm_head", lora={"target_modules": ["o_proj", "lm_head"]}),
    Case("bf16", dtype="bfloat16", config={"rope_parameters": LLAMA3}),
    Case("bf16_adapters_too", dtype="bfloat16", adapter_stored=True, lora={"target_modules": "all-linear"}),
    Case("f16", dtype="float16"),
    Case("nf4_bf16", dtype="bfloat16", four_bit=NESTED | {"bnb_4bit_compute_dtype": "bfloat16"}),
    Case("nf4_bf16_computed_in_f32", dtype="bfloat16", four_bit=NESTED),
    Case("nf4_f32", four_bit=NESTED),
    Case("fp4_single_f32_biases", config={"attention_bias": True}, four_bit={"bnb_4bit_quant_type": "fp4"}),
    Case("nf4_single_f16", dtype="float16",
         four_bit={"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float16"}),
)


def make_model(case, folder):
    """Random weights everywhere, also where the initialisation is 0 or 1; saved, and loaded back as its users would."""
    sizes = {"vocab_size": 131, "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256}
    config = transformers.LlamaConfig(**(sizes | case.config))
    torch.manual_seed(len(case.name))
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.1 + (1.0 if "norm" in name else 0.0))
    model.to(getattr(torch, case.dtype)).save_pretrained(folder, max_shard_size=case.shard)
    if not case.four_bit:
        return load_model(folder)
    four_bit = transformers.BitsAndBytesConfig(load_in_4bit=True, **case.four_bit)
    load_model(folder, quantization_config=four_bit).save_pretrained(folder)
    return load_model(folder)


def load_model(folder, **options):
    return transformers.LlamaForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype="auto", device_map="cpu", **options).train()


def numbers_of(model, tokens, labels):
    """What llama_probe writes, out of transformers."""
    model.zero_grad()
    out = model(tokens, labels=labels)
    numbers = {"logits": out.logits, "loss": out.loss}
    if any(p.requires_grad for p in model.parameters()):
        out.loss.backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                numbers["gradient." + name.replace(".default", "")] = parameter.grad
    return {name: tensor.detach().clone() for name, tensor in numbers.items()}


def error(found, expected):
    """Relative, in f64; NaN and a wrong shape are infinitely wrong."""
    if found.shape != expected.shape:
        return float("inf")
    difference = (found.double() - expected.double()).norm() / expected.double().norm()
    return difference.item() if torch.isfinite(difference) else float("inf")


def weights_in_f32(model):
    """The same model, adapters included, with dense weights and activations in f32; 4-bit weights stay."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.is_floating_point():
                parameter.data = parameter.data.float()
    for module in model.modules():
        if hasattr(module, "compute_type_is_set"):
            module.compute_dtype, module.compute_type_is_set = torch.float32, True
    return model


class Conformance(unittest.TestCase):
    probe = ""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.home.cleanup)
        root = pathlib.Path(cls.home.name)
        generator = torch.Generator().manual_seed(3407)
        cls.tokens = torch.randint(0, 131, (2, 40), generator=generator)
        cls.labels = cls.tokens.clone()
        cls.labels[0, 31:] = -100
        save_file({"tokens": cls.tokens, "labels": cls.labels}, root / "tokens.safetensors")
        cls.expected, lines = {}, []
        for case in CASES:
            folder = root / case.name
            model = make_model(case, folder / "model")
            lora = {"r": 4, "lora_alpha": 12, "target_modules": ALL, "init_lora_weights": False} | case.lora
            model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora),
                                   autocast_adapter_dtype=not case.adapter_stored)
            model.save_pretrained(folder / "adapter", save_embedding_layers="auto")
            cls.expected[case.name] = numbers_of(model, cls.tokens, cls.labels)
            if case.dtype != "float32":
                cls.expected[case.name + " in f32"] = numbers_of(weights_in_f32(model), cls.tokens, cls.labels)
            stored = " --adapter-type=stored" if case.adapter_stored else ""
            at = f"{folder}/model {root}/tokens.safetensors {folder}"
            lines += [f"{at}/out.safetensors --adapter {folder}/adapter{stored}",
                      f"{at}/head.safetensors --train-head", f"{at}/written.safetensors --new-adapter {folder}/written"]
        result = subprocess.run([cls.probe], input="\n".join(lines), text=True, capture_output=True, timeout=120)
        if result.returncode:
            raise RuntimeError(f"expected llama_probe to run, found {result.returncode}: {result.stderr}")

    def numbers_agree(self, case, found, expected, exact=None):
        """Every tensor of `expected` is in `found`; `exact`: the same in f32, for 16-bit cases."""
        self.assertEqual(set(expected), set(found) - {"states"})
        for name, tensor in expected.items():
            limit = 1e-5
            if case.dtype != "float32":
                limit = 0.25 * error(tensor, exact[name]) + 1e-5
            self.assertEqual(tensor.dtype, found[name].dtype, f"{case.name} {name}")
            self.assertLessEqual(error(found[name], tensor), limit, f"{case.name} {name}")

    def for_each_case(self, check):
        for case in CASES:
            with self.subTest(case.name):
                check(case, pathlib.Path(self.home.name) / case.name)

    def test_logits_loss_and_adapter_gradients_agree(self):
        def check(case, folder):
            expected = self.expected[case.name]
            self.assertGreaterEqual(len(expected), 2 + 2 * 3)
            for name, tensor in expected.items():
                self.assertGreater(tensor.abs().max().item(), 0, name)  # a gradient of zeros would agree with anything
            self.numbers_agree(case, load_file(folder / "out.safetensors"), expected,
                               self.expected.get(case.name + " in f32"))

        self.for_each_case(check)

    def test_an_adapter_changes_the_logits(self):
        def check(case, folder):
            with_adapter, without = (load_file(folder / f"{name}.safetensors")["logits"] for name in ("out", "head"))
            self.assertGreater(error(with_adapter, without), 0.1)

        self.for_each_case(check)

    def test_the_gradient_of_a_trainable_head_agrees(self):
        def check(case, folder):
            model, exact = load_model(folder / "model"), None
            model.requires_grad_(False).lm_head.weight.requires_grad_(True)
            if case.config.get("tie_word_embeddings"):
                self.assertIs(model.lm_head.weight, model.model.embed_tokens.weight)
            rename = lambda numbers: {
                ("gradient.lm_head.weight" if n.startswith("gradient") else n): t for n, t in numbers.items()}
            expected = rename(numbers_of(model, self.tokens, self.labels))
            if case.dtype != "float32":
                exact = rename(numbers_of(weights_in_f32(model), self.tokens, self.labels))
            self.numbers_agree(case, load_file(folder / "head.safetensors"), expected, exact)

        self.for_each_case(check)

    def test_an_adapter_written_here_loads_in_peft(self):
        def check(case, folder):
            exact = None
            model = PeftModel.from_pretrained(load_model(folder / "model"), folder / "written", is_trainable=True)
            model.train()
            trainable = [name for name, p in model.named_parameters() if p.requires_grad]
            self.assertEqual(2 * 7 * 2, len(trainable))
            expected = numbers_of(model, self.tokens, self.labels)
            if case.dtype != "float32":
                exact = numbers_of(weights_in_f32(model), self.tokens, self.labels)
            self.numbers_agree(case, load_file(folder / "written.safetensors"), expected, exact)

        self.for_each_case(check)


class Refusals(unittest.TestCase):
    def test_a_model_of_another_kind_is_refused_with_a_message(self):
        with tempfile.TemporaryDirectory() as folder:
            transformers.MistralConfig(vocab_size=8, hidden_size=8).save_pretrained(folder)
            result = subprocess.run([Conformance.probe, folder, "x", "y"], text=True, capture_output=True, timeout=60)
        self.assertEqual(2, result.returncode)
        self.assertIn("key 'model_type': expected \"llama\", found \"mistral\"", result.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe", required=True)
    arguments, rest = parser.parse_known_args()
    if MISSING:
        print(f"skipped: expected torch, transformers, peft and bitsandbytes, found no {', '.join(MISSING)}")
        sys.exit(SKIPPED)
    Conformance.probe = arguments.probe
    unittest.main(argv=[sys.argv[0], *rest])

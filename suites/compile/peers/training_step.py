# SPDX-License-Identifier: Apache-2.0
"""Other people's QLoRA training step: transformers' Llama, bitsandbytes' NF4, peft's LoRA, as it is, under torch.compile,
with checkpointing or with Liger's kernels. suites/compile/training starts it beside the captured step:

    python training_step.py SPEC.json METHOD

Weights are made here from the numbers that the captured step makes its own from (kernels/compile/device/bench), so both
train the same model on the same tokens. Answers are JSON objects, a line each: one when the first three steps are done,
then one for each command read:

    time N        seconds of N further steps, the device waited for at both ends
    train N       losses of N further steps
    peak          bytes that torch had allocated and reserved at most since the warm-up
    adapters FILE writes all adapters as f32, in the order of the specification

Exit status 77: a package is missing, and which.
"""

import importlib.util
import json
import os
import sys
import time
from importlib import metadata

BEGAN = time.perf_counter()
PACKAGES = ["torch", "transformers", "peft", "bitsandbytes"]
METHODS = {"eager", "eager_checkpoint", "torch_compile", "liger", "liger_checkpoint"}
WARM_UP = 3
HASHED_AT_ONCE = 1 << 24


def hashed(begin, end, seed, device):
    """32 random bits for each index, as random_fill.cu has them; int64."""
    mask = 0xFFFFFFFF
    index = torch.arange(begin, end, dtype=torch.int64, device=device)
    x = (index & mask) ^ (((index >> 32) * 0x9E3779B9) & mask)
    x ^= (seed * 0x85EBCA6B) & mask
    x ^= x >> 16
    x = (x * 0x85EBCA6B) & mask
    x ^= x >> 13
    x = (x * 0xC2B2AE35) & mask
    return x ^ (x >> 16)


def in_pieces(count, dtype, device, piece):
    out = torch.empty(count, dtype=dtype, device=device)
    for begin in range(0, count, HASHED_AT_ONCE):
        end = min(begin + HASHED_AT_ONCE, count)
        out[begin:end] = piece(begin, end)
    return out


def random_bytes(count, seed, device):
    return in_pieces(count, torch.uint8, device, lambda b, e: hashed(b, e, seed, device) >> 24)


def uniform(count, low, high, seed, device, dtype=None):
    def piece(begin, end):
        return low + (high - low) * ((hashed(begin, end, seed, device) >> 8).float() * 2.0**-24)
    return in_pieces(count, dtype or torch.float32, device, piece)


class Maker:
    """Weights by their names in the captured step."""

    def __init__(self, spec):
        self.seeds, self.numbers, self.device = spec["seeds"], spec["numbers"], spec["device"]
        self.dtype = getattr(torch, spec["dtype"])

    def dense(self, name, shape, kind):
        low, high = self.numbers[kind]
        return uniform(shape.numel(), low, high, self.seeds[name], self.device, self.dtype).view(shape)

    def nf4(self, name, outputs, inputs):
        """bitsandbytes' parameter over random codes and statistics."""
        from bitsandbytes import functional as bnb
        from bitsandbytes.nn import Params4bit
        count, seed, device = outputs * inputs, self.seeds[name], self.device
        blocks = -(-count // 64)
        low, high = self.numbers["nested_absmax"]
        nested = bnb.QuantState(absmax=uniform(-(-blocks // 256), low, high, seed, device), blocksize=256,
                                code=bnb.create_dynamic_map().to(device), dtype=torch.float32)
        state = bnb.QuantState(absmax=random_bytes(blocks, seed + 0x10000, device), shape=torch.Size((outputs, inputs)),
                               code=bnb.get_4bit_type("nf4", device=device), blocksize=64, quant_type="nf4",
                               dtype=self.dtype, offset=torch.tensor(self.numbers["nested_offset"], device=device),
                               state2=nested)
        return Params4bit(random_bytes(-(-count // 2), seed, device).view(-1, 1), requires_grad=False, quant_state=state,
                          blocksize=64, quant_type="nf4", bnb_quantized=True)


GROUPS = {"qkv": ("self_attn", ["q_proj", "k_proj", "v_proj"]), "o": ("self_attn", ["o_proj"]),
          "gate_up": ("mlp", ["gate_proj", "up_proj"]), "down": ("mlp", ["down_proj"])}


def linears():
    """Module's and linear's names in a layer."""
    return [(module, name) for module, names in GROUPS.values() for name in names]


def base_model(spec, maker):
    import bitsandbytes
    import transformers
    from transformers.models.llama import modeling_llama as llama
    shape = spec["shape"]
    config = transformers.LlamaConfig(
        vocab_size=shape["vocab"], hidden_size=shape["hidden"], intermediate_size=shape["intermediate"],
        num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"], num_key_value_heads=shape["kv_heads"],
        head_dim=shape["head_dim"], tie_word_embeddings=shape["tied"], max_position_embeddings=8192, use_cache=False,
        rope_parameters={"rope_type": "default", "rope_theta": spec["rope_theta"]}, rms_norm_eps=1e-5,
        attn_implementation=spec.get("attention", "sdpa"))
    with torch.device("meta"):
        model = llama.LlamaForCausalLM(config)

    def frozen(tensor):
        return torch.nn.Parameter(tensor, requires_grad=False)

    for i, layer in enumerate(model.model.layers):
        for module, name in linears():
            parent = getattr(layer, module)
            old = getattr(parent, name)
            new = bitsandbytes.nn.Linear4bit(old.in_features, old.out_features, bias=False, compute_dtype=maker.dtype,
                                             quant_type="nf4", device="meta")
            new.weight = maker.nf4(f"layers.{i}.{name}", old.out_features, old.in_features)
            new.weight.module, new.quant_state = new, new.weight.quant_state
            setattr(parent, name, new)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            old = getattr(layer, norm).weight
            getattr(layer, norm).weight = frozen(maker.dense(f"layers.{i}.{norm}", old.shape, "norm"))
    model.model.norm.weight = frozen(maker.dense("norm", model.model.norm.weight.shape, "norm"))
    table = frozen(maker.dense("embed_tokens", model.model.embed_tokens.weight.shape, "matrix"))
    model.model.embed_tokens.weight = table
    model.lm_head.weight = table if shape["tied"] else frozen(
        maker.dense("lm_head", model.lm_head.weight.shape, "matrix"))
    model.model.rotary_emb = llama.LlamaRotaryEmbedding(config).to(maker.device)
    return model


def adapter_parameters(spec, model):
    """In the order of the specification: (parameter, rows of the captured step's buffer or None)."""
    layers = model.base_model.model.model.layers
    rank = spec["rank"]
    for name in spec["adapters"]:
        _, i, group, part = name.split(".")
        if part == "lora_A":
            module, members = GROUPS[group]
            for at, linear in enumerate(members):
                parent = getattr(getattr(layers[int(i)], module), linear)
                yield parent.lora_A["default"].weight, name, slice(at * rank, (at + 1) * rank)
        else:
            module = next(m for m, n in linears() if n == group)
            yield getattr(getattr(layers[int(i)], module), group).lora_B["default"].weight, name, None


def adapted(spec, maker, model):
    from peft import LoraConfig, get_peft_model
    model = get_peft_model(model, LoraConfig(r=spec["rank"], lora_alpha=2 * spec["rank"], lora_dropout=0.0,
                                             target_modules=[n for _, n in linears()], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for parameter, name, rows in adapter_parameters(spec, model):
            if rows is None:
                parameter.zero_()
                continue
            inputs = parameter.shape[1]
            whole = uniform(rows.stop * inputs, -(inputs**-0.5), inputs**-0.5, spec["seeds"][name], maker.device)
            parameter.copy_(whole.view(-1, inputs)[rows])
    return model.train()


class Training:
    def __init__(self, spec, method):
        self.spec, device = spec, spec["device"]
        if method.startswith("liger"):
            from liger_kernel.transformers import apply_liger_kernel_to_llama
            apply_liger_kernel_to_llama()
        maker = Maker(spec)
        self.model = adapted(spec, maker, base_model(spec, maker))
        if method.endswith("checkpoint"):
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            self.model.enable_input_require_grads()
        self.call = torch.compile(self.model) if method == "torch_compile" else self.model
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad],
                                           lr=spec["learning_rate"], weight_decay=spec["weight_decay"],
                                           fused=device == "cuda")
        flat = torch.frombuffer(bytearray(open(spec["tokens"], "rb").read()), dtype=torch.int64)
        self.batches = flat.view(-1, spec["batch"], spec["length"]).to(device)
        if spec.get("reversed"):
            self.batches = self.batches.flip(1)
        self.step_number = 0

    def step(self):
        ids = self.batches[self.step_number % len(self.batches)]
        self.step_number += 1
        loss = self.call(input_ids=ids, labels=ids).loss
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def synchronize(self):
        if self.spec["device"] == "cuda":
            torch.cuda.synchronize()

    def time(self, count):
        self.synchronize()
        began = time.perf_counter()
        for _ in range(int(count)):
            self.step()
        self.synchronize()
        return {"seconds": time.perf_counter() - began}

    def train(self, count):
        return {"losses": torch.stack([self.step() for _ in range(int(count))]).double().tolist()}

    def peak(self):
        if self.spec["device"] != "cuda":
            return {"allocated": 0, "reserved": 0}
        return {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}

    def adapters(self, file):
        with open(file, "wb") as out:
            for parameter, _, _ in adapter_parameters(self.spec, self.model):
                out.write(parameter.detach().float().cpu().numpy().tobytes())
        return {"file": file}

    def began(self):
        losses = [self.step().item()]
        first_step_s = time.perf_counter() - BEGAN
        losses += self.train(WARM_UP - 1)["losses"]
        if self.spec["device"] == "cuda":
            torch.cuda.reset_peak_memory_stats()
        from torch._dynamo.utils import counters
        return {"losses": losses, "first_step_s": first_step_s, "warm_up_s": time.perf_counter() - BEGAN,
                "graphs": counters["stats"].get("unique_graphs", 0), "graph_breaks": sum(counters["graph_break"].values()),
                "versions": {name: metadata.version(name.replace("_kernel", "-kernel")) for name in PACKAGES}}


def main():
    global torch
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print is not an answer
    file, method = sys.argv[1:]
    if method not in METHODS:
        sys.exit(f"expected one of {sorted(METHODS)}, found {method}")
    if method.startswith("liger"):
        PACKAGES.append("liger_kernel")
    missing = [name for name in PACKAGES if not importlib.util.find_spec(name)]

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    if missing:
        answer({"missing": f"needs {' and '.join(missing)}: not installed"})
        sys.exit(77)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    import torch
    with open(file) as text:
        training = Training(json.load(text), method)
    answer(training.began())
    for line in sys.stdin:
        command, *words = line.split()
        answer({"time": training.time, "train": training.train, "peak": training.peak,
                "adapters": training.adapters}[command](*words))


if __name__ == "__main__":
    main()

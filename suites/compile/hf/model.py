# SPDX-License-Identifier: Apache-2.0
"""The Llamas that are trained: random weights of given shapes, peft's LoRA on all linears, and the same model in three
forms: as transformers has it, in f64 throughout, and with torch.ops.assay."""

from dataclasses import dataclass

import torch
import transformers
from peft import LoraConfig, get_peft_model
from peft.tuners import lora
from torch.nn import functional
from transformers.models.llama import modeling_llama as llama

import operators

LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SHAPES = {
    # Nothing is a power of two that need not be; a head size of 24 exists on CPUs alone.
    "tiny": {"vocab_size": 203, "hidden_size": 96, "intermediate_size": 168, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 24, "max_position_embeddings": 512},
    "small": {"vocab_size": 2003, "hidden_size": 512, "intermediate_size": 1344, "num_hidden_layers": 4,
              "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096},
    "llama-3.2-1b": {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                     "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True,
                     "max_position_embeddings": 131072},
    "llama-3.1-8b": {"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                     "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
                     "max_position_embeddings": 131072},
}


@dataclass(frozen=True)
class ModelSpec:
    shape: str = "tiny"
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    rank: int = 4
    seed: int = 3407

    def learning_rate(self):
        """Large models' trainings part ways soon where each step is long."""
        return 2e-3 if self.shape == "tiny" else 5e-4


def base_model(spec):
    """Weights of the given type; spread so that no layer is near the identity."""
    shape = SHAPES[spec.shape]
    rope = LLAMA3 | {"original_max_position_embeddings": min(8192, shape["max_position_embeddings"] // 2)}
    # Without a cache: with one, transformers does not look for packed sequences.
    config = transformers.LlamaConfig(**shape, rope_parameters=rope, initializer_range=0.05, pad_token_id=0,
                                      use_cache=False, attn_implementation="sdpa")
    before = torch.get_default_dtype()
    torch.set_default_dtype(spec.dtype)
    try:
        torch.manual_seed(spec.seed)
        with torch.device(spec.device):
            model = transformers.LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    # The frequencies are f32 whatever the weights are, as from_pretrained leaves them.
    model.model.rotary_emb = llama.LlamaRotaryEmbedding(config).to(spec.device)
    return model


def adapted(spec, model):
    """Adapters as peft makes them beside 16-bit weights (f32), but B random too, so that the first step has every
    gradient."""
    torch.manual_seed(spec.seed + 1)
    settings = LoraConfig(r=spec.rank, lora_alpha=2 * spec.rank, target_modules="all-linear", init_lora_weights=False,
                          task_type="CAUSAL_LM")
    model = get_peft_model(model, settings)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape) * (0.5 / parameter.shape[1]))
    return model.train()


def plain_model(spec):
    """transformers and peft as they are, over the weights that the 4-bit ones decode to."""
    model = adapted(spec, base_model(spec))
    with torch.no_grad():
        for layer in (m for m in model.modules() if type(m) is lora.Linear):
            weight = layer.base_layer.weight
            weight.copy_(operators.Nf4Weight(layer.base_layer).decoded(weight.dtype))
    return model


class ExactNorm(llama.LlamaRMSNorm):
    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


class ExactRotary(llama.LlamaRotaryEmbedding):
    def forward(self, x, position_ids):
        angles = position_ids[..., None].to(x.dtype) * self.inv_freq.to(x.dtype)
        both = torch.cat((angles, angles), -1)
        return both.cos(), both.sin()


class ExactForCausalLM(llama.LlamaForCausalLM):
    def forward(self, labels=None, **kwargs):
        logits = super().forward(**kwargs).logits
        loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return llama.CausalLMOutputWithPast(loss=loss)


EXACT = {llama.LlamaRMSNorm: ExactNorm, llama.LlamaRotaryEmbedding: ExactRotary,
         llama.LlamaForCausalLM: ExactForCausalLM}


def exact_model(spec):
    """The plain model's weights in f64, and without the f32 that transformers has inside."""
    model = plain_model(spec).double()
    causal_lm = next(m for m in model.modules() if type(m) is llama.LlamaForCausalLM)
    frequencies = llama.LlamaRotaryEmbedding(causal_lm.config).inv_freq  # .double() above kept their f32 values
    causal_lm.model.rotary_emb.inv_freq = frequencies.to(spec.device)
    for module in model.modules():
        module.__class__ = EXACT.get(type(module), type(module))
    return model


def our_model(spec, classes=operators.CLASSES):
    """4-bit weights and torch.ops.assay."""
    model = adapted(spec, base_model(spec))
    operators.pack_linears(model)
    return operators.use_operators(model, classes)

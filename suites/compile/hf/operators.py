# SPDX-License-Identifier: Apache-2.0
"""Puts torch.ops.assay into a Hugging Face Llama with peft's LoRA: norms, rotary embedding, attention, SwiGLU, the last
layer with its loss, and linears whose frozen weight lies in NF4.

Modules keep their parameters and names; their classes become subclasses with another forward, so torch.compile traces
plain Python, checkpoints and adapters load as before. What the operators do not do (padding masks, caches, dropout,
other activations, scaled rotary attention, adapters of other kinds) is refused, never skipped.
"""

import torch
from peft.tuners import lora
from torch import nn
from torch.nn import functional
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.llama import modeling_llama as llama

ops = torch.ops.assay
IGNORED = -100
ADAPTER = "default"


class RMSNorm(llama.LlamaRMSNorm):
    def forward(self, hidden_states):
        return ops.rms_norm(hidden_states, self.weight, self.variance_epsilon)


class RotaryEmbedding(llama.LlamaRotaryEmbedding):
    """Nothing is made here: attention gets positions and frequencies, and the operator makes the angles."""

    def forward(self, x, position_ids):
        return position_ids, self.inv_freq


class Attention(llama.LlamaAttention):
    def forward(self, hidden_states, position_embeddings=None, attention_mask=None, past_key_values=None,
                cu_seq_lens_q=None, max_length_q=None, **kwargs):
        if attention_mask is not None or past_key_values is not None:
            raise ValueError("expected neither attention_mask nor past_key_values; give packed lengths as cu_seq_lens_q")
        heads = (*hidden_states.shape[:-1], -1, self.head_dim)
        positions, frequencies = position_embeddings
        q, k, v = (project(hidden_states).view(heads) for project in (self.q_proj, self.k_proj, self.v_proj))
        q, k = ops.rope(q, k, frequencies, positions)
        o = ops.attention(q, k, v, scale=self.scaling, cu_seqlens=cu_seq_lens_q, max_length=max_length_q)
        return self.o_proj(o.flatten(2)), None


class MLP(llama.LlamaMLP):
    def forward(self, x):
        return self.down_proj(ops.swiglu(self.gate_proj(x), self.up_proj(x)))


class DecoderLayer(llama.LlamaDecoderLayer):
    def forward(self, hidden_states, **kwargs):
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **kwargs)
        norm = self.post_attention_layernorm
        hidden_states, normed = ops.add_rms_norm(attended, hidden_states, norm.weight, norm.variance_epsilon)
        return hidden_states + self.mlp(normed)


class ForCausalLM(llama.LlamaForCausalLM):
    """Of input_ids and labels [batch, length] the mean loss of the next tokens; logits are never made as a whole."""

    def forward(self, input_ids=None, labels=None, position_ids=None, attention_mask=None, inputs_embeds=None,
                output_attentions=None, output_hidden_states=None, return_dict=None, **kwargs):
        for name, given in (("attention_mask", attention_mask), ("inputs_embeds", inputs_embeds),
                            ("output_attentions", output_attentions), ("output_hidden_states", output_hidden_states)):
            if given is not None:
                raise ValueError(f"expected a training step without {name}")
        hidden = self.model(input_ids=input_ids, position_ids=position_ids, use_cache=False, **kwargs).last_hidden_state
        targets = functional.pad(labels, (0, 1), value=IGNORED)[:, 1:]
        loss = ops.linear_cross_entropy(hidden, self.lm_head.weight, targets, ignore_index=IGNORED)
        return CausalLMOutputWithPast(loss=loss)


class Nf4Weight(nn.Module):
    """A frozen weight [out_features, in_features] as torch.ops.assay.nf4_quantize stores it."""

    PARTS = ("packed", "absmax", "nested_absmax", "nested_code", "nested_offset")

    def __init__(self, linear):
        super().__init__()
        self.out_features, self.in_features = linear.weight.shape
        for name, tensor in zip(self.PARTS, ops.nf4_quantize(linear.weight.detach())):
            self.register_buffer(name, tensor)
        self.bias = linear.bias

    def options(self):
        return {name: getattr(self, name) for name in self.PARTS[2:]}

    def decoded(self, dtype):
        return ops.nf4_dequantize(self.packed, self.absmax, [self.out_features, self.in_features], dtype, **self.options())


class Nf4LoraLinear(lora.Linear):
    def forward(self, x):
        base = self.base_layer
        return ops.nf4_linear(x, base.packed, base.absmax, base.out_features, bias=base.bias,
                              lora_a=self.lora_A[ADAPTER].weight, lora_b=self.lora_B[ADAPTER].weight,
                              lora_scale=self.scaling[ADAPTER], **base.options())


CLASSES = {llama.LlamaRMSNorm: RMSNorm, llama.LlamaRotaryEmbedding: RotaryEmbedding, llama.LlamaAttention: Attention,
           llama.LlamaMLP: MLP, llama.LlamaDecoderLayer: DecoderLayer, llama.LlamaForCausalLM: ForCausalLM}


def expect(holds, expected, found):
    if not holds:
        raise NotImplementedError(f"expected {expected}, found {found}")


def check_model(causal_lm):
    config = causal_lm.config
    expect(config.hidden_act == "silu", "the activation silu", config.hidden_act)
    expect(config.attention_dropout == 0.0, "no attention dropout", config.attention_dropout)
    scaling = causal_lm.model.rotary_emb.attention_scaling
    expect(scaling == 1.0, "rotary embeddings whose cos and sin are not scaled", scaling)
    kind = causal_lm.model.rotary_emb.rope_type
    expect("dynamic" not in kind and kind != "longrope", "frequencies that do not depend on lengths", kind)
    expect(type(causal_lm.lm_head) is nn.Linear and causal_lm.lm_head.bias is None,
           "a plain lm_head without bias or adapter", type(causal_lm.lm_head))


def check_adapter(name, layer):
    expect(list(layer.lora_A) == [ADAPTER] and not layer.lora_variant, f"one plain LoRA adapter on {name}",
           [*layer.lora_A, *layer.lora_variant])
    expect(isinstance(layer.lora_dropout[ADAPTER], nn.Identity), f"no dropout on {name}", layer.lora_dropout[ADAPTER])
    expect(not layer.merged and not layer.disable_adapters, f"the adapter of {name} active and not merged", "another")
    expect(layer.lora_B[ADAPTER].bias is None, f"no bias in the adapter of {name}", "one")


def pack_linears(model):
    """Stores the frozen weight under each of peft's LoRA linears in NF4; how many."""
    layers = [(name, m) for name, m in model.named_modules() if type(m) is lora.Linear]
    for name, layer in layers:
        check_adapter(name, layer)
        layer.base_layer = Nf4Weight(layer.base_layer)
        layer.__class__ = Nf4LoraLinear
    return len(layers)


def use_operators(model, classes=CLASSES):
    """`model`: LlamaForCausalLM, or peft's model around one. Changes it in place."""
    causal_lm = next(m for m in model.modules() if isinstance(m, llama.LlamaForCausalLM))
    check_model(causal_lm)
    # A name that transformers has no mask for: it then makes none.
    causal_lm.config._attn_implementation = "assay"
    for module in model.modules():
        module.__class__ = classes.get(type(module), type(module))
    return model

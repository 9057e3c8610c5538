# SPDX-License-Identifier: Apache-2.0
"""Wrong ways to put the operators into a Llama. Each must be seen by verdict.faults_of, in the part that it names."""

import torch
from transformers.models.llama import modeling_llama as llama

import operators
from operators import ops


class NormThatAsksTheHost(operators.RMSNorm):
    def forward(self, hidden_states):
        if hidden_states.abs().max().item() == 0.0:
            return hidden_states
        return super().forward(hidden_states)


@torch.compiler.disable
def swiglu_outside(gate, up):
    return ops.swiglu(gate, up)


class MlpOutsideTheGraph(operators.MLP):
    def forward(self, x):
        return self.down_proj(swiglu_outside(self.gate_proj(x), self.up_proj(x)))


class AttentionByLength(operators.Attention):
    """Keeps something for each length it has met, as a table of masks would be."""
    kept = {}

    def forward(self, hidden_states, **kwargs):
        shift = self.kept.get(hidden_states.shape[1], 0.0)
        return super().forward(hidden_states + shift, **kwargs)


class MlpInPairs(operators.MLP):
    """Another path where the length is even."""

    def forward(self, x):
        return super().forward(x if x.shape[1] % 2 else x.clone())


class AttentionAcrossSequences(operators.Attention):
    def forward(self, hidden_states, cu_seq_lens_q=None, **kwargs):
        return super().forward(hidden_states, **kwargs)


class FrequenciesNotScaled(operators.RotaryEmbedding):
    """Without Llama 3's scaling of the slow ones."""

    def forward(self, x, position_ids):
        return position_ids, llama.LlamaRotaryEmbedding.compute_default_rope_parameters(self.config)[0].to(x.device)


class LossOfTheSameToken(operators.ForCausalLM):
    def forward(self, labels=None, **kwargs):
        shifted = torch.nn.functional.pad(labels, (1, 0), value=operators.IGNORED)[:, :-1]
        return super().forward(labels=shifted, **kwargs)


class NormInSixteenBits(operators.RMSNorm):
    """The sum of squares loses what bf16 cannot hold."""

    def forward(self, x):
        mean = x.to(torch.bfloat16).pow(2).mean(-1, keepdim=True)
        return (x * torch.rsqrt(mean.to(x.dtype) + self.variance_epsilon)) * self.weight + 0.0 * super().forward(x)


def swapped(original, mutant):
    return operators.CLASSES | {original: mutant}


MUTANTS = {
    "host_asked": ("graph breaks", swapped(llama.LlamaRMSNorm, NormThatAsksTheHost)),
    "mlp_outside_the_graph": ("graph breaks", swapped(llama.LlamaMLP, MlpOutsideTheGraph)),
    "specialized_on_length": ("warm-up", swapped(llama.LlamaAttention, AttentionByLength)),
    "path_for_even_lengths": ("warm-up", swapped(llama.LlamaMLP, MlpInPairs)),
    "attention_across_sequences": ("loss", swapped(llama.LlamaAttention, AttentionAcrossSequences)),
    "frequencies_not_scaled": ("loss", swapped(llama.LlamaRotaryEmbedding, FrequenciesNotScaled)),
    "loss_of_the_same_token": ("loss", swapped(llama.LlamaForCausalLM, LossOfTheSameToken)),
    "norm_in_16_bits": ("loss", swapped(llama.LlamaRMSNorm, NormInSixteenBits)),
    "norm_left_as_it_was": ("assay.rms_norm", {k: v for k, v in operators.CLASSES.items() if k is not llama.LlamaRMSNorm}),
}

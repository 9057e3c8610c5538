# SPDX-License-Identifier: Apache-2.0
"""Other people's attention, on the tensors of a case: what suites/compile/attention/impl_peers.cpp calls.

prepare(name, inputs, outputs, parameters) returns a function of nothing that does one call, forward or backward alone.
Where parameters["into"], it reads what changed in the inputs since then and copies its results into `outputs`;
otherwise, as it is timed, backward goes on from the forward pass that was made here, as in a training step.
"""

from importlib import metadata

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {"sdpa_cudnn": SDPBackend.CUDNN_ATTENTION, "sdpa_flash": SDPBackend.FLASH_ATTENTION}


def version(name):
    text = f"torch {metadata.version('torch')}"
    if name == "sdpa_cudnn":
        return f"{text}, cuDNN {torch.backends.cudnn.version()}"
    return f"{text}, triton {metadata.version('triton')}" if name == "triton_flex" else text


def heads_of(rows, p):
    """[N, heads * d] as [B, heads, S, d]; packed sequences as one."""
    sequences = 1 if p["packed"] else rows.shape[0] // p["length"]
    return rows.view(sequences, rows.shape[0] // sequences, -1, p["head_dim"]).transpose(1, 2)


def like_lse(lse, sequences):
    """[B, h, S], or packed [h, N], as [B, h, S]."""
    return lse.view(sequences, -1, lse.shape[-1])


def packed_documents(starts):
    rows = torch.arange(int(starts[-1]), dtype=torch.int32, device=starts.device)
    return torch.bucketize(rows, starts[1:], right=True).view(1, -1)


def mods_of(t, p):
    """score_mod and mask_mod as FlexAttention takes them; None: not there."""
    mod, score_mod = p["mod"], None
    documents = packed_documents(t["starts"]) if p["packed"] else t.get("documents")
    if mod == "softcap":
        cap = p["softcap"]

        def score_mod(score, b, h, i, j):
            return cap * torch.tanh(score / cap)
    if mod == "alibi":
        slopes = t["slopes"]

        def score_mod(score, b, h, i, j):
            return score + slopes[h] * (j - i)
    if mod == "none":
        return None, None

    def mask_mod(b, h, i, j):
        return i >= j
    if mod == "window":
        window = p["window"]

        def mask_mod(b, h, i, j):
            return (i >= j) & (i - j <= window)
    if mod == "prefix":
        prefixes = t["prefixes"]

        def mask_mod(b, h, i, j):
            return (i >= j) | (j < prefixes[b])
    if documents is None:
        return score_mod, mask_mod
    inside = mask_mod
    return score_mod, lambda b, h, i, j: inside(b, h, i, j) & (documents[b, i] == documents[b, j])


def flex(t, p):
    """attention(q, k, v) -> o, lse. Compiled anew for every case; falling back to eager is an error, not a slow call."""
    import torch._dynamo.config as dynamo
    import torch._functorch.config as functorch
    from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention
    dynamo.recompile_limit = dynamo.accumulated_recompile_limit = 1 << 20
    functorch.donated_buffer = False  # backward is called more than once
    q = heads_of(t["q"], p)
    score_mod, mask_mod = mods_of(t, p)
    block_mask = None
    if mask_mod is not None:
        by_sequence = q.shape[0] if p["mod"] in ("document", "prefix") else None
        block_mask = create_block_mask(mask_mod, by_sequence, None, q.shape[2], q.shape[2], device=q.device)
    aux = AuxRequest(lse=True)

    @torch.compile(fullgraph=True, dynamic=False)
    def attention(q, k, v):
        o, extra = flex_attention(q, k, v, score_mod=score_mod, block_mask=block_mask, scale=p["scale"],
                                  enable_gqa=True, return_aux=aux)
        return o, extra.lse.detach()  # nobody differentiates it
    return attention


def sdpa(name, p):
    def attention(q, k, v):
        with torch.enable_grad(), sdpa_kernel(BACKENDS[name]):  # without gradients nobody makes lse
            o = functional.scaled_dot_product_attention(
                *(x if x.requires_grad else x.detach().requires_grad_() for x in (q, k, v)), is_causal=p["mod"] == "causal", scale=p["scale"],
                enable_gqa=True)
        return o, o.grad_fn._saved_logsumexp
    return attention


def forward(attention, t, outputs, p):
    q, k, v = (heads_of(t[side], p) for side in ("q", "k", "v"))

    @torch.no_grad()
    def call():
        o, lse = attention(q, k, v)
        if p["into"]:
            heads_of(outputs["o"], p).copy_(o.detach())
            like_lse(outputs["lse"], q.shape[0]).copy_(lse.detach().view(q.shape[:3]))
    return call


def kept_like(node, value):
    """What backward kept of the forward pass that is `value`, up to another order of the sums."""
    kept = [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
    kept += getattr(node, "saved_tensors", ())
    for tensor in kept:
        if isinstance(tensor, torch.Tensor) and tensor.dtype == value.dtype and tensor.numel() == value.numel():
            if torch.allclose(tensor.reshape(value.shape), value, rtol=1e-3, atol=1e-3):
                return tensor
    raise RuntimeError("expected backward to keep o and lse, found neither among its saved tensors")


def backward(attention, t, outputs, p):
    """The node of the forward pass, called by hand: autograd's engine would leave the stream that is judged."""
    leaves = [heads_of(t[side], p).detach().requires_grad_() for side in ("q", "k", "v")]
    d_o, o = heads_of(t["d_o"], p), heads_of(t["o"], p)
    with torch.enable_grad():
        made, lse = attention(*leaves)
    node, given_lse = made.grad_fn, like_lse(t["lse"], o.shape[0])
    kept_o = kept_like(node, made.detach())
    # FlexAttention keeps lse to base 2.
    unit = 1.0 if hasattr(node, "_saved_logsumexp") else 1.0 / float(torch.log(torch.tensor(2.0)))
    kept_lse = kept_like(node, lse.detach() * unit)
    rest = [None] * (len(node._input_metadata) - 1)
    compiled = hasattr(node, "saved_tensors")

    @torch.no_grad()
    def call():
        if p["into"]:
            kept_o.data.copy_(o)
            kept_lse.data.copy_((given_lse * unit).view(kept_lse.shape))
        gradients = node.apply(d_o, *rest) if compiled else node(d_o, *rest)
        if p["into"]:
            dq, dk, dv = (gradient for gradient in gradients if gradient is not None)
            for output, gradient in (("dq", dq), ("dk", dk), ("dv", dv)):
                heads_of(outputs[output], p).copy_(gradient)
    call.keeps = made  # whose end would be the end of what it saved
    call()  # compiles
    if t["q"].is_cuda:
        torch.cuda.synchronize()
    return call


def prepare(name, inputs, outputs, parameters):
    attention = flex(inputs, parameters) if name == "triton_flex" else sdpa(name, parameters)
    return (backward if parameters["backward"] else forward)(attention, inputs, outputs, parameters)

# SPDX-License-Identifier: Apache-2.0
"""Other people's last linear layer with loss, on the tensors of a case: what suites/backprop/impl_peers.cpp calls.

prepare(name, inputs, outputs, parameters) returns a function of nothing that does one call: loss, gradients of
upstream * loss for hidden states and (unless frozen) weight, copied into `outputs` where parameters["into"].
"""

from importlib import metadata

import torch
from torch.nn import functional

PACKAGES = {"liger": "liger_kernel", "liger_grpo": "liger_kernel", "cce": "cut_cross_entropy",
            "cce_exact": "cut_cross_entropy", "quack": "quack-kernels"}


def version(name):
    package = PACKAGES.get(name, "torch")
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # a source tree on the path has no metadata
        __import__(package.replace("-", "_"))
        return f"{package} of unknown version"


def eager(hidden, weight, labels):
    return functional.cross_entropy((hidden @ weight.T).float(), labels)


def compiled():
    # A first backward that is traced finds an autograd engine without queues for devices (torch 2.11, embedded).
    if torch.cuda.is_available():
        torch.ones((), device="cuda", requires_grad=True).backward()
    return torch.compile(eager)


def liger():
    from liger_kernel.transformers.fused_linear_cross_entropy import LigerFusedLinearCrossEntropyLoss
    loss = LigerFusedLinearCrossEntropyLoss()
    return lambda hidden, weight, labels: loss(weight, hidden, labels)


def cce(impl):
    from cut_cross_entropy import linear_cross_entropy

    def loss(hidden, weight, labels):
        if hidden.dtype not in (torch.float16, torch.bfloat16):
            raise NotImplementedError(f"cut cross entropy takes 16-bit hidden states, found {hidden.dtype}")
        return linear_cross_entropy(hidden, weight, labels, impl=impl)
    return loss


def quack():
    from quack.linear_cross_entropy import chunked_linear_cross_entropy
    return lambda hidden, weight, labels: chunked_linear_cross_entropy(hidden, weight, labels, reduction="mean")


CROSS_ENTROPY = {"eager": lambda: eager, "torch_compile": compiled, "liger": liger, "cce": lambda: cce("cce"),
                 "cce_exact": lambda: cce("cce_exact"), "quack": quack}


def liger_grpo(inputs, parameters):
    """Liger's GRPO with the reference policy's head, per-sequence normalisation, as the case has it."""
    from liger_kernel.chunked_loss import LigerFusedLinearGRPOLoss
    loss = LigerFusedLinearGRPOLoss(beta=parameters["kl_coefficient"], epsilon_low=parameters["clip_low"],
                                    epsilon_high=parameters["clip_high"], loss_type="grpo",
                                    use_ref_model="teacher_hidden" in inputs,
                                    temperature=parameters["temperature"])
    tokens, mask = inputs["tokens"], inputs["mask"].bool()
    shape = (*tokens.shape, -1)
    rest = {"ref_input": inputs["teacher_hidden"].view(shape), "ref_weight": inputs["teacher_weight"]} \
        if "teacher_hidden" in inputs else {"ref_per_token_logps": inputs.get("reference_logp")}

    def call(hidden, weight):
        return loss(hidden.view(shape), weight, tokens, mask, inputs["advantages"],
                    old_per_token_logps=inputs.get("old_logp"), **rest)[0]
    return call


def prepare(name, inputs, outputs, parameters):
    differentiated = ["hidden"] if parameters["frozen"] else ["hidden", "weight"]
    leaves = {side: inputs[side].detach().requires_grad_(side in differentiated) for side in ("hidden", "weight")}
    if name == "liger_grpo":
        loss_of = liger_grpo(inputs, parameters)
    else:
        cross_entropy = CROSS_ENTROPY[name]()
        def loss_of(hidden, weight):
            return cross_entropy(hidden, weight, inputs["labels"])
    upstream = inputs["upstream"].view(())

    def call():
        loss = loss_of(leaves["hidden"], leaves["weight"])
        gradients = torch.autograd.grad(loss, [leaves[side] for side in differentiated], upstream.to(loss.dtype))
        if parameters["into"]:
            outputs["loss"].copy_(loss.detach().view(1))
            for side, gradient in zip(differentiated, gradients):
                outputs["grad_" + side].copy_(gradient)
    return call

# SPDX-License-Identifier: Apache-2.0
"""Training steps over a list of batches, and how losses and adapters of two trainings are compared."""

import time

import torch

LEARNING_RATE = 2e-3


def adapters(model):
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def train(model, call, batches, after_step=lambda step: None):
    """AdamW on the adapters; `call` is the model or the model compiled. The loss of every step."""
    optimizer = torch.optim.AdamW(adapters(model).values(), lr=LEARNING_RATE, weight_decay=0.01)
    losses = []
    for step, batch in enumerate(batches):
        loss = call(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        after_step(step)
    return torch.stack(losses).double().cpu()


def rms(values):
    """Infinite where a value is not a number."""
    return values.pow(2).mean().sqrt().item() if values.isfinite().all() else float("inf")


def loss_difference(losses, truth):
    return rms(losses - truth)


def adapter_difference(model, truth):
    """Over all adapters together, relative to how large they are."""
    found, expected = (torch.cat([p.detach().double().flatten() for p in adapters(m).values()]) for m in (model, truth))
    difference = (found.to(expected.device) - expected).norm() / expected.norm()
    return difference.item() if difference.isfinite() else float("inf")


def timed(model, call, batches, device):
    """Tokens a second and the most memory over one more pass of the batches."""
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    synchronize()
    began = time.perf_counter()
    train(model, call, batches)
    synchronize()
    seconds = time.perf_counter() - began
    out = {"tokens_per_second": sum(b["input_ids"].numel() for b in batches) / seconds}
    if device == "cuda":
        out["peak_bytes"] = torch.cuda.max_memory_allocated()
    return out

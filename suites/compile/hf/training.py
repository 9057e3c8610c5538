# SPDX-License-Identifier: Apache-2.0
"""Training steps over a list of batches, and how losses and adapters of two trainings are compared."""

import time

import torch

def adapters(model):
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def train(model, call, batches, rate, after_step=lambda step: None):
    """AdamW on the adapters; `call` is the model or the model compiled. The loss of every step."""
    optimizer = torch.optim.AdamW(adapters(model).values(), lr=rate, weight_decay=0.01)
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


def bytes_of(model):
    return sum(t.nbytes for t in (*model.parameters(), *model.buffers()))


def timed(model, call, batches, device):
    """Tokens a second over one more pass of the batches, and on a GPU the most memory the training held: other tensors
    that lie there meanwhile are not counted."""
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        others = torch.cuda.memory_allocated() - bytes_of(model)
    synchronize()
    began = time.perf_counter()
    train(model, call, batches, 1e-4)
    synchronize()
    seconds = time.perf_counter() - began
    out = {"tokens_per_second": sum(b["input_ids"].numel() for b in batches) / seconds}
    if device == "cuda":
        out["peak_bytes"] = torch.cuda.max_memory_allocated() - others
    return out

# SPDX-License-Identifier: Apache-2.0
"""Batches of tokens whose lengths never repeat: rectangles [batch, length], and packed rows [1, tokens] of sequences of
mixed lengths."""

from dataclasses import dataclass

import torch

from operators import IGNORED


@dataclass(frozen=True)
class Mix:
    """`rows` rectangles' rows of one length, or one row of packed sequences."""
    lengths: tuple
    packed: bool

    def tokens(self):
        return sum(self.lengths)


def distinct_mixes(count, longest, seed=3407):
    """Every second one packed. Lengths from 2 on, most of them multiples of nothing; no mix and no number of tokens of a
    packed row comes twice."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda low, high: int(torch.randint(low, high + 1, (), generator=generator))
    mixes, seen = [], set()
    while len(mixes) < count:
        if len(mixes) % 2:
            mix = Mix(tuple(draw(2, longest // 2) for _ in range(draw(2, 6))), True)
            key = mix.tokens()
        else:
            mix = Mix((draw(2, longest),) * draw(2, 4), False)
            key = mix.lengths
        if key not in seen:
            seen.add(key)
            mixes.append(mix)
    return mixes


def tokens_of(mix, vocab, device, seed):
    """A sequence that can be learned: each token follows from the one before, with some noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(3, (mix.tokens(),), generator=generator)
    return (torch.cumsum(7 + noise, 0) % (vocab - 1) + 1).to(device)


def batch_of(mix, vocab, device="cpu", seed=0):
    """Keyword arguments of a model's forward, of transformers' own names."""
    tokens = tokens_of(mix, vocab, device, seed)
    if not mix.packed:
        rows = tokens.view(len(mix.lengths), -1)
        return {"input_ids": rows, "labels": rows.clone()}
    starts = torch.tensor((0, *mix.lengths)).cumsum(0)
    labels = tokens.clone()
    labels[starts[1:-1]] = IGNORED  # no sequence predicts the first token of the next
    positions = torch.cat([torch.arange(length) for length in mix.lengths])
    return {"input_ids": tokens.unsqueeze(0), "labels": labels.unsqueeze(0),
            "position_ids": positions.to(device).unsqueeze(0),
            "cu_seq_lens_q": starts.to(device, torch.int32)}


def for_transformers(batch):
    """transformers finds packed sequences in the positions; lengths are for its flash attention alone."""
    return {name: value for name, value in batch.items() if name != "cu_seq_lens_q"}

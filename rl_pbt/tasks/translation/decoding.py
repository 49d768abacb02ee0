"""Greedy translation by a population, sub-word by sub-word, with cached keys and values.

All members translate the same sentences in the same batches, which depend on the sentences alone. So a member translates as it
would alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rl_pbt.agents.networks import Weights
from rl_pbt.tasks.translation.dropping import nothing_dropped
from rl_pbt.tasks.translation.material import padded
from rl_pbt.tasks.translation.sub_words import BEGIN, END, PAD
from rl_pbt.tasks.translation.transformer import (
    DECODER,
    Shape,
    attention,
    embedded,
    encoded,
    fed_forward,
    linear,
    normed,
    output_logits,
    padding,
    queries_keys_values,
)

TOGETHER = 64  # sentences in a batch
LONGER, MORE = 1.5, 5  # a translation ends after so many times its batch's longest source in sub-words, plus so many


@torch.no_grad()
def translated(
    weights: Weights, shape: Shape, sources: Sequence[Sequence[int]], alive: Callable[[], None] = lambda: None
) -> list[list[list[int]]]:
    """For each member, a translation of each source. All are sub-words, without begin and end marks."""
    members = len(weights["embedding"])
    found: list[list[list[int]]] = [[[] for _ in sources] for _ in range(members)]
    by_length = sorted(range(len(sources)), key=lambda index: (len(sources[index]), index))
    for start in range(0, len(sources), TOGETHER):
        places = by_length[start : start + TOGETHER]
        numbers = torch.from_numpy(padded([sources[place] for place in places])).expand(members, -1, -1)
        for member, rows in enumerate(_batch(weights, shape, numbers, alive).tolist()):
            for place, row in zip(places, rows, strict=True):
                found[member][place] = row[: row.index(END)] if END in row else row
    return found


def _batch(weights: Weights, shape: Shape, sources: Tensor, alive: Callable[[], None]) -> Tensor:
    """[P, B, S] -> [P, B, T]; what follows an END means nothing."""
    memory, unseen = encoded(weights, shape, sources, nothing_dropped), padding(sources)
    # By layer, the cached keys and values side by side: [P, B, T, 2 width].
    kept = [torch.empty(*sources.shape[:2], 0, 2 * shape.width) for _ in range(shape.layers)]
    newest = torch.full((*sources.shape[:2], 1), BEGIN)
    ended = torch.zeros(newest.shape, dtype=torch.bool)
    chosen = []
    for place in range(int(LONGER * sources.shape[2]) + MORE):
        alive()
        x = embedded(weights, newest, place)
        for layer in range(shape.layers):
            name = f"{DECODER}.{layer}"
            query, key, value = queries_keys_values(weights, f"{name}.self", normed(weights, f"{name}.self_norm", x))
            kept[layer] = torch.cat([kept[layer], torch.cat([key, value], -1)], 2)
            keys, values = kept[layer].chunk(2, -1)
            x = x + attention(weights, f"{name}.self", shape.heads, query, keys, values, x.new_zeros(()), nothing_dropped)
            query = linear(weights, f"{name}.cross.query", normed(weights, f"{name}.cross_norm", x))
            x = x + attention(weights, f"{name}.cross", shape.heads, query, *memory[layer], unseen, nothing_dropped)
            x = x + fed_forward(weights, name, x, nothing_dropped)
        logits = output_logits(weights, normed(weights, f"{DECODER}.norm", x).flatten(1, 2))
        newest = logits.argmax(-1)[..., None].masked_fill(ended, PAD)
        chosen.append(newest)
        ended |= newest == END
        if ended.all():
            break
    return torch.cat(chosen, 2)

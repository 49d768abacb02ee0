"""The network, its dropout, its decoding and its score, each against something plain."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rl_pbt.tasks.translation.batches import Batch, Order, buckets_of
from rl_pbt.tasks.translation.bleu import Bleu, signature
from rl_pbt.tasks.translation.decoding import LONGER, MORE, translated
from rl_pbt.tasks.translation.dropping import KINDS, Dropout, nothing_dropped
from rl_pbt.tasks.translation.material import Sentences, padded
from rl_pbt.tasks.translation.members import Translators
from rl_pbt.tasks.translation.smoothing import smoothed_loss
from rl_pbt.tasks.translation.sub_words import BEGIN, END, PAD
from rl_pbt.tasks.translation.transformer import Shape, first_weights, logits, positions

SHAPE = Shape(vocabulary=23, width=16, heads=2, feedforward=24, layers=2)
SMOOTHING = 0.1
RATES = {"attention": [0.0, 0.3, 0.1], "residual": [0.2, 0.1, 0.0], "relu": [0.1, 0.0, 0.4], "embedding": [0.1, 0.2, 0.3]}


def sentences(number: int = 40, longest: int = 9, seed: int = 0) -> Sentences:
    rng = np.random.default_rng(seed)
    sides = [[rng.integers(4, 23, size=rng.integers(2, longest)).tolist() for _ in range(number)] for _ in range(2)]
    return Sentences(sources=padded(sides[0]), targets=padded(sides[1]))


def batch(members: int = 3, size: int = 5) -> Batch:
    """Of other sentences for each member, padded to one length."""
    some = [sentences(size, seed=member) for member in range(members)]
    width = max(one.sources.shape[1] for one in some), max(one.targets.shape[1] for one in some)

    def wide(rows: np.ndarray, to: int) -> np.ndarray:
        return np.pad(rows, [(0, 0), (0, to - rows.shape[1])], constant_values=PAD)

    return Batch(
        sources=np.stack([wide(one.sources, width[0]) for one in some]),
        targets=np.stack([wide(one.targets, width[1]) for one in some]),
    )


class Plain(nn.Module):
    """One Transformer, of torch's own parts."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, wide = shape.width, shape.feedforward
        self.heads = shape.heads
        self.embedding = nn.Embedding(shape.vocabulary, width)
        self.parts = nn.ModuleDict()
        for stack in ("encoder", "decoder"):
            for layer in range(shape.layers):
                for look in ("self", "cross") if stack == "decoder" else ("self",):
                    self.parts[f"{stack} {layer} {look}"] = nn.MultiheadAttention(
                        width, shape.heads, bias=False, batch_first=True
                    )
                    self.parts[f"{stack} {layer} {look}_norm"] = nn.LayerNorm(width)
                self.parts[f"{stack} {layer} feedforward_norm"] = nn.LayerNorm(width)
                self.parts[f"{stack} {layer} hidden"] = nn.Linear(width, wide)
                self.parts[f"{stack} {layer} output"] = nn.Linear(wide, width)
            self.parts[f"{stack} norm"] = nn.LayerNorm(width)
        self.layers = shape.layers

    def places(self) -> dict[str, tuple[Tensor, bool]]:
        """Our name of a weight -> theirs, and whether it is the other way round."""
        found = {"embedding": (self.embedding.weight, False)}
        for name, part in self.parts.items():
            ours = name.replace(" ", ".")
            if isinstance(part, nn.MultiheadAttention):
                width = part.embed_dim
                found[f"{ours}.out.weight"] = (part.out_proj.weight, True)
                if name.endswith("cross"):
                    found[f"{ours}.query.weight"] = (part.in_proj_weight[:width], True)
                    found[f"{ours}.kv.weight"] = (part.in_proj_weight[width:], True)
                else:
                    found[f"{ours}.qkv.weight"] = (part.in_proj_weight, True)
            else:
                found[f"{ours}.weight"] = (part.weight, isinstance(part, nn.Linear))
                found[f"{ours}.bias"] = (part.bias, False)
        return found

    def load(self, weights: Mapping[str, Tensor]) -> None:
        assert weights.keys() == self.places().keys()
        with torch.no_grad():
            for name, (theirs, turned) in self.places().items():
                theirs.copy_(weights[name].T if turned else weights[name])

    def gradients(self) -> dict[str, Tensor]:
        """By our names, in our form."""
        found = {}
        for name, (theirs, turned) in self.places().items():
            if theirs.is_leaf:
                whole = theirs.grad
            else:  # a slice of a weight that has it
                part = self.parts[name.rpartition(".")[0].rpartition(".")[0].replace(".", " ")].in_proj_weight.grad
                width = part.shape[1]
                whole = part[:width] if "query" in name else part[width:]
            found[name] = whole.T if turned else whole
        return found

    def forward(self, sources: Tensor, before: Tensor) -> Tensor:
        def embedded(numbers: Tensor) -> Tensor:
            width = self.embedding.embedding_dim
            return self.embedding(numbers) * math.sqrt(width) + positions(numbers.shape[1], width)

        def sub_layers(x: Tensor, stack: str, layer: int, memory: Tensor | None) -> Tensor:
            name = f"{stack} {layer}"
            length = x.shape[1]
            ahead = torch.ones(length, length).triu(1).bool() if memory is not None else None
            unseen = sources == PAD
            y = self.parts[f"{name} self_norm"](x)
            mask = {"attn_mask": ahead} if memory is not None else {"key_padding_mask": unseen}
            x = x + self.parts[f"{name} self"](y, y, y, need_weights=False, **mask)[0]
            if memory is not None:
                y = self.parts[f"{name} cross_norm"](x)
                x = x + self.parts[f"{name} cross"](y, memory, memory, key_padding_mask=unseen, need_weights=False)[0]
            y = self.parts[f"{name} feedforward_norm"](x)
            return x + self.parts[f"{name} output"](self.parts[f"{name} hidden"](y).relu())

        x = embedded(sources)
        for layer in range(self.layers):
            x = sub_layers(x, "encoder", layer, None)
        memory = self.parts["encoder norm"](x)
        x = embedded(before)
        for layer in range(self.layers):
            x = sub_layers(x, "decoder", layer, memory)
        return F.linear(self.parts["decoder norm"](x), self.embedding.weight)


def plain(weights: Mapping[str, Tensor]) -> Plain:
    made = Plain(SHAPE)
    made.load(weights)
    return made


def of(weights: Mapping[str, Tensor], member: int) -> dict[str, Tensor]:
    return {name: weight.detach()[member] for name, weight in weights.items()}


def before_of(targets: Tensor) -> Tensor:
    return torch.cat([torch.full((len(targets), 1), BEGIN), targets[:, :-1]], 1)


def test_losses_and_gradients_are_those_of_a_plain_transformer() -> None:
    members, some = Translators(SHAPE, [5, 6, 7], SMOOTHING), batch()
    losses = members.loss(some, nothing_dropped)
    losses.sum().backward()
    for p in range(3):
        single = plain(of(members.weights, p))
        sources, targets = torch.from_numpy(some.sources[p]), torch.from_numpy(some.targets[p])
        logits = single(sources, before_of(targets))
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD, label_smoothing=SMOOTHING)
        loss.backward()
        torch.testing.assert_close(losses[p], loss, rtol=1e-5, atol=1e-6)
        for name, gradient in single.gradients().items():
            torch.testing.assert_close(members.weights[name].grad[p], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_the_smoothed_loss_has_the_gradient_that_differences_show() -> None:
    logits = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1, 2, PAD, 4], [3, PAD, PAD, PAD]])
    assert torch.autograd.gradcheck(lambda x: smoothed_loss(x, labels, 0.2), (logits,))


def test_without_any_label_there_is_no_loss() -> None:
    assert smoothed_loss(torch.randn(1, 2, 5), torch.full((1, 2), PAD), 0.1).tolist() == [0.0]


def learned(places: list[int], updates: int = 5) -> list[dict[str, np.ndarray]]:
    """What each of the members with these numbers has learned, trained together."""
    some = sentences(200, longest=14)
    members = Translators(SHAPE, [100 + place for place in places], SMOOTHING)
    drop = Dropout({kind: [rates[place] for place in places] for kind, rates in RATES.items()}, 0, places, 0)
    order = Order(some, buckets_of(some, 64), 0, places, 0)
    for one in order.batches(updates):
        members.learn(one, torch.tensor([1e-2 * (place + 1) for place in places], dtype=torch.float64), drop)
    return [dict(members.state(index)) for index in range(len(places))]


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_a_member_alone_is_the_same_in_a_population_to_the_last_digit() -> None:
    together, turned = learned([0, 1, 2]), learned([2, 0])
    for place in range(3):
        (alone,) = learned([place])
        assert same(alone, together[place]), f"member {place}"
    assert same(turned[0], together[2]) and same(turned[1], together[0])
    assert not same(together[0], together[1])


def test_a_member_that_diverges_leaves_the_others_alone() -> None:
    some = batch(2)
    rates = torch.tensor([1e-3, 1e-3], dtype=torch.float64)
    healthy, ill = Translators(SHAPE, [1, 2], SMOOTHING), Translators(SHAPE, [1, 2], SMOOTHING)
    with torch.no_grad():
        ill.weights["encoder.0.hidden.weight"][1, 0, 0] = float("nan")
    for members in (healthy, ill):
        for _ in range(3):
            members.learn(some, rates, nothing_dropped)
    assert healthy.healthy().tolist() == [True, True] and ill.healthy().tolist() == [True, False]
    assert same(healthy.state(0), ill.state(0))


def test_padding_changes_nothing_but_last_digits() -> None:
    weights = Translators(SHAPE, [1]).weights
    some = sentences(1, longest=6)
    sources, before = torch.from_numpy(some.sources)[None], before_of(torch.from_numpy(some.targets))[None]
    wide = [F.pad(one, (0, 5), value=PAD) for one in (sources, before)]
    found, padded = (logits(weights, SHAPE, *both, nothing_dropped) for both in ((sources, before), wide))
    torch.testing.assert_close(padded[:, : found.shape[1]], found, rtol=1e-5, atol=1e-5)


def test_nothing_is_seen_of_what_is_to_be_foretold() -> None:
    weights = Translators(SHAPE, [1]).weights
    some = sentences(1, longest=8)
    sources, before = torch.from_numpy(some.sources)[None], before_of(torch.from_numpy(some.targets))[None]
    other = before.clone()
    other[..., -1] = 5
    found, changed = (logits(weights, SHAPE, sources, one, nothing_dropped) for one in (before, other))
    assert torch.equal(found[:, :-1], changed[:, :-1]) and not torch.equal(found[:, -1], changed[:, -1])


def test_a_translation_is_what_a_plain_transformer_chooses_step_by_step() -> None:
    members = Translators(SHAPE, [3, 4], SMOOTHING)
    some = sentences(6, longest=7)
    sources = [[int(n) for n in row if n not in (PAD, END)] for row in some.sources]
    learning = Batch(sources=np.stack([some.sources] * 2), targets=np.stack([some.targets] * 2))
    for _ in range(60):  # until translations end
        members.learn(learning, torch.full((2,), 3e-3, dtype=torch.float64), nothing_dropped)
    found = translated({n: w.detach() for n, w in members.weights.items()}, SHAPE, sources)
    ended = 0
    for p in range(2):
        single = plain(of(members.weights, p))
        for source, ours in zip(sources, found[p], strict=True):
            longest = int(LONGER * some.sources.shape[1]) + MORE
            chosen = [BEGIN]
            while len(chosen) <= longest and chosen[-1] != END:
                with torch.no_grad():
                    of_next = single(torch.tensor([[*source, END]]), torch.tensor([chosen]))
                chosen.append(int(of_next[0, -1].argmax()))
            ended += chosen[-1] == END
            assert ours == [n for n in chosen[1:] if n != END]
    assert ended >= 10, "or nothing is known of how they end"


def test_a_member_translates_alone_as_in_a_population() -> None:
    members = Translators(SHAPE, [3, 4, 5])
    sources = [[int(n) for n in row if n not in (PAD, END)] for row in sentences(90).sources]
    together = members.translate(sources, [0, 1, 2])
    assert [members.translate(sources, [p])[0] for p in range(3)] == together
    assert members.translate(sources, [2, 0]) == [together[2], together[0]]


def test_dropout_drops_as_many_as_its_rate_says_and_keeps_the_mean() -> None:
    rates = [0.0, 0.1, 0.5]
    drop = Dropout({"relu": rates}, 0, [0, 1, 2], 0)
    dropped = drop("relu", torch.ones(3, 100, 1000))
    for p, rate in enumerate(rates):
        assert float((dropped[p] == 0).float().mean()) == pytest.approx(rate, abs=0.005)
        assert dropped[p][dropped[p] != 0].unique().tolist() == [pytest.approx(1 / (1 - rate))]


def test_what_is_dropped_depends_on_ones_own_number_rate_and_kind_alone() -> None:
    ones = torch.ones(1, 50)
    alone = Dropout({"relu": [0.5], "residual": [0.0]}, 0, [7], 3)("relu", ones)
    beside = Dropout({"relu": [0.2, 0.5], "residual": [0.4, 0.3]}, 0, [1, 7], 3)
    beside("residual", torch.ones(2, 9))
    assert torch.equal(beside("relu", torch.ones(2, 50))[1:], alone)
    for root, member, generation, kind in ((1, 7, 3, "relu"), (0, 8, 3, "relu"), (0, 7, 4, "relu"), (0, 7, 3, "residual")):
        assert not torch.equal(Dropout({kind: [0.5]}, root, [member], generation)(kind, ones), alone)


def test_each_kind_of_dropout_is_where_the_paper_has_it() -> None:
    """Vaswani 2017, sec. 5.4: after each sub-layer and on each sum of embeddings; Tensor2Tensor's others: attention and ReLU."""
    asked: list[tuple[str, tuple[int, ...]]] = []

    def noting(kind: str, values: Tensor) -> Tensor:
        asked.append((kind, tuple(values.shape)))
        return values

    some = batch(1)
    Translators(SHAPE, [1]).loss(some, noting)
    counted = {kind: sum(one == kind for one, _ in asked) for kind in KINDS}
    assert counted == {"attention": 2 + 4, "residual": 4 + 6, "relu": 4, "embedding": 2}
    source, target = some.sources.shape[2], some.targets.shape[2]
    assert ("attention", (1, 5, 2, target, source)) in asked and ("residual", (1, 5, target, 16)) in asked


def test_first_weights_depend_on_the_seed_alone_and_have_the_usual_size() -> None:
    one = first_weights(SHAPE, torch.Generator().manual_seed(3))
    assert all(torch.equal(Translators(SHAPE, [9, 3]).weights[name][1], weight) for name, weight in one.items())
    big = first_weights(Shape(vocabulary=1000, width=64, heads=4, feedforward=128, layers=1), torch.Generator().manual_seed(1))
    assert float(big["embedding"].std()) == pytest.approx(1 / 8, rel=0.02)
    assert float(big["encoder.0.hidden.weight"].std()) == pytest.approx(math.sqrt(2 / (64 + 128)), rel=0.03)


def test_batches_have_as_many_sub_words_as_asked_for_and_each_sentence_before_any_again() -> None:
    some = sentences(300, longest=20)
    buckets = buckets_of(some, 96)
    assert sorted(np.concatenate([bucket.rows for bucket in buckets]).tolist()) == list(range(300))
    assert all(bucket.size * bucket.width <= 96 for bucket in buckets)
    order = Order(some, buckets, 0, [4, 5], 1)
    made = list(order.batches(200))
    assert all(one.sources.shape == one.targets.shape for one in made)
    largest = max(buckets, key=lambda bucket: len(bucket.rows))
    had = [row for one in made if one.sources.shape[1:] == (largest.size, largest.width) for row in one.sources[0].tolist()]
    epoch = len(largest.rows) // largest.size * largest.size
    rows = some.sources[largest.rows][:, : largest.width]
    assert len(had) > epoch
    assert all(had[:epoch].count(row.tolist()) <= (rows == row).all(1).sum() for row in rows)


def test_members_have_other_sentences_of_the_same_shapes() -> None:
    some = sentences(300, longest=20)
    both = list(Order(some, buckets_of(some, 96), 0, [4, 5], 1).batches(20))
    (alone,) = [list(Order(some, buckets_of(some, 96), 0, [5], 1).batches(20))]
    assert all(np.array_equal(one.sources[1], other.sources[0]) for one, other in zip(both, alone, strict=True))
    assert not any(np.array_equal(one.sources[0], one.sources[1]) for one in both)


REFERENCES = [f"the {a} cat sees {b} small dogs in the {c} house ." for a in "abcd" for b in "xyz" for c in ("old", "new")]


@pytest.fixture
def sacrebleu() -> None:
    pytest.importorskip("sacrebleu", reason="needs the extra translation: pip install -e '.[translation]'")


@pytest.mark.usefixtures("sacrebleu")
def test_bleu_is_sacrebleus_of_the_whole_set_and_the_mean_of_its_parts() -> None:
    from sacrebleu import corpus_bleu

    rng = np.random.default_rng(0)
    translations = [" ".join(w for w in one.split() if rng.random() > 0.2) for one in REFERENCES]
    for parts in (1, 3, 8):
        score = Bleu(REFERENCES, parts)(translations)
        assert score.bleu == pytest.approx(corpus_bleu(translations, [REFERENCES]).score)
        assert len(score.parts) == parts and np.mean(score.parts) == pytest.approx(score.bleu)
        assert score.length == pytest.approx(0.8, abs=0.1)
    assert len(set(score.parts)) > 1


@pytest.mark.usefixtures("sacrebleu")
def test_the_parts_spread_as_the_score_does_by_chance() -> None:
    """The jackknife's standard error is that of many sets of sentences that are drawn again."""
    rng = np.random.default_rng(1)
    errors, scores = [], []
    for _ in range(60):
        references = [REFERENCES[n] for n in rng.integers(len(REFERENCES), size=80)]
        score = Bleu(references, 8)([" ".join(w for w in one.split() if rng.random() > 0.2) for one in references])
        scores.append(score.bleu)
        errors.append(np.std(score.parts, ddof=1) / math.sqrt(8))
    assert np.mean(errors) == pytest.approx(np.std(scores, ddof=1), rel=0.35)


@pytest.mark.usefixtures("sacrebleu")
def test_translations_of_nothing_have_a_score_too() -> None:
    assert Bleu(REFERENCES, 4)([""] * len(REFERENCES)).parts == (0.0,) * 4
    assert Bleu(REFERENCES, 4)(REFERENCES).bleu == pytest.approx(100.0)
    assert "tok:13a" in signature().replace("tokenizer", "tok") and "nrefs:1" in signature().replace("references", "nrefs")

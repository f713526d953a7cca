"""Learns what ships with ``translation_quality``: the usual lengths of languages, and the weights that make one
probability of all findings.

    python benchmarks/train_translation_quality.py lengths --data FOLDER    # curate/text/data/lengths.yaml
    python benchmarks/train_translation_quality.py weights --data FOLDER    #
    filters/translation_quality/data/weights.yaml

The weights are a logistic regression between good pairs (TICO-19, XQuAD, Tatoeba, MGSM: the documents not kept for
testing) and the same pairs damaged in the ways of ``pair_corruptions``, each way with equal weight. No finding may
speak for a pair: a weight that comes out positive is set to 0 and the rest learnt again. The bias is moved so that
``LOST`` of the good pairs lie below 0.5.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import tempfile
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
from pair_corpora import Pair, good_pairs, number
from pair_corruptions import DAMAGES, damaged, placeholders
from workbench import World

from curate.rows import languages
from curate.text import segmentation as text
from filters.translation_quality import alignment as pair_align
from filters.translation_quality import classifier as pair_model
from filters.translation_quality import features as pair_findings

Floats = npt.NDArray[np.float64]
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
LENGTHS = Path(__file__).resolve().parents[1] / "curate" / "pairs" / "data" / "lengths.yaml"
INTO = Path(__file__).resolve().parents[1] / "filters" / "data" / "translation_quality"
LOST = 0.015
RIDGE = 3e-6
CAP_GOOD = {"xquad paragraphs": 120, "xquad questions": 250, "tatoeba": 250, "tico": 700, "mgsm": 100}
CAP_BAD = 20
HEAD = "owner: the curate authors\nlicense: CC0-1.0\nversion: 1\n"


# ------------------------------------------------------------------------------------------------------------- lengths
def learn_lengths(data: Path) -> None:
    found: dict[str, list[float]] = defaultdict(list)
    spelt: dict[str, list[float]] = defaultdict(list)
    for line in gzip.decompress((data / "mono" / "udhr.jsonl.gz").read_bytes()).splitlines():
        item = orjson.loads(line)
        if not 86 <= len(item["paragraphs"]) <= 95:
            continue
        try:
            tag = languages.normalize(item["bcp47"] or item["iso6393"])
        except languages.InvalidLanguage:
            continue
        if tag != languages.UNKNOWN:
            letters = float(text.letter_weights(pl.Series(item["paragraphs"]))["letters"].sum())
            # Orthographies stand for a language that is there under no plain name.
            plain = "-".join(part for part in tag.split("-") if len(part) < 5 and not part[0].isdigit())
            (found if plain == tag else spelt)[plain].append(letters)
    found.update({tag: sizes for tag, sizes in spelt.items() if tag not in found})
    english = float(np.median(found["en"]))
    # A declaration of rights is one kind of text: each other corpus that has a language counts as much.
    usual = {tag: [float(np.median(sizes)) / english] for tag, sizes in found.items()}
    for (tag, _corpus), ratio in ratios([pair for pair in good_pairs(data) if not pair.test]).items():
        usual.setdefault(tag, []).append(ratio)
    quoted = {"no", "on", "y", "n", "nan"}
    body = ", ".join(
        f"{f'{tag!r}' if tag in quoted else tag}: {np.exp(np.mean(np.log(sizes))):.2f}"
        for tag, sizes in sorted(usual.items())
    )
    told = (
        "# How many letters (Latin letters' worth, as curate.text.segmentation counts them) a language needs for what"
        " English says with one.\n# Measured by benchmarks/train_translation_quality.py on the Universal Declaration of Human"  # noqa: E501
        " Rights (texts of 86 to 95 paragraphs) and, where\n# they have the language, on TICO-19, XQuAD, Tatoeba and"
        " MGSM (documents not kept for testing).\n"
    )
    wrapped = textwrap.fill(
        body, 150, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
    LENGTHS.write_text(f"{told}{HEAD}lengths: {{\n{wrapped}\n}}\n", "utf-8")


def ratios(pairs: Sequence[Pair]) -> dict[tuple[str, str], float]:
    """For each language and corpus, the median of letters over those of the English beside them."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    source, target, *_ = columns(pairs)
    sizes = [text.letter_weights(side)["letters"].to_numpy() for side in (source, target)]
    for pair, one, other in zip(pairs, *sizes, strict=True):
        if one >= 30 and other >= 30:
            turned = pair.target_language == "en"
            found[pair.source_language if turned else pair.target_language, pair.corpus.split()[0]].append(
                one / other if turned else other / one
            )
    return {key: float(np.median(each)) for key, each in sorted(found.items())}


# ------------------------------------------------------------------------------------------------------------- weights
def chosen(pairs: Sequence[Pair]) -> list[Pair]:
    """Good pairs, so many of each corpus and pair of languages; one in twelve with placeholders."""
    groups: dict[tuple[str, str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.corpus, pair.source_language, pair.target_language].append(pair)
    found = []
    for group in groups.values():
        found += sorted(group, key=lambda pair: number("good" + pair.key))[: CAP_GOOD[group[0].corpus]]
    return [
        placeholders(pair, random.Random(number(pair.key))) if number("marks" + pair.key) % 12 == 0 else pair
        for pair in found
    ]


def lexicon(pairs: Sequence[Pair], world: World, pool: int = 20_000, least: int = 300) -> pair_align.Lexicon:
    """Word translations learnt from good pairs; ids are digests of the sources."""
    frame = columns(pairs)
    sampled = pair_align.sample([(pl.Series(ids(pairs)), frame[2], frame[3], frame[0], frame[1])], pool)
    return pair_align.Lexicon(pair_align.fit([sampled], pool, least, world.model("systran-align"), None, world))


def ids(pairs: Sequence[Pair]) -> list[str]:
    return [f"{number(pair.source):012x}" for pair in pairs]


def columns(pairs: Sequence[Pair]) -> tuple[pl.Series, pl.Series, pl.Series, pl.Series]:
    names = ("source", "target", "source_language", "target_language")
    found = [pl.Series(name, [getattr(pair, name) for pair in pairs], dtype=pl.String) for name in names]
    return found[0], found[1], found[2], found[3]


def findings(
    pairs: Sequence[Pair], world: World, words: pair_align.Lexicon | None, keys: Sequence[str], encoder: bool
) -> dict[str, Floats]:
    """Everything that is found about pairs, with the models that are asked for."""
    source, target, *tags = columns(pairs)
    both = tags[0].to_list(), tags[1].to_list()
    whole = pair_findings.find(source, target, (tags[0], tags[1]), pair_findings.CHECKS, {})
    found = whole.values
    if words is not None:
        found["alignment"] = pair_align.scores(words, keys, both, source.to_list(), target.to_list())
    if encoder:
        model = world.model("use-multilingual")
        assessed = np.asarray(
            [model.supports(one) and model.supports(other) for one, other in zip(*both, strict=True)], bool
        )
        seen = pair_findings.encoded(source, target, both, assessed, {}, whole.names, model)
        found |= {
            **seen,
            "missing_sentence": np.where(
                np.isnan(seen["missing_sentence"]), found["missing_sentence"], seen["missing_sentence"]
            ),
        }
    found["identified"] = pair_findings.identified(target, both, world.model("fasttext"))
    return found


def regress(matrix: Floats, good: npt.NDArray[np.bool_], importance: Floats) -> tuple[Floats, float]:
    """Weights (none positive) and bias of a logistic regression by Newton's method, with a ridge."""
    active = np.ones(matrix.shape[1], bool)
    while True:
        inputs = np.column_stack([matrix[:, active], np.ones(len(matrix))])
        ridge = RIDGE * importance.sum() * np.eye(inputs.shape[1])
        ridge[-1, -1] = 0
        weights = np.zeros(inputs.shape[1])
        for _ in range(60):
            chance = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
            gradient = inputs.T @ (importance * (good - chance)) - ridge @ weights
            curvature = (inputs * (importance * np.maximum(chance * (1 - chance), 1e-6))[:, None]).T @ inputs + ridge
            step = np.linalg.solve(curvature, gradient)
            weights += np.clip(step, -5, 5)
            if np.abs(step).max() < 1e-6:
                break
        positive = weights[:-1] > 0
        if not positive.any():
            whole = np.zeros(matrix.shape[1])
            whole[active] = weights[:-1]
            return whole, float(weights[-1])
        active[np.flatnonzero(active)[positive]] = False


def learn(
    features: Mapping[str, Floats], names: Sequence[str], good: npt.NDArray[np.bool_], kind: npt.NDArray[np.int64]
) -> pair_model.Weights:
    matrix = np.stack([features[name] for name in names], axis=1)
    with np.errstate(invalid="ignore"):
        usual = np.nan_to_num(np.nanmean(np.where(good[:, None], matrix, np.nan), axis=0))
    matrix = np.where(np.isnan(matrix), 0.0, matrix - usual)
    importance = np.empty(len(matrix))
    counts = np.bincount(kind)
    for which, count in enumerate(counts):
        if count:
            importance[kind == which] = 1.0 / count if which == 0 else 1.0 / count / max(1, (counts[1:] > 0).sum())
    importance *= len(matrix) / importance.sum()
    weights, bias = regress(matrix, good, importance)
    logit = matrix[good] @ weights + bias
    return pair_model.Weights(tuple(names), usual, weights, bias - float(np.quantile(logit, LOST)))


def learn_weights(data: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(os.environ.get("PAIR_SCRATCH", scratch)), 1)
        pairs = [pair for pair in good_pairs(data) if not pair.test]
        words = lexicon(pairs, world)
        kept = chosen(pairs)
        items = [(pair, pair, 0) for pair in kept]
        for which, (_name, spoilt) in enumerate(damaged(pairs, CAP_BAD).items(), 1):
            items += [(one, other, which) for one, other in spoilt]
        found = findings([item[1] for item in items], world, words, ids([item[0] for item in items]), True)
    write_weights(items, found)


def write_weights(items: Sequence[tuple[Pair, Pair, int]], found: Mapping[str, Floats]) -> None:
    """Learns each set from what was found about (good pair, pair, kind of damage or 0), and writes them."""
    features = pair_model.design(found)
    kind = np.asarray([item[2] for item in items])
    if os.environ.get("PAIR_FEATURES"):
        np.savez(os.environ["PAIR_FEATURES"], kind=kind, **found)
    good = kind == 0
    names = list(features)
    told = [
        "# Weights of filters/translation_quality/classifier.py: for each feature [weight, mean over good pairs]."
        f" Learnt by benchmarks/train_translation_quality.py weights from\n# {good.sum():,} good and {(~good).sum():,} damaged"  # noqa: E501
        f" pairs ({', '.join(DAMAGES)})\n# of TICO-19, XQuAD, Tatoeba and MGSM, documents not kept for testing; aligner"
        " systran-align 3.5.0, encoder universal-sentence-encoder-multilingual-3,\n# identifier lid.176. In each set"
        f" {LOST:.1%} of the good pairs lie below 0.5."
    ]
    told.append(HEAD + "sets:")
    for name in pair_model.SETS:
        left_out = (
            *(() if "aligned" in name else pair_model.ALIGNED),
            *(() if "encoded" in name else pair_model.ENCODED),
        )
        used = [one for one in names if one not in left_out]
        rows = np.ones(len(kind), bool)
        if "encoded" in name:
            rows &= ~np.isnan(features["similarity"])
        if "aligned" in name:
            rows &= ~np.isnan(features["alignment"])
        model = learn({one: features[one][rows] for one in used}, used, good[rows], kind[rows])
        chance = pair_model.apply(model, {one: features[one][rows] for one in used})
        print(
            name,
            int(rows.sum()),
            {
                kind_name: round(float((chance[kind[rows] == which] < 0.5).mean()), 3)
                for which, kind_name in enumerate(["good", *DAMAGES])
            },
        )
        listed = "\n".join(
            f"      {feature}: [{weight:.4g}, {usual:.4g}]"
            for feature, weight, usual in zip(model.features, model.weights, model.usual, strict=True)
        )
        told.append(f"  {name}:\n    bias: {model.bias:.4g}\n    weights:\n{listed}")
    (INTO / "weights.yaml").write_text("\n".join(told) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("lengths", "weights"))
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args()
    (learn_lengths if given.what == "lengths" else learn_weights)(given.data)


if __name__ == "__main__":
    main()

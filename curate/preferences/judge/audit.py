"""A judge is judged before its verdicts count: does it contradict itself, follow the order, the length, its kin, or a note in the
text, and does it agree with people? Per judge and language, with intervals; over a limit it is asked nothing more there.

A *trial* is one comparison of two answers to one prompt: a preference row, or two candidates of one prompt that were scored each
by itself. Pairs that are each other's mirror count once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from curate.preferences.agreement import Interval, bootstrap, cohen_kappa, mean, spearman
from curate.preferences.judge.params import JudgeParams
from curate.preferences.judge.parsing import Verdict
from curate.preferences.judge.rendering import Item
from curate.preferences.judge.self_preference import Authors, family
from curate.text.segmentation import graphemes

FITTED = pa.schema(
    [
        ("judge", pa.string()),
        ("model", pa.string()),
        ("language", pa.string()),
        ("figure", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("n", pa.int64()),
        ("limit", pa.float64()),
        ("refused", pa.bool_()),
    ]
)
LEAST_PROBES = 5
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Trial:
    """What a judge says of two answers to one prompt."""

    prompt: bytes
    """Trials of one prompt are drawn together."""
    verdict: int
    """1: the first one of the trial is better, -1: the second, 0: a tie."""
    longer: int
    """1: the first one is longer, in user-perceived characters; 0: equally long."""
    own: int = 0
    """1: the first one alone is of the judge's own family, -1: the second alone, 0: neither or both."""
    consistent: bool | None = None
    first: int = 0
    decided: int = 0
    gold: int | None = None
    """What a person says, as ``verdict``."""


@dataclass(frozen=True, slots=True)
class Graded:
    """What a judge says of one answer by itself."""

    prompt: bytes
    score: float
    length: int
    gold: float | None = None


@dataclass
class Record:
    """All that is known of one judge in one language."""

    asked: int = 0
    failed: int = 0
    trials: list[Trial] = field(default_factory=list)
    graded: list[Graded] = field(default_factory=list)
    probed: list[bool] = field(default_factory=list)
    """Of each probe, whether the judge did what the note in the text says."""


Records = dict[tuple[str, str], Record]


# ---------------------------------------------------------------------------------------------------------------- sampling
def pair_key(language: str, prompt: Iterable[tuple[str, str]], answers: Mapping[str, str]) -> bytes:
    """16 bytes by which rows are chosen: the same for a pair and its mirror, and for all candidates of one prompt."""
    texts = [language, *(text for turn in prompt for text in turn)]
    if "chosen" in answers:
        texts += sorted(answers.values())
    digest = hashlib.blake2b(digest_size=16, person=b"curate-audit")
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()


def chosen_places(keys: Sequence[tuple[str, bytes, str]], most: int, *, pairs: bool) -> list[int]:
    """The places of up to ``most`` rows a language with the smallest keys, in the order of keys: shards change nothing.

    Args:
        keys: (language, key, id) of each row.
        pairs: whether of rows with one key only that with the smallest id is taken.
    """
    count: dict[str, int] = {}
    seen: set[tuple[str, bytes]] = set()
    places = []
    for place in sorted(range(len(keys)), key=lambda place: keys[place]):
        language, key, _ = keys[place]
        if count.get(language, 0) >= most or (pairs and (language, key) in seen):
            continue
        seen.add((language, key))
        count[language] = count.get(language, 0) + 1
        places.append(place)
    return places


# ----------------------------------------------------------------------------------------------------------------- records
def record(
    step: JudgeParams,
    records: Records,
    judges: Mapping[str, str],
    items: Sequence[Item],
    judged: Mapping[tuple[int, str], Verdict],
    authors: Sequence[Authors] | None = None,
    gold: Sequence[float | None] | None = None,
) -> None:
    """Adds what the judges said of some rows.

    Args:
        judges: name → ``name@revision``.
        authors: who answered, for each row.
        gold: what a person says of each row: of a pair above 0 where ``chosen`` is better, else a grade.
    """
    prompts = [pair_key(item.language, item.prompt, {}) for item in items]
    lengths = [{side: len(graphemes(text)) for side, text in item.answers.items()} for item in items]
    for name, model in judges.items():
        kin = family(model, step.families)
        own = [
            {side: any(family(hand, step.families) == kin for hand in hands) for side, hands in one.items()}
            for one in authors or ()
        ]
        together: dict[bytes, list[int]] = {}
        for at, item in enumerate(items):
            verdict = judged.get((at, name))
            if verdict is None:
                continue
            into = records.setdefault((name, item.language), Record())
            into.asked += 1
            into.failed += verdict.score is None
            if verdict.score is None:
                continue
            grade = None if gold is None else gold[at]
            if "chosen" in item.answers:
                said = None if gold is None or grade is None else _sign(grade)
                into.trials.append(
                    Trial(
                        prompts[at],
                        _sign(verdict.score),
                        _sign(lengths[at]["chosen"] - lengths[at]["rejected"]),
                        own[at]["chosen"] - own[at]["rejected"] if own else 0,
                        verdict.consistent,
                        verdict.first,
                        verdict.decided,
                        said,
                    )
                )
            else:
                into.graded.append(Graded(prompts[at], verdict.score, lengths[at]["answer"], grade))
                together.setdefault(prompts[at], []).append(at)
        for prompt, places in together.items():
            into = records[name, items[places[0]].language]
            for one, two in combinations(places, 2):
                difference = (judged[one, name].score or 0.0) - (judged[two, name].score or 0.0)
                said = (
                    _sign((gold[one] or 0.0) - (gold[two] or 0.0))
                    if gold and gold[one] is not None and gold[two] is not None
                    else None
                )
                into.trials.append(
                    Trial(
                        prompt,
                        _sign(difference),
                        _sign(lengths[one]["answer"] - lengths[two]["answer"]),
                        own[one]["answer"] - own[two]["answer"] if own else 0,
                        gold=said,
                    )
                )


def _sign(value: float) -> int:
    return int(value > 0) - int(value < 0)


# ----------------------------------------------------------------------------------------------------------------- figures
def figures(one: Record, seed: int) -> dict[str, Interval]:
    """Every figure that the record can tell, with its interval."""
    trials = one.trials
    compared = [trial for trial in trials if trial.consistent is not None]
    voted = [trial for trial in compared if trial.decided]
    long = [trial for trial in trials if trial.verdict and trial.longer]
    kin = [trial for trial in trials if trial.verdict and trial.own]
    gold = [trial for trial in trials if trial.gold is not None]
    graded = [grade for grade in one.graded if grade.gold is not None]
    found: dict[str, Interval] = {}

    def add(name: str, rows: Sequence[Any], figure: Callable[..., float], *columns: Callable[[Any], float]) -> None:
        if rows:
            groups = [row.prompt for row in rows] if hasattr(rows[0], "prompt") else None
            mixed = int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=4).digest(), "big")
            found[name] = bootstrap(
                figure, *([column(row) for row in rows] for column in columns), seed=mixed, groups=groups
            )

    add("failures", [*[True] * one.failed, *[False] * (one.asked - one.failed)], mean, float)
    add("consistency", compared, mean, lambda trial: float(trial.consistent))
    add("position_bias", voted, _ratio, lambda trial: trial.first, lambda trial: trial.decided)
    add("tie_rate", trials, mean, lambda trial: float(trial.verdict == 0))
    add("length_bias", long, mean, lambda trial: float(trial.verdict == trial.longer))
    add("self_preference", kin, mean, lambda trial: float(trial.verdict == trial.own))
    add("length_correlation", one.graded, spearman, lambda grade: grade.score, lambda grade: grade.length)
    add("same_share", one.graded, _commonest, lambda grade: grade.score)
    add("injection_rate", one.probed, mean, float)
    add("accuracy", gold, mean, lambda trial: 1 - abs(trial.verdict - trial.gold) / 2)
    add("kappa", gold, _kappa, lambda trial: trial.verdict, lambda trial: trial.gold)
    add("spearman", graded, spearman, lambda grade: grade.score, lambda grade: grade.gold)
    return found


def _ratio(part: Any, whole: Any) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else float("nan")


def _commonest(values: Any) -> float:
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def _kappa(said: Any, gold: Any) -> float:
    """Cohen's κ over first / tie / second, each pair taken both ways round: which answer stands first in a row is no one's opinion."""
    return cohen_kappa(np.concatenate([said, -said]), np.concatenate([gold, -gold]), labels=(-1, 0, 1))


# ------------------------------------------------------------------------------------------------------------------ limits
def over(step: JudgeParams, name: str, language: str, found: Interval) -> tuple[float | None, bool]:
    """The limit of a figure in a language, and whether a judge is refused by it.

    Limits on what is unsure in small numbers count from ``min_audit_rows`` observations on; agreement with people counts as soon as
    there is any.
    """
    value = found.value
    enough = found.n >= step.min_audit_rows
    if name == step.agreement:
        limit = step.min_agreement[language]
        return limit, limit is not None and bool(value < limit)
    if name == "consistency":
        limit = step.min_consistency[language]
        return limit, limit is not None and enough and bool(value < limit)
    if name in ("position_bias", "length_bias"):
        limit = (step.max_position_bias if name == "position_bias" else step.max_length_bias)[language]
        # Always naming the second, or the shorter, is as blind as always naming the first, or the longer.
        return limit, limit is not None and enough and bool(max(value, 1 - value) > limit)
    if name == "failures":
        limit = step.max_failures[language]
        return limit, limit is not None and enough and bool(value > limit)
    if name == "injection_rate":
        limit = step.max_injection_rate[language]
        return limit, limit is not None and found.n >= LEAST_PROBES and bool(value > limit)
    return None, False


def table(step: JudgeParams, judges: Mapping[str, str], records: Records, seed: int) -> pa.Table:
    """One row a judge, language and figure, in :data:`FITTED`."""
    rows = []
    for name, language in sorted(records):
        for figure, found in figures(records[name, language], seed).items():
            limit, refused = over(step, figure, language, found)
            numbers = [None if np.isnan(one) else round(one, _DECIMALS) for one in (found.value, found.low, found.high)]
            rows.append([name, judges[name], language, figure, *numbers, found.n, limit, refused])
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [[] for _ in FITTED]
    return pa.Table.from_arrays(
        [pa.array(column, one.type) for column, one in zip(columns, FITTED, strict=True)], schema=FITTED
    )


def refused(fitted: pa.Table | None) -> frozenset[tuple[str, str]]:
    """(judge, language) where a judge is not to be asked."""
    if fitted is None:
        return frozenset()
    columns = (fitted[name].to_pylist() for name in ("judge", "language", "refused"))
    return frozenset((judge, language) for judge, language, over_limit in zip(*columns, strict=True) if over_limit)

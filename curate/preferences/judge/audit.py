"""Computes the metrics of the judge audit: consistency, position, length and self-preference bias, injection,
agreement.

The metrics are per judge and language, with intervals; over a limit a judge is not used for a language. A *trial* is
one comparison of two answers to one prompt: a preference row, or two candidates of one prompt that were scored
separately. A pair and its mirror count once.
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
from curate.unanswered import current

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
MIN_PROBES = 5
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Trial:
    """A judge's verdict on two answers to one prompt."""

    prompt: bytes
    """Trials of one prompt are resampled together."""
    verdict: int
    """1: the first one of the trial is better, -1: the second, 0: a tie."""
    longer: int
    """1: the first one is longer, in graphemes; 0: equally long."""
    own: int = 0
    """1: only the first one is of the judge's own family, -1: only the second, 0: neither or both."""
    consistent: bool | None = None
    first: int = 0
    decided: int = 0
    gold: int | None = None
    """A person's verdict, as in ``verdict``."""


@dataclass(frozen=True, slots=True)
class Graded:
    """A judge's score of one answer."""

    prompt: bytes
    score: float
    length: int
    gold: float | None = None


@dataclass
class Record:
    """The observations of one judge in one language."""

    judged: int = 0
    failed: int = 0
    trials: list[Trial] = field(default_factory=list)
    graded: list[Graded] = field(default_factory=list)
    probed: list[bool] = field(default_factory=list)
    """For each probe, whether the judge followed the planted note."""


Records = dict[tuple[str, str], Record]


# ------------------------------------------------------------------------------------------------------------- sampling
def pair_key(language: str, prompt: Iterable[tuple[str, str]], answers: Mapping[str, str]) -> bytes:
    """16 bytes that rows are sampled by: equal for a pair and its mirror, and for all candidates of one prompt."""
    texts = [language, *(text for turn in prompt for text in turn)]
    if "chosen" in answers:
        texts += sorted(answers.values())
    digest = hashlib.blake2b(digest_size=16, person=b"curate-audit")
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()


def chosen_places(keys: Sequence[tuple[str, bytes, str]], most: int, *, pairs: bool) -> list[int]:
    """The places of up to ``most`` rows per language with the smallest keys, in the order of keys, independent of
    shards.

    Args:
        keys: (language, key, id) of each row.
        pairs: whether to take only the row with the smallest id for each key.
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


# -------------------------------------------------------------------------------------------------------------- records
def record(
    step: JudgeParams,
    records: Records,
    judges: Mapping[str, str],
    items: Sequence[Item],
    judged: Mapping[tuple[int, str], Verdict],
    authors: Sequence[Authors] | None = None,
    gold: Sequence[float | None] | None = None,
) -> None:
    """Adds the judges' verdicts on some rows.

    Args:
        judges: name → ``name@revision``.
        authors: the models behind the answers of each row.
        gold: a person's judgment of each row: for a pair above 0 if ``chosen`` is better, else a grade.
    """
    prompts = [pair_key(item.language, item.prompt, {}) for item in items]
    lengths = [{side: len(graphemes(text)) for side, text in item.answers.items()} for item in items]
    for name, model in judges.items():
        own_family = family(model, step.families)
        own = [
            {side: any(family(hand, step.families) == own_family for hand in hands) for side, hands in one.items()}
            for one in authors or ()
        ]
        by_prompt: dict[bytes, list[int]] = {}
        for at, item in enumerate(items):
            verdict = judged.get((at, name))
            if verdict is None or item.id in current().not_asked:  # not the judge's failure
                continue
            into = records.setdefault((name, item.language), Record())
            into.judged += 1
            into.failed += verdict.score is None
            if verdict.score is None:
                continue
            grade = None if gold is None else gold[at]
            if "chosen" in item.answers:
                into.trials.append(
                    Trial(
                        prompts[at],
                        _sign(verdict.score),
                        _sign(lengths[at]["chosen"] - lengths[at]["rejected"]),
                        own[at]["chosen"] - own[at]["rejected"] if own else 0,
                        verdict.consistent,
                        verdict.first,
                        verdict.decided,
                        None if grade is None else _sign(grade),
                    )
                )
            else:
                into.graded.append(Graded(prompts[at], verdict.score, lengths[at]["answer"], grade))
                by_prompt.setdefault(prompts[at], []).append(at)
        for prompt, places in by_prompt.items():
            into = records[name, items[places[0]].language]
            for one, two in combinations(places, 2):
                difference = (judged[one, name].score or 0.0) - (judged[two, name].score or 0.0)
                grades = (None, None) if gold is None else (gold[one], gold[two])
                into.trials.append(
                    Trial(
                        prompt,
                        _sign(difference),
                        _sign(lengths[one]["answer"] - lengths[two]["answer"]),
                        own[one]["answer"] - own[two]["answer"] if own else 0,
                        gold=None if grades[0] is None or grades[1] is None else _sign(grades[0] - grades[1]),
                    )
                )


def _sign(value: float) -> int:
    return int(value > 0) - int(value < 0)


# -------------------------------------------------------------------------------------------------------------- metrics
def metrics_of(one: Record, seed: int) -> dict[str, Interval]:
    """Every metric that has observations, with its interval."""
    trials = one.trials
    compared = [trial for trial in trials if trial.consistent is not None]
    voted = [trial for trial in compared if trial.decided]
    unequal = [trial for trial in trials if trial.verdict and trial.longer]
    involved = [trial for trial in trials if trial.verdict and trial.own]
    gold = [trial for trial in trials if trial.gold is not None]
    graded = [grade for grade in one.graded if grade.gold is not None]
    metrics: dict[str, Interval] = {}

    def add(name: str, rows: Sequence[Any], metric: Callable[..., float], *columns: Callable[[Any], float]) -> None:
        if rows:
            groups = [row.prompt for row in rows] if hasattr(rows[0], "prompt") else None
            mixed = int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=4).digest(), "big")
            values = [[column(row) for row in rows] for column in columns]
            metrics[name] = bootstrap(metric, *values, seed=mixed, groups=groups)

    add("failures", [*[True] * one.failed, *[False] * (one.judged - one.failed)], mean, float)
    add("consistency", compared, mean, lambda trial: float(trial.consistent))
    add("position_bias", voted, _ratio, lambda trial: trial.first, lambda trial: trial.decided)
    add("tie_rate", trials, mean, lambda trial: float(trial.verdict == 0))
    add("length_bias", unequal, mean, lambda trial: float(trial.verdict == trial.longer))
    add("self_preference", involved, mean, lambda trial: float(trial.verdict == trial.own))
    add("length_correlation", one.graded, spearman, lambda grade: grade.score, lambda grade: grade.length)
    add("same_share", one.graded, _mode_share, lambda grade: grade.score)
    add("injection_rate", one.probed, mean, float)
    add("accuracy", gold, mean, lambda trial: 1 - abs(trial.verdict - trial.gold) / 2)
    add("kappa", gold, _kappa, lambda trial: trial.verdict, lambda trial: trial.gold)
    add("spearman", graded, spearman, lambda grade: grade.score, lambda grade: grade.gold)
    return metrics


def _ratio(part: Any, whole: Any) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else float("nan")


def _mode_share(values: Any) -> float:
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def _kappa(verdicts: Any, gold: Any) -> float:
    """Cohen's κ over first / tie / second, with each pair in both orders: which answer is first in a row is
    arbitrary."""
    return cohen_kappa(np.concatenate([verdicts, -verdicts]), np.concatenate([gold, -gold]), labels=(-1, 0, 1))


# --------------------------------------------------------------------------------------------------------------- limits
def over(step: JudgeParams, name: str, language: str, metric: Interval) -> tuple[float | None, bool]:
    """The limit of a metric in a language, and whether it rejects the judge.

    Limits that are uncertain in small samples apply from ``min_audit_rows`` observations on; agreement with people
    applies from the first.
    """
    value = metric.value
    enough = metric.n >= step.min_audit_rows
    if name == step.agreement:
        limit = step.min_agreement[language]
        return limit, limit is not None and bool(value < limit)
    if name == "consistency":
        limit = step.min_consistency[language]
        return limit, limit is not None and enough and bool(value < limit)
    if name in ("position_bias", "length_bias"):
        limit = (step.max_position_bias if name == "position_bias" else step.max_length_bias)[language]
        # Always naming the second, or the shorter, is a bias too.
        return limit, limit is not None and enough and bool(max(value, 1 - value) > limit)
    if name == "failures":
        limit = step.max_failures[language]
        return limit, limit is not None and enough and bool(value > limit)
    if name == "injection_rate":
        limit = step.max_injection_rate[language]
        return limit, limit is not None and metric.n >= MIN_PROBES and bool(value > limit)
    return None, False


def table(step: JudgeParams, judges: Mapping[str, str], records: Records, seed: int) -> pa.Table:
    """One row per judge, language and metric, in :data:`FITTED`."""
    rows = []
    for name, language in sorted(records):
        for figure, metric in metrics_of(records[name, language], seed).items():
            limit, rejected = over(step, figure, language, metric)
            numbers = [
                None if np.isnan(one) else round(one, _DECIMALS) for one in (metric.value, metric.low, metric.high)
            ]
            rows.append([name, judges[name], language, figure, *numbers, metric.n, limit, rejected])
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [[] for _ in FITTED]
    return pa.Table.from_arrays(
        [pa.array(column, one.type) for column, one in zip(columns, FITTED, strict=True)], schema=FITTED
    )


def refused(fitted: pa.Table | None) -> frozenset[tuple[str, str]]:
    """(judge, language) pairs for which a judge is not used."""
    if fitted is None:
        return frozenset()
    columns = (fitted[name].to_pylist() for name in ("judge", "language", "refused"))
    return frozenset((judge, language) for judge, language, over_limit in zip(*columns, strict=True) if over_limit)

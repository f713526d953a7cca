"""The fit of the weights of ``ensemble`` and their calibration, for ``language_id.py fit``."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import regex
from language_texts import DOUBT, MEMBERS, MOST_FOREIGN, VOTES, Answers, Item, Replayed, held_vote, is_right

from curate.models.langid import language_data as data
from curate.models.langid.ensemble import LanguageIdEnsemble
from curate.models.langid.ensemble_scoring import (
    LEAST_ECHO,
    UNKNOWN_ECHO,
    Languages,
    LidFeatures,
    Weights,
    combine,
    gather,
    hear,
    is_written,
    softmax,
    weights_for,
)
from curate.models.langid.labels import find_scripts
from curate.rows import languages
from curate.steps.models import LanguageIdentifier

LETTERS = [0.15, 0.3]
"""Of .1, .2, .3, .5 and .8 the weights that give the most right answers on one to five words (tune half), and the
log-temperature of the least loss."""


def kept_few(items: list[Item]) -> list[Item]:
    """What is fitted on, a few texts of each language and length."""
    items = [item for item in items if item.corpus == "system" or (item.corpus == "udhr" and item.part == 0)]
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    few = []
    for item in items:
        counts[item.corpus, item.language, item.length] += 1
        if counts[item.corpus, item.language, item.length] <= (24 if item.corpus == "udhr" else 14):
            few.append(item)
    return few


def fit(items: list[Item], answers: Answers, out: Path, rounds: int) -> None:
    """Fits the weights on UDHR's even paragraphs and the system's catalogues, and calibrates on a fifth of them kept
    apart.
    """
    few = kept_few(items)
    texts = [item.text for item in few]
    said = [answers.get(name, texts) for name in MEMBERS]
    packages = [answers.packages[name] for name in MEMBERS]
    loaded = [answers.loaded[name] for name in MEMBERS]
    base = {languages.base(item.language) for item in items}
    named = sorted({tag for one in said for tags in one.languages for tag in tags})
    table = sorted({tag for tag in named if languages.base(tag) in base or any(member.names(tag) for member in loaded)})

    known = Languages([tag for tag in table if is_written(tag)])
    features = gather(known, texts, said, [data.covered_by(package) for package in packages], find_scripts(texts))
    has = weights_for(known, packages, loaded, {}).has
    truth = np.asarray([known.find(item.language) for item in few])
    usable = np.flatnonzero((truth >= 0) & (features.named.any(axis=2) & features.possible)[np.arange(len(few)), truth])
    apart = np.asarray([zlib.crc32(item.text.encode()) % 5 == 0 for item in few])[usable]
    # All languages count alike in the fit; the calibration takes them as rare as the vote does by default.
    rarity = LanguageIdEnsemble.model_fields["rarity"].default
    rare = np.asarray([tag not in data.usual_languages() for tag in known.tags])
    each = (1 / np.maximum(np.bincount(truth[truth >= 0], minlength=len(known)), 30)).astype(np.float32)
    counts_of = count_echoes(features, truth, usable[~apart], len(known))
    weights = descend(features, truth, each[truth], usable[~apart], has, counts_of, rounds)
    share = (each * np.where(rare, np.exp(-rarity), 1.0))[truth]
    fitted, weights = weights, replace(weights, b=weights.b - rarity * rare)
    temperature = {}
    for size in range(1, len(MEMBERS) + 1):
        for chosen in combinations(range(len(MEMBERS)), size):
            temperature["+".join(sorted(packages[at] for at in chosen))] = calibrate(
                features, weights, truth, share, usable[apart], chosen
            )
    weak = {}
    full = [at for at, item in enumerate(few) if item.length == "full" and item.corpus == "udhr"]
    for at, (package, member) in enumerate(zip(packages, loaded, strict=True)):
        hits: dict[str, list[bool]] = defaultdict(list)
        for row in full:
            if member.names(few[row].language):
                tags = said[at].languages[row]
                hits[few[row].language].append(bool(tags) and is_right(few[row].language, tags[0], package))
        weak[package] = sorted(tag for tag, got in hits.items() if np.mean(got) < 0.6)
    write(out, known, fitted, packages, temperature, weak, counts_of)


def count_echoes(features: LidFeatures, truth: Any, rows: Any, size: int) -> Any:
    """(M, L, L): how often each identifier said the first of texts in the second."""
    counts = np.zeros((len(MEMBERS), size, size), np.float32)
    for at in range(len(MEMBERS)):
        said = [row for row in rows if features.best[row, at] >= 0 and not features.silent[row, at]]
        np.add.at(counts[at], (features.best[said, at], truth[said]), 1.0)
    return counts


def share_of(counts: Any, total: Any) -> Any:
    """Shares with a little doubt: a language with few texts is not sure of anything."""
    return np.where(total > 0, np.maximum((counts + DOUBT * UNKNOWN_ECHO) / (total + DOUBT), LEAST_ECHO), UNKNOWN_ECHO)


def descend(features: LidFeatures, truth: Any, share: Any, rows: Any, has: Any, counts: Any, rounds: int) -> Weights:
    """Adam on the weighted cross-entropy, with a ridge on what is special to a language; identifiers are hidden by
    chance, so that any subset works.
    """
    count = len(MEMBERS)
    at: dict[str, Any] = {
        "w": np.full(count, 0.5),
        "u": np.zeros(count),
        "s": np.full(count, 0.1),
        "c": np.full(count, -1.0),
        "g": np.full(count, 0.1),
        "h": np.zeros(count),
        "v": np.zeros(has.shape),
        "b": np.zeros(len(has)),
        "m": np.ones(1),
        "f": np.ones(1) * 0.5,
    }
    totals = counts.sum(axis=1)
    echoes = np.log(share_of(counts, totals[:, None, :])).astype(np.float32)
    first = {key: np.zeros_like(value) for key, value in at.items()}
    second = {key: np.zeros_like(value) for key, value in at.items()}
    chance = np.random.default_rng(7)
    for step in range(1, rounds + 1):
        batch = chance.choice(rows, 512, replace=False)
        part = LidFeatures(
            features.logs[batch],
            features.named[batch].copy(),
            features.rest[batch],
            features.silent[batch].copy(),
            features.best[batch],
            features.possible[batch],
            features.words[batch],
            features.foreign[batch],
            features.length[batch],
        )
        hidden = chance.random((len(batch), count)) < 0.25
        hidden[hidden.all(axis=1)] = False
        part.silent |= hidden
        part.named &= ~hidden[:, None, :]
        gold = truth[batch]
        candidates = part.named.any(axis=2) & part.possible
        fine = candidates[np.arange(len(batch)), gold]
        heard = hear(part, echoes)
        # A text must not hear itself: its own count is taken out of what was counted of its language.
        lines, columns = np.nonzero(part.best >= 0)
        said, own = part.best[lines, columns], gold[lines]
        without = share_of(counts[columns, said, own] - 1, totals[columns, own] - 1)
        heard[lines, own, columns] = np.log(without)
        shares = softmax(combine(part, gathered(at, has, echoes), heard))
        weight = (share[batch] * fine)[:, None]
        slope = shares.copy()
        slope[np.arange(len(batch)), gold] -= 1
        slope = slope * weight / max(float(weight.sum()), 1e-9)
        slope[~candidates] = 0
        labelled = (has | part.named) & ~part.silent[:, None, :]
        logs = np.where(labelled, part.logs, 0.0)
        each = slope[:, :, None] * logs
        outside = (slope[:, :, None] * (~(has | part.named) & ~part.silent[:, None, :])).sum(axis=1)
        change = {
            "w": each.sum(axis=(0, 1)),
            "u": (each.sum(axis=1) * part.length[:, None]).sum(axis=0),
            "v": each.sum(axis=0) + 3e-4 * at["v"],
            "c": outside.sum(axis=0),
            "s": (outside * part.rest).sum(axis=0),
            "b": slope.sum(axis=0) + 2e-4 * at["b"],
            "g": (slope[:, :, None] * np.where(part.silent[:, None, :], 0.0, heard)).sum(axis=(0, 1)),
            "h": (
                (slope[:, :, None] * np.where(part.silent[:, None, :], 0.0, heard)).sum(axis=1) * part.length[:, None]
            ).sum(axis=0),
            "m": np.array([(slope * part.words).sum()]),
            "f": np.array([-(slope * part.foreign).sum()]),
        }
        rate = 0.03 if step < rounds * 0.6 else 0.006
        for key, value in change.items():
            first[key] = 0.9 * first[key] + 0.1 * value
            second[key] = 0.999 * second[key] + 0.001 * value**2
            at[key] = at[key] - rate * (first[key] / (1 - 0.9**step)) / (
                np.sqrt(second[key] / (1 - 0.999**step)) + 1e-8
            )
        # A foreign name must not decide: these texts hold few of them, and the fit would trust letters blindly.
        at["f"] = np.minimum(at["f"], MOST_FOREIGN)
        if step % 200 == 0:
            loss = -np.log(np.maximum(shares[np.arange(len(batch)), gold], 1e-6))[fine].mean()
            print(
                f"{step}: {loss:.3f} w {at['w'].round(2)} u {at['u'].round(2)} g {at['g'].round(2)} h"
                f" {at['h'].round(2)} m {at['m'][0]:.2f} f {at['f'][0]:.2f}",
                flush=True,
            )
    return gathered(at, has, echoes)


def gathered(at: dict[str, Any], has: Any, echoes: Any) -> Weights:
    lists = {key: value for key, value in at.items() if key not in ("m", "f")}
    return Weights(**lists, echoes=echoes, m=float(at["m"][0]), f=float(at["f"][0]), has=has)


def calibrate(
    features: LidFeatures, weights: Weights, truth: Any, share: Any, rows: Any, chosen: tuple[int, ...]
) -> list[float]:
    """Level and slope (over the length) of the log-temperature under which the texts kept apart are likeliest."""
    silent = features.silent[rows].copy()
    named = features.named[rows].copy()
    for at in set(range(len(MEMBERS))) - set(chosen):
        silent[:, at], named[:, :, at] = True, False
    part = LidFeatures(
        features.logs[rows],
        named,
        features.rest[rows],
        silent,
        features.best[rows],
        features.possible[rows],
        features.words[rows],
        features.foreign[rows],
        features.length[rows],
    )
    scores = combine(part, weights)
    gold = truth[rows]
    fine = np.isfinite(scores[np.arange(len(rows)), gold])
    scores, gold, length, weight = scores[fine], gold[fine], part.length[fine], share[rows][fine]
    own = scores[np.arange(len(gold)), gold]
    top = -np.sort(-scores, axis=1)[:, :12]
    best = (np.inf, 0.0, 0.0)
    for level in np.arange(-1.4, 1.55, 0.1):
        for slope in np.arange(-0.4, 0.45, 0.1):
            heat = np.exp(level + slope * length)
            raised = np.exp((top - top[:, :1]) / heat[:, None]).sum(axis=1)
            loss = float(((np.log(raised) - (own - top[:, 0]) / heat) * weight).sum())
            best = min(best, (loss, float(level), float(slope)))
    return [round(best[1], 2), round(best[2], 2)]


def note_weak(out: Path, items: list[Item], answers: Answers) -> None:
    """Adds the languages that the vote (without and with heliport) cannot be trusted with: right in fewer than three of
    five sentences, or never measured.
    """
    whole = json.loads(out.read_text(encoding="utf-8"))
    full = [item for item in kept_few(items) if item.length == "full"]
    texts = [item.text for item in full]
    said = {name: answers.get(name, texts) for name in MEMBERS}
    held: dict[str, LanguageIdentifier] = {
        name: Replayed(answers.loaded[name], texts, one) for name, one in said.items()
    }
    for key, members in (("ensemble", VOTES["ensemble"]), ("ensemble+heliport", MEMBERS)):
        found = held_vote(LanguageIdEnsemble(members=members, abstain=0.0), held, answers, whole["weights"]).identify(
            texts
        )
        hits: dict[str, list[bool]] = defaultdict(list)
        for item, tags in zip(full, found.languages, strict=True):
            hits[item.language].append(bool(tags) and is_right(item.language, tags[0]))
        whole["weak"][key] = sorted(
            tag for tag in whole["weights"]["languages"] if len(hits[tag]) < 8 or np.mean(hits[tag]) < 0.6
        )
    dump(out, whole)


def says_of(known: Languages, counts: Any) -> dict[str, dict[str, float]]:
    """Language → label → share, where it is worth telling."""
    total = counts.sum(axis=0)
    shares = share_of(counts, total[None])
    return {
        known.tags[column]: {
            known.tags[row]: round(float(shares[row, column]), 3) for row in np.flatnonzero(counts[:, column])
        }
        for column in np.flatnonzero(total)
    }


def write(
    out: Path,
    known: Languages,
    weights: Weights,
    packages: list[str],
    temperature: dict[str, list[float]],
    weak: dict[str, list[str]],
    counts: Any,
) -> None:
    identifiers = {}
    for at, package in enumerate(packages):
        special = {
            tag: round(float(weights.v[row, at]), 2)
            for row, tag in enumerate(known.tags)
            if abs(weights.v[row, at]) >= 0.03
        }
        identifiers[package] = {
            key: round(float(getattr(weights, key)[at]), 3) for key in ("w", "u", "s", "c", "g", "h")
        } | {"v": special, "says": says_of(known, counts[at])}
    prior = {tag: round(float(weights.b[row]), 2) for row, tag in enumerate(known.tags) if abs(weights.b[row]) >= 0.03}
    lowest = round(float(np.quantile(weights.b, 0.1)), 2)
    whole = {
        "owner": "curate maintainers",
        "license": "CC0-1.0",
        "version": 1,
        "weak": weak,
        "weights": {
            "languages": known.tags,
            "identifiers": identifiers,
            "b": prior,
            "unmeasured": lowest,
            "m": round(weights.m, 3),
            "f": round(weights.f, 3),
            "letters": LETTERS,
            "temperature": temperature,
        },
    }
    whole["made_by"] = "benchmarks/language_id.py fit; what the letters mean: curate/models/langid/ensemble_scoring.py"
    dump(out, whole)


def dump(out: Path, whole: dict[str, Any]) -> None:
    """JSON with one line for each language and each list."""
    lines = regex.sub(
        r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), json.dumps(whole, ensure_ascii=False, indent=1)
    )
    out.write_text(regex.sub(r"\n\s{6,}|\n {5}(?=\})", " ", lines) + "\n", encoding="utf-8")

"""The fit of ``languages_triples.json``, for ``language_unknown.py fit``: triples of letters and weights."""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import regex
from language_texts import is_right, plain_tag, udhr
from language_unknown_texts import Text, look

from curate.models.langid import language_data as data
from curate.models.langid.ensemble import LanguageIdEnsemble
from curate.models.langid.ensemble_scoring import split_words
from curate.models.langid.triples import BUCKETS, STEP, Triples, bucket, find_triples
from curate.rows import languages

KEPT = 2500
"""Triples of a language at most."""
_LEAST_TEXTS, _NEARLY_ALL, _ODD = 30, 0.98, 1.2
_FOLDS, _PSEUDO, _LARGEST, _LEAST_COUNTED = 4, 1000.0, 14, 2500
_MARKUP = regex.compile(
    r"\{\{[^{}|]*\}\}|\{\{[^{}:|]*:?|\}\}|\[\[[^\]|]*\||\[\[|\]\]|\$\d|<[^<>]*>|https?://\S+|\||%\(\w+\)[a-z]|&\w+;"
    r"|\[\S+|''+|\w*[A-Z]{2,}\w*:"
)


def interface(folder: Path) -> dict[str, list[str]]:
    """Tag → translated messages of ``xx.json`` files."""
    found: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for path in sorted(folder.rglob("*.json")):
        tag = plain_tag(path.stem.replace("-hans", "-Hans").replace("-hant", "-Hant"))
        if tag is None or path.stem in ("qqq", "en-gb"):
            continue
        try:
            told = json.loads(path.read_bytes())
        except ValueError:
            continue
        if isinstance(told, dict):
            place = str(path.parent)
            found[tag].update({(place, key): one for key, one in told.items() if isinstance(one, str)})
    english = found["en"]
    plain = {
        tag: [
            _MARKUP.sub(" ", _MARKUP.sub(" ", one))
            for key, one in mine.items()
            if tag == "en" or one != english.get(key)
        ]
        for tag, mine in found.items()
    }
    return {tag: [" ".join(one.split()) for one in mine if len(one) > 3] for tag, mine in plain.items()}


def count(texts: list[str]) -> Counter[tuple[int, int, int]]:
    """The triples of letters of texts."""
    found: Counter[tuple[int, int, int]] = Counter()
    for one in texts:
        for word in split_words(one):
            points = [32, *map(ord, word), 32]
            found.update(zip(points, points[1:], points[2:], strict=False))
    return found


def made(counted: Counter[tuple[int, int, int]], common: Any) -> dict[str, Any]:
    """The distinctive triples of a language, by level, and the level of all others."""
    total = counted.total()
    absent = max(-_LARGEST, round(np.log(_PSEUDO / (total + _PSEUDO)) / STEP))
    letters = [one for one, number in counted.items() if number >= 2]
    buckets = bucket(*np.asarray(letters, np.uint32).T)
    numbers = np.asarray([counted[one] for one in letters])
    levels = np.log((numbers + _PSEUDO * common[buckets]) / (total + _PSEUDO) / common[buckets]) / STEP
    levels = np.clip(np.round(levels), -_LARGEST, _LARGEST).astype(int)
    by: dict[str, str] = defaultdict(str)
    for at in np.argsort(-numbers * (levels - absent), kind="stable")[:KEPT].tolist():
        if levels[at] > absent:
            by[str(levels[at])] += "".join(map(chr, letters[at]))
    return {"usual": 0.0, "absent": absent, "triples": dict(sorted(by.items(), key=lambda one: -int(one[0])))}


def count_languages(folder: Path, messages: dict[str, list[str]]) -> dict[str, Any]:
    texts: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"udhr": [], "messages": []})
    for tag, at, paragraph in udhr(folder):
        if at % 2 == 0:
            texts[tag]["udhr"].append(paragraph)
    for tag, mine in messages.items():
        texts[tag]["messages"].extend(mine)
    wanted = {
        tag
        for tag in texts
        if tag in data.weights()["weights"]["languages"]
        and not {"Han", "Hiragana"} & set(languages.letters(tag))
        and tag not in data.deciding_scripts().values()
    }
    script = {tag: languages.letters(tag)[:1] for tag in texts}
    folds = {
        tag: [
            [one for part in texts[tag].values() for one in part if zlib.crc32(one.encode()) % _FOLDS == fold]
            for fold in range(_FOLDS)
        ]
        for tag in texts
    }
    counted = {tag: [count(fold) for fold in mine] for tag, mine in folds.items()}
    whole = {tag: sum(mine, Counter()) for tag, mine in counted.items()}
    common: dict[tuple[str, ...], Any] = {}
    for tag, one in whole.items():
        if one.total() >= _LEAST_COUNTED:
            shares = np.zeros(BUCKETS)
            np.add.at(shares, bucket(*np.asarray(list(one), np.uint32).T), list(one.values()))
            common.setdefault(script[tag], []).append(shares / shares.sum())
    common = {key: (mean := np.mean(mine, axis=0) + 1e-7) / mean.sum() for key, mine in common.items()}
    found = {}
    for tag in sorted(wanted):
        if whole[tag].total() < _LEAST_COUNTED:
            continue
        found[tag] = made(whole[tag], common[script[tag]])
        means: dict[str, list[float]] = defaultdict(list)
        for fold in range(_FOLDS):
            rest = sum((one for at, one in enumerate(counted[tag]) if at != fold), Counter())
            apart = Triples({tag: made(rest, common[script[tag]])})
            for corpus, mine in texts[tag].items():
                some = [one for one in mine if len(one) >= 25 and zlib.crc32(one.encode()) % _FOLDS == fold][:20]
                found_triples = find_triples([split_words(one) for one in some])
                odd = apart.oddness(found_triples, [tag] * len(some))
                means[corpus] += (-odd[found_triples.numbers >= 5]).tolist()
        each = [np.mean(mine) for mine in means.values() if len(mine) >= 5]
        if each:
            found[tag]["usual"] = round(float(min(each)), 2)
        else:
            del found[tag]
    return found


def descend(given: Any, truth: Any, weight: Any) -> Any:
    """Logistic regression by Newton's method."""
    scale = np.maximum(given.std(axis=0), 1e-6) * (given.std(axis=0) > 0) + (given.std(axis=0) == 0)
    scaled = (given / scale).astype(np.float64)
    found = np.zeros(given.shape[1])
    for _ in range(60):
        share = 1 / (1 + np.exp(-scaled @ found))
        slope = scaled.T @ (weight * (share - truth)) + 1e-3 * found
        curve = (scaled * (weight * share * (1 - share))[:, None]).T @ scaled + 1e-3 * np.eye(len(found))
        found -= np.linalg.solve(curve, slope)
    return found / scale


def fit(texts: list[Text], folder: Path, messages: dict[str, list[str]], out: Path, lost: float) -> None:
    counted = count_languages(folder, messages)
    model = LanguageIdEnsemble(abstain=0.0).load(cache=None, threads=1)
    some = [one for one in texts if one.half == "tune"]
    labels, shares, at, given = look(model, [one.text for one in some], Triples(counted))
    right = np.asarray([some[row].known and is_right(some[row].language, labels[row]) for row in at])
    strange = np.asarray([not some[row].known for row in at])
    full = np.asarray([some[row].length == "full" for row in at])
    fresh = right & full & np.asarray([not some[row].corpus.startswith("udhr") for row in at])
    tags = np.asarray([labels[row] for row in at])
    # In a language of which there are lists, names or other unusual texts the usual is what nearly all of them reach.
    for tag in sorted(set(tags[fresh])):
        mine = fresh & (tags == tag)
        if mine.sum() >= _LEAST_TEXTS:
            counted[tag]["usual"] = round(
                counted[tag]["usual"] - max(0.0, float(np.quantile(given[mine, 0], _NEARLY_ALL)) - _ODD), 2
            )
    labels, shares, at, given = look(model, [one.text for one in some], Triples(counted))
    use = (right | strange) & (shares[at] >= 0.5)
    kinds = [(some[row].language, some[row].length) for row in at]
    sizes = Counter(kind for kind, used in zip(kinds, use, strict=True) if used)
    weight = np.asarray([sizes[kind] ** -0.5 if used else 0.0 for kind, used in zip(kinds, use, strict=True)])
    weight[right] *= 3 * weight[strange].sum() / weight[right].sum()
    found = descend(given[use], strange[use].astype(float), weight[use])
    # The right answers that are withheld are a stated share of those on the texts that were tuned on.
    sure = right & np.asarray([some[row].length not in ("2", "3") for row in at])
    found[-1] -= np.quantile(given[sure] @ found, 1 - lost)
    whole = {
        "owner": "curate maintainers",
        "license": "CC0-1.0",
        "version": 1,
        "made_by": "benchmarks/language_unknown.py fit, counted in the Universal Declaration of Human Rights and in "
        "interface messages under the MIT licence; what the parts mean: curate/models/langid/unknown.py",
        "weights": [round(float(one), 3) for one in found],
        "languages": counted,
    }
    out.write_text(json.dumps(whole, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{len(counted)} languages, {out.stat().st_size / 1e6:.1f} MB, weights {whole['weights']}")

"""Languages that no identifier knows: how many of their texts the model ``ensemble`` gives another language's name, and
how many right answers it withholds; and the fit of what tells them (``languages_triples.json``).

    python benchmarks/language_unknown.py --data FOLDER --messages DJANGO
    python benchmarks/language_unknown.py fit --data FOLDER --catalogues FOLDER --interface FOLDER --out FILE

Unknown languages are those of the Declaration of Human Rights that no default member has a label for, in two halves by
the first word of their names (all varieties of Quechua are in one). Triples of letters are counted in the Declaration's
even paragraphs and in interface messages (``--interface``: folders of ``xx.json`` files, here the MIT-licensed ones of
VisualEditor, Echo and pywikibot); the weights are fitted on one half of the unknown languages and, of known ones, on
half of the odd paragraphs and of the other corpora and on a system's catalogues.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import regex
from duplicates import markdown
from language_texts import DATA, is_right, plain_tag, read_items, udhr

from curate.models.langid import language_data as data
from curate.models.langid.ensemble import LanguageIdEnsemble, LoadedEnsemble
from curate.models.langid.ensemble_scoring import gather, split_words
from curate.models.langid.labels import ReadTexts
from curate.models.langid.scripts import as_trained
from curate.models.langid.unknown import BUCKETS, STEP, Triples, bucket, gather_evidence
from curate.rows import languages
from curate.text.masks import MASKABLE, mask

HALVES = ("tune", "held")
KEPT = 2500
"""Triples of a language at most."""
_LEAST_TEXTS, _NEARLY_ALL, _ODD = 30, 0.98, 1.2
_FOLDS, _PSEUDO, _LARGEST, _LEAST_COUNTED = 4, 1000.0, 14, 2500
_MARKUP = regex.compile(
    r"\{\{[^{}|]*\}\}|\{\{[^{}:|]*:?|\}\}|\[\[[^\]|]*\||\[\[|\]\]|\$\d|<[^<>]*>|https?://\S+|\||%\(\w+\)[a-z]|&\w+;"
    r"|\[\S+|''+|\w*[A-Z]{2,}\w*:"
)
_LENGTHS = (("full",), ("8", "5"), ("4", "3"))


class Text(NamedTuple):
    language: str
    known: bool
    half: str
    corpus: str
    length: str
    text: str


# --------------------------------------------------------------------------------------------------------------- texts
def half_of(key: str) -> str:
    return HALVES[zlib.crc32(key.encode()) % 2]


def declaration_names(folder: Path) -> dict[str, str]:
    """Tag → the first word of the language's name."""
    found: dict[str, str] = {}
    for line in gzip.decompress((folder / "mono" / "udhr.jsonl.gz").read_bytes()).decode().splitlines():
        row = json.loads(line)
        for code in (row["iso6393"], row["bcp47"]):
            found.setdefault(str(plain_tag(code)), regex.split(r"[ ,(]", row["name"])[0])
    return found


def read_texts(folder: Path, messages: Path | None, system: Path | None, model: LoadedEnsemble) -> Iterator[Text]:
    names = declaration_names(folder)
    paragraphs: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for tag, at, paragraph in udhr(folder):
        paragraphs[tag].append((at, " ".join(paragraph.split())))
    for tag, mine in paragraphs.items():
        rng = random.Random(tag)
        mine = [(at, one) for at, one in mine if sum(map(str.isalpha, one)) >= 20]
        if not model.names(tag):
            half = half_of(names.get(tag, tag))
            for _, one in mine:
                yield Text(tag, False, half, "udhr", "full", one)
                words = one.split()
                for size in (8, 4):
                    if len(words) > size:
                        start = rng.randrange(len(words) - size + 1)
                        yield Text(tag, False, half, "udhr", str(size), " ".join(words[start : start + size]))
        elif model.supports(tag):
            yield from (Text(tag, True, half_of(one), "udhr, paragraphs", "full", one) for at, one in mine if at % 2)
    yield from instructions(folder)
    for item in read_items(folder, messages, system):
        if model.supports(item.language) and not (item.corpus == "udhr" and item.part == 0):
            half = {"messages": "held", "system": "tune"}.get(item.corpus, half_of(item.text))
            yield Text(item.language, True, half, item.corpus, item.length, item.text)


def instructions(folder: Path) -> Iterator[Text]:
    """Answers of Alpaca, many of them lists and single words, as the step ``language`` reads them."""
    for tag, name in (("en", "alpaca_data_en.json.gz"), ("de", "alpaca_de_openai_12k.jsonl.gz")):
        whole = gzip.decompress((folder / "alpaca" / name).read_bytes()).decode()
        rows = json.loads(whole) if name.endswith(".json.gz") else map(json.loads, whole.splitlines())
        answers = random.Random(tag).sample([str(row["output"]) for row in rows if row["output"]], 4000)
        for one in as_trained(mask(pl.Series(answers), MASKABLE)):
            if sum(map(str.isalpha, one)) >= 20:
                yield Text(tag, True, half_of(one), f"Alpaca, {tag}", "full", one)


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


# ----------------------------------------------------------------------------------------------------------------- fit
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
    model = LanguageIdEnsemble().load(cache=None, threads=1)
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
                odd, numbers = apart.oddness([split_words(one) for one in some], [tag] * len(some))
                means[corpus] += [-float(value) for value, number in zip(odd, numbers, strict=True) if number >= 5]
        each = [np.mean(mine) for mine in means.values() if len(mine) >= 5]
        if each:
            found[tag]["usual"] = round(float(min(each)), 2)
        else:
            del found[tag]
    del model
    return found


def look(model: LoadedEnsemble, texts: list[str], usual: Triples | None) -> tuple[list[str], Any, Any, Any]:
    """The label and probability of each text without the check, and the evidence of :func:`gather_evidence`."""
    labels, shares, places, rows = [], [], [], []
    for start in range(0, len(texts), 512):
        read = ReadTexts(texts[start : start + 512], 4000)
        said = [member.identify(read, 10) for member in model._members]
        features = gather(model._known, read, said, model._covers, read.scripts)
        weighed = model._weigh(features)
        best, value = weighed.argmax(axis=1), weighed.max(axis=1)
        tags = [model._known.tags[at] if value[row] else "" for row, at in enumerate(best)]
        names = [[model._known.tags[at] if at >= 0 else "" for at in row] for row in features.best.tolist()]
        at, given = gather_evidence(read, tags, value, names, model._current().has[best], usual)
        labels += tags
        shares.append(value)
        places.append(at + start)
        rows.append(given)
    return labels, np.concatenate(shares), np.concatenate(places), np.concatenate(rows)


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


# -------------------------------------------------------------------------------------------------------------- tables
def measure(texts: list[Text], half: str, by_language: bool) -> None:
    model = LanguageIdEnsemble(abstain=0.0).load(cache=None, threads=1)
    some = [one for one in texts if one.half == half]
    plain = [one.text for one in some]
    before, values, _, _ = look(model, plain, None)
    model.identify(plain[:500], 3)
    start = time.process_time()
    answers = model.identify(plain, 3)
    print(f"{(time.process_time() - start) / len(plain) * 1e6:.0f} µs a text")
    after = [tags[0] if tags else "" for tags in answers.languages]
    strange = np.asarray([not new and bool(old) for new, old in zip(after, before, strict=True)])
    sure = values >= 0.9
    known = np.asarray([one.known for one in some])
    right = known & np.asarray([is_right(one.language, tag) for one, tag in zip(some, before, strict=True)])
    wrong = known & ~right
    covered = np.asarray(
        [not one.known and languages.base(tag) == covering(one.language) for one, tag in zip(some, before, strict=True)]
    )
    lines = []
    for lengths in (*_LENGTHS, ("2",)):
        size = np.asarray([one.length in lengths for one in some])
        alien, mine = size & ~known, size & right
        apart = alien & ~covered
        lines.append(
            [
                "paragraphs and sentences" if lengths == ("full",) else f"{' or '.join(sorted(lengths))} words",
                share(sure[alien]),
                share((sure & ~strange)[alien]),
                share((sure & ~strange)[apart]),
                share(strange[mine], 2),
                share(strange[size & wrong]),
            ]
        )
    print(f"\n### {half}\n")
    print(
        markdown(
            [
                "length",
                "unknown, p ≥ .9 before",
                "now",
                "now, without Quechua as `qu`",
                "right answers withheld",
                "wrong answers withheld",
            ],
            lines,
        )
    )
    rows = []
    for corpus in dict.fromkeys(one.corpus for one in some if one.known):
        each = np.asarray([one.corpus == corpus and one.length == "full" for one in some])
        rows.append([corpus, str(int((each & right).sum())), share(strange[each & right], 2)])
    print("\n" + markdown(["corpus", "right answers on sentences", "withheld"], rows))
    if by_language:
        lost = Counter(some[at].language for at in np.flatnonzero(strange & right) if some[at].length == "full")
        of = Counter(some[at].language for at in np.flatnonzero(right) if some[at].length == "full")
        print([(tag, number, of[tag]) for tag, number in lost.most_common(30)])
        left = np.flatnonzero(~known & ~strange & sure)
        print(Counter((some[at].language, after[at]) for at in left).most_common(60))


def covering(tag: str) -> str:
    """The macrolanguage whose name is right for a variety: Quechua has one label."""
    return "qu" if tag.startswith("q") else ""


def share(values: Any, digits: int = 1) -> str:
    return f"{100 * np.mean(values):.{digits}f} %" if len(values) else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("tables", "fit"), default="tables")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--messages", type=Path, help="message catalogues to measure on (an installed Django)")
    parser.add_argument("--catalogues", type=Path, help="message catalogues to fit on (a system's locale folder)")
    parser.add_argument("--interface", type=Path, help="folders of xx.json files to count triples in")
    parser.add_argument("--half", choices=HALVES, default="held")
    parser.add_argument("--out", type=Path, default=Path("languages_triples.json"))
    parser.add_argument(
        "--lost", type=float, default=0.003, help="share of right answers withheld, on the texts tuned on"
    )
    parser.add_argument("--by-language", action="store_true")
    given = parser.parse_args()
    model = LanguageIdEnsemble(abstain=0.0).load(cache=None, threads=1)
    texts = list(read_texts(given.data, given.messages, given.catalogues, model))
    if given.what == "fit":
        fit(texts, given.data, interface(given.interface), given.out, given.lost)
    else:
        measure(texts, given.half, given.by_language)


if __name__ == "__main__":
    main()

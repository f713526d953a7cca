"""Texts whose language is known, and what identifiers say of them: for :mod:`language_id` and :mod:`language_fit`."""

from __future__ import annotations

import gettext
import gzip
import json
import random
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import regex

from curate.models.embedding.preprocess import make_fit, strip_tashkeel
from curate.models.langid import language_data as data
from curate.models.langid.ensemble import LanguageIdEnsemble, LoadedEnsemble
from curate.models.langid.labels import find_scripts
from curate.rows import languages
from curate.steps import Registry
from curate.steps.models import Identified, LanguageIdentifier
from curate.text import segmentation as text

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
MEMBERS = ("fasttext", "eld", "cld2", "lingua", "heliport")
VOTES = {
    "ensemble": ("fasttext", "eld", "cld2"),
    "ensemble-wide": ("fasttext", "eld", "cld2", "lingua"),
    "ensemble-permissive": ("eld", "cld2", "lingua"),
    "ensemble-all": MEMBERS,
}
LENGTHS = ("full", "5", "3", "2")
PER_LANGUAGE = 30
_TWO, _FOUR = ("Han", "Hiragana", "Katakana"), ("Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
_LABELS = 10
MOST_FOREIGN = 2.5
DOUBT = 4.0
_NO_LANGUAGE = regex.compile(
    r"%\([A-Za-z0-9_]+\)[a-z]|%[-+0-9.]*[a-zA-Z]|\{[^{}]*\}|<[^<>]*>|&\w+;|https?://\S+|\\[nt]|[_&](?=\w)"
)
# UDHR files whose tag is another language's, whose text is a mixture, or which repeat one that is there.
_UDHR_SKIPPED = ("auv", "prv", "aka_fante")
_CATALOGUES = (
    "glib20",
    "gtk20",
    "coreutils",
    "Linux-PAM",
    "gdk-pixbuf",
    "at-spi2-core",
    "bash",
    "grep",
    "sed",
    "wget",
    "findutils",
    "apt",
    "dpkg",
    "shadow",
    "shared-mime-info",
    "software-properties",
    "PackageKit",
    "gsettings-desktop-schemas",
)


@dataclass(frozen=True)
class Item:
    """A text whose language is known."""

    corpus: str
    part: int
    language: str
    length: str
    text: str


# ------------------------------------------------------------------------------------------------------------- corpora
def plain_tag(code: str) -> str | None:
    """The tag without region and variants; None for what names no language."""
    try:
        tag = languages.normalize(code)
    except languages.InvalidLanguage:
        return None
    script = [part for part in tag.split("-")[1:] if len(part) == 4 and part[0].isupper()]
    return None if tag == languages.UNKNOWN else "-".join([languages.base(tag), *script])


def udhr(folder: Path) -> Iterator[tuple[str, int, str]]:
    path = folder / "mono" / "udhr.jsonl.gz"
    seen = set()
    for line in gzip.decompress(path.read_bytes()).decode().splitlines() if path.exists() else ():
        row = json.loads(line)
        # Files with a number in place of a code are dialects under the tag of the standard language.
        if row["code"].isdigit() or row["code"] in _UDHR_SKIPPED:
            continue
        code = row["iso6393"] if row["bcp47"] in ("qu", "hmn", "man", "lah", "bik", "ak") else row["bcp47"]
        tag = plain_tag("ms" + code[3:] if code.startswith("zlm") else code)
        if tag is None or tag in seen:
            continue
        seen.add(tag)
        yield from ((tag, index, paragraph) for index, paragraph in enumerate(row["paragraphs"]))


def benches(folder: Path) -> Iterator[tuple[str, str, int, str]]:
    for path in sorted((folder / "bench" / "xquad").glob("xquad.*.json.gz")):
        tag = str(plain_tag(path.name.split(".")[1]))
        whole = json.loads(gzip.decompress(path.read_bytes()))["data"]
        lines = [
            line
            for one in whole
            for each in one["paragraphs"]
            for line in (each["context"], *(qa["question"] for qa in each["qas"]))
        ]
        yield from (("xquad", tag, index, line) for index, line in enumerate(lines))
    for path in sorted((folder / "parallel" / "tatoeba").glob("tatoeba.*-eng.*")):
        code = path.suffix[1:]
        if code != "eng" or path.name.startswith("tatoeba.fra"):
            lines = path.read_text(encoding="utf-8").splitlines()
            yield from (("tatoeba", str(plain_tag(code)), index, line) for index, line in enumerate(lines))
    for path in sorted((folder / "bench" / "mgsm").glob("mgsm_*.tsv")):
        lines = path.read_text(encoding="utf-8").splitlines()
        yield from (
            ("mgsm", str(plain_tag(path.stem[5:])), index, line.split("\t")[0]) for index, line in enumerate(lines)
        )
    path = folder / "parallel" / "en_32_languages.parquet"
    if path.exists():
        for source, code, english, other in pl.read_parquet(path).iter_rows():
            if not source.startswith("udhr") and english != other:
                yield (
                    source.partition(":")[0],
                    str(plain_tag(code.replace("zh_tw", "zh-Hant"))),
                    zlib.crc32(english.encode()),
                    other,
                )


def catalogues(folder: Path, names: Sequence[str] | None) -> Iterator[tuple[str, int, str]]:
    """Messages of compiled catalogues (``xx/LC_MESSAGES/name.mo``) that are translated."""
    for path in sorted(folder.rglob("*/LC_MESSAGES/*.mo")):
        code = path.parts[-3].replace("@latin", "_Latn").replace("@cyrillic", "_Cyrl")
        # Regional copies hold little of their own, and English ones are the originals.
        if (
            (names is not None and path.stem not in names)
            or "@" in code
            or code.startswith("en")
            or (regex.search(r"_[A-Z]{2}$", code) and "zh" not in code)
        ):
            continue
        tag = plain_tag(code)
        try:
            messages = gettext.GNUTranslations(path.open("rb"))._catalog.items()  # type: ignore[attr-defined]
        except (OSError, ValueError, IndexError):  # some headers are malformed
            continue
        for key, value in messages if tag is not None else ():
            original = key[0] if isinstance(key, tuple) else key
            if original and isinstance(value, str) and value != original:
                yield str(tag), zlib.crc32(original.encode()), value


def read_items(folder: Path, messages: Path | None, system: Path | None) -> list[Item]:
    pool: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for tag, index, line in udhr(folder):
        pool["udhr", tag].append((index, line))
    for corpus, tag, index, line in benches(folder):
        pool[corpus, tag].append((index, line))
    for corpus, place, names in (("messages", messages, None), ("system", system, _CATALOGUES)):
        for tag, index, line in catalogues(place, names) if place is not None else ():
            pool[corpus, tag].append((index, line))
    return [item for (corpus, tag), lines in pool.items() for item in cut(corpus, tag, lines)]


def cut(corpus: str, tag: str, lines: list[tuple[int, str]]) -> Iterator[Item]:
    """Sentences in one script, and a stretch of each length out of them; odd paragraphs are part 1."""
    frame = pl.DataFrame(
        {
            "part": [index % 2 for index, _ in lines],
            "text": [" ".join(_NO_LANGUAGE.sub(" ", line).split()) for _, line in lines],
        }
    )
    frame = (
        frame.with_columns(text=text.sentences(text.strip_marks(frame["text"])))
        .explode("text")
        .drop_nulls()
        .unique("text", maintain_order=True)
    )
    frame = frame.with_columns(
        letters=text.letter_weights(frame["text"])["letters"],
        systems=pl.Series(map(len, text.writing(text.script_counts(frame["text"]))), dtype=pl.Int64),
    )
    for part in (0, 1):
        sentences = frame.filter((pl.col("part") == part) & (pl.col("letters") >= 20) & (pl.col("systems") == 1))[
            "text"
        ].to_list()
        sentences = [strip_tashkeel(make_fit(one)) for one in sentences]
        chance = random.Random(f"{corpus} {tag} {part}")
        chance.shuffle(sentences)
        if len(sentences) < 8:
            continue
        scripts = find_scripts(sentences[:PER_LANGUAGE])
        for sentence, (script, _) in zip(sentences[:PER_LANGUAGE], scripts, strict=True):
            spelt = tag if languages.base(tag) != "zh" else chinese(sentence)
            yield Item(corpus, part, spelt, "full", sentence)
            for length in LENGTHS[1:]:
                piece = stretch(sentence, script, int(length), chance)
                if piece:
                    yield Item(corpus, part, spelt, length, piece)


def chinese(sentence: str) -> str:
    """Tatoeba's Mandarin is in both spellings, line by line."""
    points = np.frombuffer(sentence.encode("utf-32-le"), np.uint32)
    simplified, traditional = (side[points].sum() for side in text.chinese_variants())
    return "zh-Hant" if traditional > simplified else "zh"


def stretch(sentence: str, script: str, words: int, chance: random.Random) -> str | None:
    if script in (*_TWO, *_FOUR):
        size = words * (2 if script in _TWO else 4)
        start = chance.randrange(max(1, len(sentence) - size + 1))
        piece = sentence[start : start + size]
        return (
            piece
            if len(sentence) > size
            and sum(map(str.isalpha, piece)) >= 0.6 * size
            and not regex.search("[A-Za-z]", piece)
            else None
        )
    units = sentence.split()
    for _ in range(6 if len(units) >= words else 0):
        start = chance.randrange(len(units) - words + 1)
        chosen = units[start : start + words]
        if all(sum(map(str.isalpha, one)) >= max(1, len(one) / 2) for one in chosen):
            return " ".join(chosen)
    return None


# ------------------------------------------------------------------------------------------------------------- answers
class Answers:
    """What each identifier says of each text, kept on disk between runs."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self.cost: dict[str, str] = {}
        self.loaded: dict[str, Any] = {}
        self.packages: dict[str, str] = {}

    def get(self, name: str, texts: Sequence[str]) -> Identified:
        model = Registry.installed().get("model", name)()
        self.packages[name] = model.name_and_revision().partition("@")[0]
        path = None if self._cache is None else self._cache / f"{model.name_and_revision().replace('/', '_')}.json"
        known: dict[str, Any] = json.loads(path.read_bytes()) if path is not None and path.exists() else {}
        before = psutil.Process().memory_info().rss
        start = time.perf_counter()
        self.loaded[name] = loaded = model.load(cache=None, threads=1)
        loaded.identify(["a first text"])
        seconds = time.perf_counter() - start
        missing = [one for one in dict.fromkeys(texts) if one not in known]
        sample = list(dict.fromkeys(texts))[:2000]
        start = time.process_time()
        loaded.identify(sample, _LABELS)
        each = (time.process_time() - start) / max(1, len(sample)) * 1e6
        found = loaded.identify(missing, _LABELS)
        known.update(zip(missing, zip(found.languages, found.probabilities, strict=True), strict=True))
        grown = (psutil.Process().memory_info().rss - before) / 1e6
        self.cost[name] = f"{each:.0f} µs, +{grown:.0f} MB, {seconds:.1f} s to load"
        if path is not None and missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(known, ensure_ascii=True))
        return Identified([known[one][0] for one in texts], [known[one][1] for one in texts])


class Replayed:
    """An identifier that says again what it said."""

    def __init__(self, inner: Any, texts: Sequence[str], said: Identified) -> None:
        self._inner, self._said = (
            inner,
            dict(zip(texts, zip(said.languages, said.probabilities, strict=True), strict=True)),
        )

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        pairs = [self._said[one] for one in texts]
        return Identified([tags[:k] for tags, _ in pairs], [values[:k] for _, values in pairs])

    def supports(self, language: str) -> bool:
        return bool(self._inner.supports(language))

    def names(self, language: str) -> bool:
        return bool(self._inner.names(language))


def is_right(expected: str, found: str, package: str = "") -> bool:
    """Whether a label is that language, or the one label that the identifier has for it and its close relatives."""
    return languages.accepts(expected, found) or expected in data.covered_by(package).get(found, ())


def held_vote(
    vote: LanguageIdEnsemble, held: dict[str, LanguageIdentifier], answers: Answers, measured: Any = None
) -> Any:
    return LoadedEnsemble(
        vote,
        {name: held[name] for name in vote.members},
        [answers.packages[name] for name in vote.members],
        measured or data.weights()["weights"],
    )

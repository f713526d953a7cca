"""What the step ``language`` says of texts with few letters: how many it judges, how many right ones it drops, and how
many in a wrong language of the same script it catches.

    python benchmarks/language_short.py --data FOLDER --half held [--models ensemble fasttext]

Excerpts of one to four words (two to eight characters where there are no spaces) of Tatoeba's sentences, XQuAD's
questions and translations of the Quran; ``tune`` and ``held`` have other texts.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import regex
from contamination_alarms import TATOEBA, part
from contamination_items import xquad
from workbench import DATA, World, documents, markdown

from curate.text import segmentation as text

BANDS = ((3, 6), (6, 10), (10, 15), (15, 20))
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]")
_SCRIPTS = {
    "ar": "Arab",
    "fa": "Arab",
    "hi": "Deva",
    "ja": "Jpan",
    "ko": "Hang",
    "ru": "Cyrl",
    "uk": "Cyrl",
    "bg": "Cyrl",
    "sr": "Cyrl",
    "el": "Grek",
    "he": "Hebr",
    "th": "Thai",
    "zh": "Hani",
    "zh-Hant": "Hani",
}


def excerpts(data: Path, half: int, most: int) -> list[tuple[str, str]]:
    """(language, excerpt), the same number of each language."""
    sentences: dict[str, list[str]] = {}
    for language, name in {**TATOEBA, "hi": "hin", "sw": "swh"}.items():
        path = data / "parallel" / "tatoeba" / f"tatoeba.{name}-eng.{name}"
        sentences.setdefault(language, []).extend(path.read_text().split("\n"))
    english = (data / "parallel" / "tatoeba" / "tatoeba.deu-eng.eng").read_text().split("\n")
    sentences.setdefault("en", []).extend(english)
    frame = pl.read_parquet(data / "parallel" / "en_32_languages.parquet")
    for language, one in frame.filter(pl.col("src").str.contains("quran")).select("lang", "xx").iter_rows():
        sentences.setdefault(language, []).append(one)
    for path in (data / "bench" / "xquad").glob("xquad.*.json.gz"):
        language = path.name.split(".")[1]
        sentences.setdefault(language, []).extend(one.question for one in xquad(data, language))
    found = []
    for language, mine in sorted(sentences.items()):
        rng = random.Random(f"{language} {half}")
        chosen = [one for one in mine if one.strip() and part(one) == half]
        for one in rng.sample(chosen, min(most, len(chosen))):
            pieces = list(one.strip()) if _UNSPACED.search(one) else one.split()
            size = rng.randint(2, 8) if _UNSPACED.search(one) else rng.randint(1, 4)
            at = rng.randrange(max(1, len(pieces) - size + 1))
            found.append((language, ("" if _UNSPACED.search(one) else " ").join(pieces[at : at + size])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--half", choices=["tune", "held"], default="held")
    parser.add_argument("--models", nargs="+", default=["ensemble", "fasttext"])
    parser.add_argument("--most", type=int, default=150, help="excerpts of a language")
    arguments = parser.parse_args()
    found = excerpts(arguments.data, ("tune", "held").index(arguments.half), arguments.most)
    tags, texts = [tag for tag, _ in found], [one for _, one in found]
    rng = random.Random(arguments.half)
    known = sorted(set(tags))
    script = {tag: _SCRIPTS.get(tag, "Latn") for tag in known}
    wrong = [
        rng.choice([other for other in known if script[other] == script[tag] and other != tag] or [tag]) for tag in tags
    ]
    letters = text.letter_weights(pl.Series(texts), pl.Series(tags))["letters"].to_numpy()
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch), 2)
        for model in arguments.models:
            step = world.step("language", model=model)
            right = world.judge(step, documents(tags, texts))
            other = world.judge(step, documents(wrong, texts))
            for low, high in BANDS:
                band = (letters >= low) & (letters < high)
                has_wrong = band & np.array([one != tag for one, tag in zip(wrong, tags, strict=True)])
                assessed = right["score"].is_not_null().to_numpy()
                lines.append(
                    [
                        model,
                        f"{low} to {high - 1}",
                        str(int(band.sum())),
                        f"{100 * assessed[band].mean():.0f} %",
                        f"{100 * right['dropped'].to_numpy()[band].mean():.1f} %",
                        f"{100 * other['dropped'].to_numpy()[has_wrong].mean():.0f} %",
                    ]
                )
    print(f"\n### {arguments.half}\n")
    print(markdown(["model", "letters", "texts", "judged", "right dropped", "wrong language caught"], lines))


if __name__ == "__main__":
    main()

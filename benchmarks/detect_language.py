"""How often ``detect_language`` finds the language of an unlabelled prompt.

The 80 questions of Vicuna in 12 languages (``shared/data/bench/vicuna80``), with the step's default thresholds::

    python benchmarks/detect_language.py
"""

from __future__ import annotations

from collections import Counter

import polars as pl
from language_texts import DATA

from curate.generation.detect_language import DetectLanguage
from curate.rows.languages import UNKNOWN
from curate.steps import Registry

LANGUAGES = {
    "Arabic": "ar",
    "Chinese": "zh",
    "Deutsch": "de",
    "English": "en",
    "French": "fr",
    "Hindi": "hi",
    "Indonesian": "id",
    "Italian": "it",
    "Japanese": "ja",
    "Korean": "ko",
    "Portuguese": "pt",
    "Spanish": "es",
}
MODELS = ("fasttext", "ensemble")


def main() -> None:
    folder = DATA / "bench" / "vicuna80"
    texts = {tag: pl.read_ndjson(folder / f"questions_{name}.jsonl")["text"] for name, tag in LANGUAGES.items()}
    step = DetectLanguage()
    for name in MODELS:
        identifier = Registry.installed().get("model", name)().load(cache=None, threads=1)
        counts: Counter[tuple[str, str]] = Counter()
        for tag, series in texts.items():
            counts.update((tag, one.language) for one in step.detect(series, identifier))
        right = sum(number for (tag, found), number in counts.items() if found == tag)
        unclear = {tag: number for (tag, found), number in counts.items() if found == UNKNOWN}
        wrong = {pair: number for pair, number in counts.items() if pair[1] not in (pair[0], UNKNOWN)}
        print(f"{name}: {right} of {counts.total()} right ({right / counts.total():.1%})")
        print(f"  und {sum(unclear.values())}: {unclear}")
        print(f"  wrong {sum(wrong.values())}: " + ", ".join(f"{tag} as {one}: {n}" for (tag, one), n in wrong.items()))


if __name__ == "__main__":
    main()

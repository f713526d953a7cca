"""How often language identifiers are right: by corpus, by length of the text and by language; and the fit of
`ensemble`'s weights.

    python benchmarks/language_id.py --data FOLDER  # tables of docs/measurements/language-id.md
    python benchmarks/language_id.py --data FOLDER --messages FOLDER      # with message catalogues (Django's, for one)
    python benchmarks/language_id.py fit --data FOLDER --catalogues FOLDER --out languages_weights.json

Texts: the Declaration of Human Rights (every second paragraph is for fitting, the others for measuring), XQuAD,
Tatoeba, MGSM, message catalogues. Each full sentence also gives a stretch of five, three and two words; in scripts
without blanks a word is two (Chinese, Japanese) or four characters (Thai, Lao, Khmer, Burmese, Tibetan).
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from language_fit import fit, note_weak
from language_texts import DATA, LENGTHS, MEMBERS, VOTES, Answers, Item, Replayed, held_vote, is_right, read_items

from curate.models.langid import language_data as data
from curate.models.langid.ensemble import LanguageIdEnsemble
from curate.steps.models import Identified, LanguageIdentifier


# -------------------------------------------------------------------------------------------------------------- tables
def measure(items: list[Item], answers: Answers, per_language: bool, modes: bool) -> None:
    items = [item for item in items if item.corpus != "system" and not (item.corpus == "udhr" and item.part == 0)]
    # Languages that no identifier has ever heard of are no question here.
    items = [item for item in items if item.language in data.weights()["weights"]["languages"]]
    texts = [item.text for item in items]
    said = {}
    for name in MEMBERS:
        try:
            said[name] = answers.get(name, texts)
        except Exception as error:  # noqa: BLE001 - what is not installed is left out and named
            print(f"without {name}: {error}")
    held: dict[str, LanguageIdentifier] = {
        name: Replayed(answers.loaded[name], texts, one) for name, one in said.items()
    }
    found: dict[str, Identified] = dict(said)
    can: dict[str, Any] = {name: answers.loaded[name] for name in said}
    for name, members in VOTES.items():
        if all(member in said for member in members):
            start = time.process_time()
            voters = held_vote(LanguageIdEnsemble(members=members, abstain=0.0), held, answers)
            found[name] = voters.identify(texts, 3)
            can[name] = voters
            answers.cost[name] = f"+{(time.process_time() - start) / len(texts) * 1e6:.0f} µs beside its members"
    print("\n| identifier | cost |\n|---|---|")
    for name, cost in answers.cost.items():
        print(f"| {name} | {cost} |")
    right = {
        name: np.asarray(
            [
                bool(tags) and is_right(item.language, tags[0], answers.packages.get(name, ""))
                for item, tags in zip(items, one.languages, strict=True)
            ]
        )
        for name, one in found.items()
    }
    sure = {
        name: np.asarray([values[0] if values else 0.0 for values in one.probabilities]) for name, one in found.items()
    }
    keys = {tag: {name: can[name].supports(tag) for name in found} for tag in sorted({item.language for item in items})}
    where: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        where[item.corpus, item.length, item.language].append(at)
    for title, pick in (
        ("of its own languages", lambda name, tag: keys[tag][name]),
        ("of the languages that `ensemble` supports", lambda name, tag: keys[tag]["ensemble"]),
        (
            "of the languages that `ensemble` and lingua support",
            lambda name, tag: keys[tag]["ensemble"] and keys[tag].get("lingua", True),
        ),
    ):
        print(
            f"\n### Mean accuracy over languages, in per cent {title}\n\n| corpus | length | "
            + " | ".join(found)
            + " |\n|---|---|"
            + "---|" * len(found)
        )
        for corpus in dict.fromkeys(item.corpus for item in items):
            for length in LENGTHS:
                tags = [
                    tag
                    for one, size, tag in where
                    if one == corpus and size == length and len(where[one, size, tag]) >= 5
                ]
                cells = []
                for name in found:
                    own = [right[name][where[corpus, length, tag]].mean() for tag in tags if pick(name, tag)]
                    cells.append(f"{100 * np.mean(own):.1f} ({len(own)})" if own else "–")
                print(f"| {corpus} | {length} | " + " | ".join(cells) + " |")
    print(
        "\n### Calibration and abstention (`ensemble`)\n\n| corpus | length | expected calibration error | silent below"
        " 0.3 | right of those said | silent below 0.6 | right of those said |\n|---|---|---|---|---|---|---|"
    )
    for name in ("ensemble", "ensemble-wide"):
        for corpus in dict.fromkeys(item.corpus for item in items):
            for length in LENGTHS if name in found else ():
                rows = [
                    at
                    for (one, size, tag), rows in where.items()
                    if one == corpus and size == length and keys[tag][name]
                    for at in rows
                ]
                values, hits = sure[name][rows], right[name][rows]
                cells = []
                for floor in (0.3, 0.6):
                    kept = values >= floor
                    cells += [f"{100 * (1 - kept.mean()):.1f} %", f"{100 * hits[kept].mean():.1f} %"]
                print(f"| {name}, {corpus} | {length} | {ece(values, hits):.3f} | " + " | ".join(cells) + " |")
    if modes:
        print("\n### Agreement\n\n| corpus | length | said | right of those said |\n|---|---|---|---|")
        voters = held_vote(LanguageIdEnsemble(members=VOTES["ensemble"], mode="agreement", abstain=0.0), held, answers)
        agreed = voters.identify(texts)
        for corpus in dict.fromkeys(item.corpus for item in items):
            for length in LENGTHS:
                rows = [
                    at
                    for (one, size, tag), rows in where.items()
                    if one == corpus and size == length and keys[tag]["ensemble"]
                    for at in rows
                ]
                spoke = [at for at in rows if agreed.languages[at]]
                hits = [is_right(items[at].language, agreed.languages[at][0]) for at in spoke]
                print(f"| {corpus} | {length} | {100 * len(spoke) / len(rows):.1f} % | {100 * np.mean(hits):.1f} % |")
    if per_language:
        for corpus in ("udhr", "messages"):
            shown = [name for name in ("fasttext", "lingua", "heliport", "ensemble", "ensemble-wide") if name in found]
            print(
                f"\n### {corpus}, by language: per cent right, full / 5 / 3 / 2 words\n\n| language | "
                + " | ".join(shown)
                + " |\n|---|"
                + "---|" * len(shown)
            )
            for tag in sorted({tag for one, _, tag in where if one == corpus}):
                if keys[tag]["ensemble-wide" if "ensemble-wide" in found else "ensemble"]:
                    cells = [
                        " / ".join(
                            f"{100 * right[name][where[corpus, length, tag]].mean():.0f}"
                            if where.get((corpus, length, tag))
                            else "–"
                            for length in LENGTHS
                        )
                        if keys[tag][name]
                        else "–"
                        for name in shown
                    ]
                    print(f"| {tag} | " + " | ".join(cells) + " |")


def ece(values: Any, hits: Any) -> float:
    """Expected calibration error: mean distance of probability and share right, in ten bins by probability."""
    bins = np.minimum((values * 10).astype(int), 9)
    return float(
        sum(
            abs(values[bins == at].mean() - hits[bins == at].mean()) * (bins == at).mean()
            for at in range(10)
            if (bins == at).any()
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("tables", "fit"), default="tables")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--messages", type=Path, help="compiled message catalogues to measure on (an installed Django)")
    parser.add_argument(
        "--catalogues", type=Path, help="compiled message catalogues to fit on (a system's locale folder)"
    )
    parser.add_argument("--cache", type=Path, help="a folder to keep what identifiers said in")
    parser.add_argument("--out", type=Path, default=Path("languages_weights.json"))
    parser.add_argument("--rounds", type=int, default=1500)
    parser.add_argument("--by-language", action="store_true")
    parser.add_argument("--agreement", action="store_true")
    given = parser.parse_args()
    items = read_items(given.data, given.messages, given.catalogues)
    print(f"{len(items)} texts, {len({item.language for item in items})} languages")
    if given.what == "fit":
        answers = Answers(given.cache)
        fit(items, answers, given.out, given.rounds)
        note_weak(given.out, items, answers)
    else:
        measure(items, Answers(given.cache), given.by_language, given.agreement)


if __name__ == "__main__":
    main()

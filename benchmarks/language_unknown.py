"""Languages that no identifier knows: how many of their texts the model ``ensemble`` gives another language's name, and
how many right answers it withholds; what the letters of short texts add; and the fit (``languages_triples.json``).

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
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from duplicates import markdown
from language_texts import DATA, is_right
from language_triples import fit, interface
from language_unknown_texts import HALVES, Text, look, read_texts

from curate.models.langid.ensemble import LanguageIdEnsemble
from curate.rows import languages

_LENGTHS = (("full",), ("8", "5"), ("4", "3"))


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
    rows = []
    plain_model = LanguageIdEnsemble(abstain=0.0).load(cache=None, threads=1)
    plain_model._measured = {**plain_model._measured, "letters": (0.0, 0.0)}
    bare = look(plain_model, plain, None)
    for length in ("1", "2", "3", "5", "full"):
        of: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at, one in enumerate(some):
            if one.known and one.length == length and not one.corpus.startswith("Alpaca"):
                of[one.corpus, one.language].append(at)
        cells = [length]
        for tags, likely in ((bare[0], bare[1]), (before, values)):
            hits = np.asarray([is_right(one.language, tag) for one, tag in zip(some, tags, strict=True)])
            certain = [at for mine in of.values() for at in mine if likely[at] >= 0.98]
            cells.append(f"{100 * np.mean([hits[mine].mean() for mine in of.values() if len(mine) >= 5]):.1f} %")
            cells.append(
                f"{share(~hits[certain])} of {share((likely >= 0.98)[[at for mine in of.values() for at in mine]])}"
            )
        rows.append(cells)
    title = ["words", "right without letters", "wrong of those with p ≥ .98", "right", "wrong of those with p ≥ .98"]
    print("\n" + markdown(title, rows))
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

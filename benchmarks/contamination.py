"""How many planted benchmark items are found, and how many clean rows are called contaminated: by kind of planting and
language.

    python benchmarks/contamination.py --data FOLDER                    # all sections
    python benchmarks/contamination.py planted --languages en zh th     # some
    python benchmarks/contamination.py clean --examples 20              # and what fires
    python benchmarks/contamination.py fit                              # the weights of the model of translations, as
        YAML

Items are XQuAD's questions and MGSM's problems. They are planted into conversations: Alpaca's answers and inputs in
English, German and Chinese, articles of the Declaration of Human Rights in the other languages. A planted row is found
when the step drops it; the same data and versions give the same tables.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "2")

import numpy as np  # noqa: E402 - the thread counts must be set first
import polars as pl  # noqa: E402
from contamination_items import (  # noqa: E402
    Bench,
    alpaca,
    for_fit,
    items,
    mgsm,
    of_item,
    paragraphs,
    sentences,
    twins,
    weigh,
    xquad,
)
from contamination_plants import SORTS, Plant, chat, foreign_words, plant  # noqa: E402
from duplicates_plants import renumbered  # noqa: E402
from workbench import DATA, World, make_rows, markdown, shown  # noqa: E402

from curate.rows import Kind  # noqa: E402
from filters.contamination.split_items import add_halves, find  # noqa: E402

LANGUAGES = ("en", "zh", "ja", "th", "ar", "hi", "de", "ru", "es", "tr", "vi", "el", "sw", "bn", "te")
ENCODED = ("ar", "de", "es", "fr", "ja", "ru", "th", "tr", "zh")


def planted(bench: Bench, arguments: argparse.Namespace) -> None:
    """Items in the language they are in, without an encoder."""
    print(f"\n### Planted items: recall (XQuAD and MGSM, {arguments.most} items of each a language; no encoder)\n")
    hits: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str, str]] = Counter()
    named: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    everything = [one for language in arguments.languages for one in items(arguments.data, language)]
    step, fitted = bench.step(everything, model=None)
    for language in arguments.languages:
        rng = random.Random(f"plant 2026-12 {language}")
        hosts = paragraphs(arguments.data, language)
        some = [
            one
            for of in (xquad, mgsm)
            for one in (lambda every: rng.sample(every, min(len(every), arguments.most)))(of(arguments.data, language))
        ]
        rows: list[Plant] = [
            Plant(sort, item, payload)
            for sort in arguments.sorts
            for item in some
            for payload in plant(item, sort, hosts, rng, foreign_words(some))
        ]
        payloads = [one.payload for one in rows]
        halves = step.sample(make_rows(Kind.SFT, payloads), bench.world)
        frame, _ = bench.judge(step, add_halves(fitted, find(fitted, [halves] if halves is not None else [])), payloads)
        shown_examples = 0
        for row, one in enumerate(rows):
            key = (one.sort, language, one.item.benchmark)
            total[key] += 1
            good = frame["reason"][row] is not None
            hits[key] += good
            named[one.sort] += of_item(frame, row, one.item)
            kinds[one.sort][frame["reason"][row] or "–"] += 1
            if not good and shown_examples < arguments.examples:
                shown_examples += 1
                told = " // ".join(turn["content"][:150] for turn in one.payload["messages"])
                print(
                    f"<!-- missed: {one.sort}, {language}: {one.item.question[:150]!r} in {told!r}:"
                    f" {frame.select('score', 'run', 'hit', 'benchmark', 'item').row(row)} -->"
                )

    def recall(sort: str, language: str | None = None, benchmark: str | None = None) -> str:
        chosen = [key for key in total if key[0] == sort and language in (None, key[1]) and benchmark in (None, key[2])]
        return shown(sum(hits[key] for key in chosen) / max(1, sum(total[key] for key in chosen))) if chosen else "–"

    print(
        markdown(
            ["planted", "all", "XQuAD", "MGSM", "rows", "of those found, the very item", "told as"],
            [
                [
                    sort,
                    recall(sort),
                    recall(sort, benchmark="xquad"),
                    recall(sort, benchmark="mgsm"),
                    str(sum(n for key, n in total.items() if key[0] == sort)),
                    shown(named[sort] / max(1, sum(n for key, n in hits.items() if key[0] == sort))),
                    ", ".join(f"{name} {count}" for name, count in kinds[sort].most_common(4)),
                ]
                for sort in arguments.sorts
            ],
        )
    )
    print("\nby language:\n")
    print(
        markdown(
            ["", *arguments.sorts],
            [[language, *(recall(sort, language) for sort in arguments.sorts)] for language in arguments.languages],
        )
    )


def alike(bench: Bench, arguments: argparse.Namespace) -> None:
    """What looks like an item and is none: of two questions with one answer the second is the first asked again, and
    counted apart.
    """
    print("\n### Not the item: what is dropped\n")
    lines = []
    twin = twins(arguments.data)
    total: Counter[str] = Counter()
    for language in arguments.languages:
        rng = random.Random(f"alike 2026-12 {language}")
        hosts = paragraphs(arguments.data, language)
        questions, sums = xquad(arguments.data, language), mgsm(arguments.data, language)
        line = [language]
        if questions:
            half = set(rng.sample(sorted({one.name for one in questions}), len(questions) // 2))
            known = {one.name: one for one in questions if one.name in half}
            other = [
                one
                for one in questions
                if one.name not in half and one.question not in {each.question for each in known.values()}
            ]
            step, fitted = bench.step(list(known.values()), model=None)
            for label, before in (("with", "{0.context}\n\n"), ("without", "")):
                rows = [chat(language, f"{before.format(one)}{one.question}", rng.choice(hosts)) for one in other]
                frame, _ = bench.judge(step, fitted, rows)
                wrong, again = [], 0
                for row in frame["reason"].is_not_null().arg_true().to_list():
                    if twin(other[row].name, frame["item"][row]):
                        again += 1
                    else:
                        wrong.append(row)
                total.update(
                    {f"{label} wrong": len(wrong), f"{label} again": again, "rows": len(rows) if before else 0}
                )
                line += [f"{len(wrong)} of {len(rows)}", str(again)]
                if before:
                    told = int((frame["context"] >= 0.5).sum())
                    total["told"] += told
                    line.append(f"{told}")
                for row in wrong[: arguments.examples]:
                    item = known[frame["item"][row]]
                    print(
                        f"<!-- other question, {label} the paragraph, {language}: {other[row].question!r} /"
                        f" {item.question!r} {frame['reason'][row], frame['score'][row], frame['run'][row]} -->"
                    )
        else:
            line += ["–"] * 5
        if sums:
            step, fitted = bench.step(sums, model=None)
            rows = [
                chat(language, changed, rng.choice(hosts)) for one in sums if (changed := renumbered(one.question, rng))
            ]
            frame, _ = bench.judge(step, fitted, rows)
            total.update({"sums": int(frame["reason"].is_not_null().sum()), "all sums": len(rows)})
            line.append(f"{frame['reason'].is_not_null().sum()} of {len(rows)}")
            for row in frame["reason"].is_not_null().arg_true().to_list()[: arguments.examples]:
                print(f"<!-- other numbers, {language}: {rows[row]['messages'][0]['content']!r} {frame.row(row)} -->")
        else:
            line.append("–")
        lines.append(line)
    header = [
        "",
        "other question below its paragraph: dropped",
        "the same asked again",
        "the paragraph is told",
        "other question by itself: dropped",
        "the same asked again",
        "same sum, other numbers: dropped",
    ]
    print(markdown(header, lines))
    print(f"\n{dict(total)}")


def clean(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows that hold no item, against all items of all languages."""
    print("\n### Clean Alpaca rows: what is dropped, against all of XQuAD and MGSM\n")
    everything = [one for language in sorted({*LANGUAGES, "ro", "fr"}) for one in items(arguments.data, language)]
    lines = []
    for label, parameters in (("n-grams", {"model": None}), ("n-grams and meaning", {})):
        step, fitted = bench.step(everything, **parameters)
        for language in ("en", "zh", "de"):
            rows = alpaca(arguments.data, language, arguments.rows)
            bench.judge(step, fitted, rows[:8])  # the index is made
            frame, seconds = bench.judge(step, fitted, rows)
            reasons = Counter(frame["reason"].drop_nulls().to_list())
            lines.append(
                [
                    label,
                    language,
                    f"{len(rows):,}",
                    f"{100 * sum(reasons.values()) / len(rows):.2f} %",
                    ", ".join(f"{n} {c}" for n, c in reasons.most_common()),
                    f"{1e6 * seconds / len(rows):.0f}",
                ]
            )
            by_text = {(one.benchmark, one.name, one.language): one.question for one in everything}
            for row in frame["reason"].is_not_null().arg_true().to_list()[: arguments.examples]:
                name = frame["item"][row].rpartition("#")[2]
                print(
                    f"<!-- {language}: {frame['reason'][row]}"
                    f" {frame.select('score', 'run', 'similarity', 'translation', 'paraphrase').row(row)}:"
                    f" {rows[row]['messages'][0]['content'][:120]!r} /"
                    f" {by_text.get((frame['benchmark'][row], name, frame['item_language'][row]))!r} -->"
                )
    print(markdown(["", "language", "rows", "dropped", "as", "µs a row"], lines))


def translated(bench: Bench, arguments: argparse.Namespace) -> None:
    """Items in English only; rows in another language; only items that no weight was fitted to."""
    print("\n### Translated items (items in English, rows in another language)\n")
    lines = []
    twin = twins(arguments.data)
    english = items(arguments.data, "en")
    step, fitted = bench.step(english)
    half = {one.name for one in xquad(arguments.data, "en") if sum(one.name.encode()) // 2 % 2}
    other_step, other_fitted = bench.step([one for one in english if one.name in half])
    for language in ENCODED:
        rng = random.Random(f"translated {language}")
        line = [language]
        hosts = paragraphs(arguments.data, language)
        for of in (xquad, mgsm):
            some = [one for one in of(arguments.data, language) if not for_fit(one)]
            if not some:
                line += ["–", "–", "–"]
                continue
            alone = [chat(language, one.question, rng.choice(hosts)) for one in some]
            behind = [chat(language, f"{rng.choice(hosts)}\n\n{one.question}", rng.choice(hosts)) for one in some]
            for rows in (alone, behind):
                frame, _ = bench.judge(step, fitted, rows)
                found = [
                    of_item(frame, row, one)
                    or (frame["reason"][row] is not None and twin(one.name, frame["item"][row]))
                    for row, one in enumerate(some)
                ]
                line.append(shown(sum(found) / len(some)))
                sweep(frame, f"{language} {of.__name__}", arguments)
            if of is mgsm:
                changed = [made for one in some if (made := renumbered(one.question, rng))]
                frame, _ = bench.judge(step, fitted, [chat(language, one, rng.choice(hosts)) for one in changed])
                line.append(f"{frame['reason'].is_not_null().sum()} of {len(changed)}")
            else:
                others = [one for one in some if one.name not in half]
                frame, _ = bench.judge(
                    other_step, other_fitted, [chat(language, one.question, rng.choice(hosts)) for one in others]
                )
                wrong = [
                    row
                    for row in frame["reason"].is_not_null().arg_true().to_list()
                    if not twin(others[row].name, frame["item"][row])
                ]
                line.append(f"{len(wrong)} of {len(others)}")
                sweep(frame, f"{language} other question", arguments)
                names = {one.name: one.question for one in english}
                for row in wrong[: arguments.examples]:
                    print(
                        f"<!-- other question, {language}: {others[row].question!r} / {names[frame['item'][row]]!r}"
                        f" {frame['translation'][row]} -->"
                    )
        plain = sentences(arguments.data, language)
        if plain:
            frame, _ = bench.judge(step, fitted, [chat(language, one, one) for one in plain])
            sweep(frame, f"{language} sentences", arguments)
        line.append(f"{frame['reason'].is_not_null().sum()} of {len(plain)}" if plain else "–")
        lines.append(line)
    header = [
        "",
        "XQuAD, alone",
        "behind a text",
        "same article, other question",
        "MGSM, alone",
        "behind a text",
        "other numbers",
        "unrelated sentences",
    ]
    print(markdown(header, lines))


def sweep(frame: pl.DataFrame, label: str, arguments: argparse.Namespace) -> None:
    """What other thresholds would drop."""
    if arguments.sweep:
        told = frame["translation"].fill_null(0)
        thresholds = (0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
        shares = ", ".join(f"{least}: {(told >= least).mean():.3f}" for least in thresholds)
        print(f"<!-- {label}: {shares} -->")


def fit(bench: Bench, arguments: argparse.Namespace) -> None:
    """The weights of the stage ``sentence``, from half of the items and every second clean row in another language than
    the items; the other half is what ``translated`` and ``clean`` show. Those of the stage ``words`` are fitted by
    ``contamination_alarms.py``."""
    from filters.contamination.semantic import FEATURES, MeaningIndex, passages

    _, fitted = bench.step(items(arguments.data, "en"))
    meanings = MeaningIndex(fitted)
    keys = list(zip(fitted["benchmark"].to_pylist(), fitted["item"].to_pylist(), strict=True))
    encoder = bench.world.model("use-multilingual")
    good, far = [], []
    for language in ENCODED:
        for one in filter(for_fit, items(arguments.data, language)):
            for each in meanings.candidates(passages(0, "prompt", language, one.question, 1), encoder):
                if not each[3] and keys[meanings.places[each[1]]] == (one.benchmark, one.name):
                    good.append(each[2])
    for language in ("zh", "de"):
        for payload in alpaca(arguments.data, language, arguments.rows)[::2]:
            told = meanings.candidates(passages(0, "prompt", language, payload["messages"][0]["content"], 6), encoder)
            far += [each[2] for each in told if not each[3]]
    print(f"# {len(good)} translations, {len(far)} of clean rows")
    weigh("sentence", FEATURES, [(np.stack(good), 1, 1.0), (np.stack(far), 0, 1.0)])


SECTIONS = {"planted": planted, "alike": alike, "clean": clean, "translated": translated, "fit": fit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=list(SECTIONS)[:-1])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES))
    parser.add_argument("--most", type=int, default=100, help="items of each benchmark and language")
    parser.add_argument("--rows", type=int, default=10_000, help="clean rows a language")
    parser.add_argument("--examples", type=int, default=0, help="rows to show of what goes wrong")
    parser.add_argument("--sweep", action="store_true", help="what other thresholds would drop of translations")
    parser.add_argument("--cache", type=Path, help="a folder to keep vectors in")
    parser.add_argument("--sorts", nargs="+", choices=SORTS, default=SORTS, help="how items are planted")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(World(arguments.cache or Path(scratch), 2), Path(scratch))
        for name in arguments.sections or list(SECTIONS)[:-1]:
            SECTIONS[name](bench, arguments)


if __name__ == "__main__":
    main()

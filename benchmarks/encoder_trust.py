"""How far a calibration can be believed: shipped anchors against larger ones, and `min: calibrated` on pairs it has
never seen.

    python benchmarks/encoder_trust.py --data FOLDER                        # everything (e5 takes its time)
    python benchmarks/encoder_trust.py --data FOLDER --models use-multilingual

Prints Markdown. The folder holds Tatoeba's test sets (``parallel/tatoeba``), the Declaration of Human Rights
(``mono/udhr.jsonl.gz``) and program messages with translations (``parallel/en_32_languages.parquet``); what is not
there is left out and named.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for _name in ("POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the thread counts must be set first
import polars as pl  # noqa: E402
from agreement import table  # noqa: E402
from workbench import World, make_rows  # noqa: E402

from curate.rows import Kind, languages  # noqa: E402
from curate.steps import Rows  # noqa: E402
from filters.calibration.anchors import Anchors, read_anchors  # noqa: E402
from filters.calibration.calibrate import calibrate  # noqa: E402
from filters.calibration.file import Calibration, CalibrationSettings  # noqa: E402

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
MODELS = ("use-multilingual", "e5-multilingual")
MOST = {"use-multilingual": 400, "e5-multilingual": 150}
"""Anchors of a pair, of the larger sets."""
SETS = {"use-multilingual": ("Tatoeba", "UDHR", "messages"), "e5-multilingual": ("Tatoeba", "messages")}
E5_MESSAGES = ("en", "el", "fa", "he", "hi", "ko", "ta", "uk", "vi")
"""The slow encoder reads the messages in what no other set has."""
E5_MESSAGES_MOST = 60
HELD_OUT = {"use-multilingual": 400, "e5-multilingual": 100}
"""Good pairs of a language to be told from planted wrong ones."""
BAD = 0.2
NEAREST = 20
WORDS = 5
SEED = 7


def larger(data: Path) -> dict[str, Anchors]:
    """The sets that are there."""
    found: dict[str, Anchors] = {}
    for name, path in (("Tatoeba", data / "parallel" / "tatoeba"), ("UDHR", data / "mono" / "udhr.jsonl.gz")):
        if path.exists():
            found[name] = read_anchors([path], name=name)
    path = data / "parallel" / "en_32_languages.parquet"
    if path.exists():
        messages = pl.read_parquet(path).filter(
            pl.col("src").str.starts_with("gettext") & (pl.col("en").str.split(" ").list.len() >= WORDS)
        )
        texts: dict[str, dict[str, str]] = {"en": {}}
        for code, english, other in messages.unique(maintain_order=True).select("lang", "en", "xx").iter_rows():
            tag = languages.normalize("zh-Hant" if code == "zh_tw" else code)
            key = english.strip()
            texts["en"].setdefault(key, key)
            texts.setdefault(tag, {}).setdefault(key, other.strip())
        found["messages"] = Anchors(texts, "messages")
    for name in {"Tatoeba", "UDHR", "messages"} - found.keys():
        print(f"left out, not in the folder: {name}", file=sys.stderr)
    return found


def shipped(encoder: Any, model: str) -> Calibration:
    started = time.perf_counter()
    found = calibrate(encoder, model, unsupported=True)
    print(f"({time.perf_counter() - started:.0f} s)", file=sys.stderr)
    rows = []
    for name, one in found.pairs.items():
        assert one.retrieval and one.xsim and one.xsim_cosine and one.auc_hard is not None and one.recall_interval
        rows.append(
            [
                name,
                one.verdict,
                "yes" if one.supported else "no",
                _said(one.threshold, 3),
                _said(one.recall),
                f"{one.recall_interval[0]:.2f} to {one.recall_interval[1]:.2f}" if one.recall is not None else "–",
                _said(sum(one.retrieval) / 2),
                _said(sum(one.xsim) / 2),
                _said(sum(one.xsim_cosine) / 2),
                _said(one.auc_hard, 3),
                _said(one.auc_random, 3),
                _said(one.mexa),
                _said(one.cka_unbiased),
            ]
        )
    table(
        f"`{model}` on the shipped anchors",
        [
            "pair",
            "verdict",
            "supported",
            "threshold",
            "recall",
            "95 %",
            "found among 20",
            "xsim",
            "xsim, cosine",
            "AUC hard",
            "AUC random",
            "MEXA",
            "CKA",
        ],
        rows,
    )
    return found


def agreement(encoder: Any, model: str, use: str, small: Calibration, sets: dict[str, Anchors]) -> None:
    """Verdicts and thresholds on the shipped anchors beside those on others."""
    rows = []
    totals = []
    for name, anchors in sets.items():
        pairs = [pair for pair in small.pairs if set(pair.split("-")) <= set(anchors.languages)]
        most = MOST[use]
        if use == "e5-multilingual" and name == "messages":
            pairs, most = [pair for pair in pairs if set(pair.split("-")) <= set(E5_MESSAGES)], E5_MESSAGES_MOST
        large = calibrate(encoder, model, anchors, pairs=pairs, asked=CalibrationSettings(most=most), unsupported=True)
        both = [(pair, small.pairs[pair], one) for pair, one in large.pairs.items() if one.verdict != "not checked"]
        acted = ("trusted", "weak")
        same = sum(one.verdict == other.verdict for _, one, other in both)
        usable = sum((one.verdict in acted) == (other.verdict in acted) for _, one, other in both)
        apart = [
            one.threshold - other.threshold
            for _, one, other in both
            if one.threshold is not None and other.threshold is not None
        ]
        totals.append(
            [
                name,
                str(len(both)),
                f"{same}/{len(both)}",
                f"{usable}/{len(both)}",
                f"{np.mean(apart):+.3f}" if apart else "–",
                f"{np.mean(np.abs(apart)):.3f}" if apart else "–",
            ]
        )
        for pair, one, other in both:
            if one.verdict != other.verdict:
                rows.append(
                    [
                        name,
                        pair,
                        str(other.anchors),
                        f"{one.verdict} ({_said(one.recall)}, {_said(one.threshold, 3)})",
                        f"{other.verdict} ({_said(other.recall)}, {_said(other.threshold, 3)})",
                    ]
                )
    table(
        f"`{model}`: the shipped anchors against larger ones",
        ["anchors", "pairs", "same verdict", "same: usable or not", "mean difference of thresholds", "mean absolute"],
        totals,
    )
    if rows:
        table("Where they differ (recall, threshold)", ["anchors", "pair", "of them", "shipped says", "they say"], rows)


def held_out(world: World, use: str, calibration: Calibration, sets: dict[str, Anchors]) -> None:
    """Pairs with planted wrong ones, kept or dropped by the step itself."""
    encoder = world.model(use)
    calibrated = {"model": use, "calibration": calibration.thresholds(), "min": "calibrated"}
    ways: dict[str, dict[str, Any]] = {"calibrated": calibrated}
    if encoder.absolute:
        ways["min: 0.5 (default)"] = {"model": use}
    else:
        ways["margin 1.05 (default)"] = {"model": use, "measure": "margin"}
    rows = []
    for name in ("Tatoeba", "messages"):
        if name not in sets:
            continue
        for kind in ("random", "near"):
            pairs, truth = planted(sets[name], calibration, encoder, kind, HELD_OUT[use])
            for way, parameters in ways.items():
                step = world.step("similarity", **parameters)
                verdicts = world.judge(step, pairs)
                judged = verdicts["score"].is_not_null().to_numpy()
                kept = ~verdicts["dropped"].to_numpy() & judged
                good = truth & judged
                by = [
                    share(kept & truth & at, kept & at)
                    for at in (pairs.language.to_numpy() == tag for tag in sorted(set(pairs.language)))
                    if (judged & at).any()
                ]
                rows.append(
                    [
                        name,
                        kind,
                        way,
                        f"{judged.mean():.0%}",
                        f"{share(kept & truth, kept):.3f}",
                        f"{min(by):.3f}",
                        f"{share(kept & good, good):.3f}",
                        f"{1 - share(kept & ~truth, judged & ~truth):.3f}",
                    ]
                )
    table(
        f"`{calibration.model}`: pairs never seen, one in five planted wrong",
        ["pairs", "wrong ones", "way", "judged", "precision", "worst language", "recall", "wrong dropped"],
        rows,
    )


def planted(anchors: Anchors, calibration: Calibration, encoder: Any, kind: str, count: int) -> tuple[Rows, Any]:
    """Rows of all languages, and which are correct: a fifth have another sentence's translation, a random or the
    nearest of 20."""
    random = np.random.default_rng(SEED)
    rows: list[dict[str, Any]] = []
    truth: list[bool] = []
    for pair in calibration.pairs:
        tag = pair.split("-", 1)[1]
        left, right = anchors.pair("en", tag, count)
        if len(left) < 100:
            continue
        bad = random.permutation(len(left))[: round(BAD * len(left))]
        chosen = np.arange(len(left))
        for at in bad:
            others = random.choice(np.delete(np.arange(len(left)), at), NEAREST, replace=False)
            chosen[at] = others[0]
            if kind == "near":
                # Nearest by English words, not by the encoder's own opinion.
                words = [set(left[other].lower().split()) for other in (at, *others)]
                overlap = [len(words[0] & one) / len(words[0] | one) for one in words[1:]]
                chosen[at] = others[int(np.argmax(overlap))]
        for at, other in enumerate(chosen):
            rows.append({"source_language": "en", "language": tag, "source": left[at], "target": right[other]})
            truth.append(bool(at == other))
    made = make_rows(Kind.PARALLEL, rows)
    return made, np.asarray(truth)


def share(part: Any, whole: Any) -> float:
    return float(part.sum() / max(whole.sum(), 1))


def _said(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--scratch", type=Path, help="Where vectors are kept between runs.")
    given = parser.parse_args()
    sets = larger(given.data)
    with tempfile.TemporaryDirectory() as folder:
        world = World(given.scratch or Path(folder), 2)
        for use in given.models:
            encoder, model = world.model(use), world.model_name(use)
            calibration = shipped(encoder, model)
            chosen = {name: anchors for name, anchors in sets.items() if name in SETS[use]}
            agreement(encoder, model, use, calibration, chosen)
            if use == "e5-multilingual":
                chosen.pop("messages", None)
            held_out(world, use, calibration, chosen)


if __name__ == "__main__":
    main()

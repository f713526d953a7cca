"""How far judges agree with given preferences, beside a coin and beside "the longer answer wins".

    python benchmarks/judges.py --data FOLDER [--llm 60]          # --llm 0: without the language model

Prints Markdown. Accuracy counts a tie as half a hit; intervals are 95 % bootstrap over pairs. What is missing of the
data folder is named and left out.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the thread counts must be set first
import orjson  # noqa: E402
import polars as pl  # noqa: E402
from agreement import table  # noqa: E402
from workbench import World, lines, make_rows, needing  # noqa: E402

from curate.models.llamacpp.model import LlamaCpp  # noqa: E402
from curate.preferences.agreement import Interval, bootstrap, mean  # noqa: E402
from curate.preferences.judge.step import Judge  # noqa: E402
from curate.rows import Kind  # noqa: E402
from curate.steps import Rows  # noqa: E402
from curate.text.segmentation import graphemes  # noqa: E402

SEED = 20261121
ENCODER = "use-multilingual"
LLM = "llamacpp"
HEAD = ("pairs", "judge", "n", "accuracy", "ties", "consistency", "names the first", "longer preferred")
Pair = tuple[str, str, str, str, str]
"""(language, prompt, chosen, rejected, reference)"""


class Court(World):
    """The benchmark's world, with rows by name."""

    seed, draw = SEED, 0

    def __init__(self, scratch: Path, threads: int) -> None:
        super().__init__(scratch, threads)
        self.tables: dict[str, list[Rows]] = {}
        self._models[LLM] = LlamaCpp(packaged="smollm2", context=4096).load(cache=scratch / "cache", threads=threads)

    def rows(self, name: str) -> Iterator[Rows]:
        yield from self.tables[name]

    def is_open(self, language: str) -> bool:
        return True

    def advance(self, rows: int) -> None:
        pass

    def rows_by_id(self, ids: pl.Series) -> Rows:
        return make_rows(Kind.SFT, [])

    def close(self) -> None:
        self._models[LLM].close()


def rows_of(pairs: Sequence[Pair]) -> Rows:
    def turn(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    return make_rows(
        Kind.PREFERENCE,
        [
            {
                "language": language,
                "group_id": f"pair:{number}",
                "prompt": turn("user", prompt),
                "chosen": turn("assistant", chosen),
                "rejected": turn("assistant", rejected),
            }
            for number, (language, prompt, chosen, rejected, _) in enumerate(pairs)
        ],
    )


def references_of(pairs: Sequence[Pair]) -> Rows:
    return make_rows(
        Kind.DOCUMENT,
        [{"language": "en", "group_id": f"pair:{number}", "text": one[4]} for number, one in enumerate(pairs)],
    )


def said(found: Interval) -> str:
    return "–" if np.isnan(found.value) else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def hits(scores: Sequence[float]) -> Interval:
    """Chosen is better by the given label: a positive score is a hit, 0 half of one."""
    return bootstrap(mean, [(np.sign(one) + 1) / 2 for one in scores], seed=SEED)


def judged(court: Court, step: Judge, pairs: Sequence[Pair], name: str, judge: str) -> list[Any]:
    """A row of the table: what the step says of these pairs, against their given label."""
    if step.method == "reference":  # read once for each name
        court.tables[name] = [references_of(pairs)]
        step = step.model_copy(update={"reference": name})
    rows = rows_of(pairs)
    frame = step.score(rows, court, None)
    scores = frame["score"].to_list()
    known = [at for at, one in enumerate(scores) if one is not None]
    length = [len(graphemes(pairs[at][2])) - len(graphemes(pairs[at][3])) for at in known]
    decided = [np.sign(scores[at]) == np.sign(by) for at, by in zip(known, length, strict=True) if scores[at] and by]
    more: Mapping[str, str] = {}
    if "consistency" in frame.columns:
        more = {one: f"{frame[one].mean():.2f}" if frame[one].count() else "–" for one in ("consistency", "first_wins")}
    row = [
        name,
        judge,
        len(known),
        said(hits([scores[at] for at in known])),
        f"{np.mean([scores[at] == 0 for at in known]):.2f}" if known else "–",
        more.get("consistency", "–"),
        more.get("first_wins", "–"),
        f"{np.mean(decided):.2f}" if decided else "–",
    ]
    print(*row, sep=" | ", file=sys.stderr, flush=True)  # a language model is slow: what is known is shown
    return row


def plain(pairs: Sequence[Pair], name: str) -> list[list[Any]]:
    """The judges that read nothing."""
    length = [len(graphemes(chosen)) - len(graphemes(rejected)) for _, _, chosen, rejected, _ in pairs]
    rest = ["–"] * 4
    return [[name, "coin", len(pairs), "0.500", *rest], [name, "longer wins", len(pairs), said(hits(length)), *rest]]


# ---------------------------------------------------------------------------------------------------------------- data
def demo(data: Path, language: str) -> list[Pair]:
    """Preference demos: a good and a worse answer; there is no reference, so the prompt itself stands for one."""
    found = []
    for one in orjson.loads(gzip.decompress((data / "preference" / f"dpo_{language}_demo.json.gz").read_bytes())):
        prompt = "\n\n".join(turn["value"] for turn in one["conversations"])
        found.append((language, prompt, one["chosen"]["value"], one["rejected"]["value"], prompt))
    return found


def edits(data: Path) -> list[Pair]:
    """A human correction of a machine translation, and the original translation; the English text is the reference."""
    found = []
    for line in lines(data / "preference" / "zh_translation_human_edits_part00.jsonl.gz"):
        one = orjson.loads(line)
        english, after, before = (
            "\n\n".join(filter(None, (one[side][part] for part in ("instruction", "input", "output"))))
            for side in ("en", "after", "before")
        )
        if after.strip() and before.strip() and after != before:
            found.append(("zh", f"Translate into Chinese:\n{english}", after, before, english))
    return found


def bench(data: Path, language: str, how: str) -> list[Pair]:
    """MT-bench references: the answer of the question's own translation against a wrong one, by the English reference.

    Args:
        how: the wrong one is that of another question of the same category (``other``), or of the question's other turn
            (``turn``).
    """
    folder = data / "bench" / "mt_bench"
    english = {
        one["question_id"]: one["choices"][0]["turns"]
        for one in map(orjson.loads, lines(folder / "reference_answer_gpt-4_en.jsonl"))
    }
    questions = [one for one in map(orjson.loads, lines(folder / f"question_{language}.jsonl")) if one.get("reference")]
    found = []
    for at, one in enumerate(questions):
        number = int(str(one["question_id"]).split("_")[0])
        peers = [other for other in questions[at + 1 :] + questions[:at] if other["category"] == one["category"]]
        for turn, right in enumerate(one["reference"][:2]):
            if how == "turn":
                wrong = one["reference"][1 - turn] if len(one["reference"]) > 1 else ""
            else:
                wrong = peers[0]["reference"][min(turn, len(peers[0]["reference"]) - 1)] if peers else ""
            if number in english and turn < len(english[number]) and right.strip() and wrong.strip() and right != wrong:
                found.append((language, one["turns"][turn], right, wrong, english[number][turn]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--llm", type=int, default=60, help="pairs of each set for the language model; it is slow")
    parser.add_argument(
        "--chars", type=int, default=1200, help="of each text the language model sees so many characters"
    )
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    encoder = Judge(model=ENCODER, method="reference", reference="references", audit_rows=0)
    asking = Judge(
        model=LLM,
        method="pairwise",
        explain=False,
        audit_rows=0,
        instructions="english",
        retries=0,
        max_chars=given.chars,
        sampling={"max_tokens": 16},
    )
    reasoning = asking.model_copy(
        update={"explain": True, "sampling": asking.sampling.model_copy(update={"max_tokens": 160})}
    )
    found: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        court = Court(Path(scratch), given.threads)
        try:
            for language in ("en", "zh"):
                with needing(given.data / "preference" / f"dpo_{language}_demo.json.gz") as there:
                    if there:
                        pairs = demo(given.data, language)
                        name = f"demo {language}"
                        found += plain(pairs, name)
                        found.append(
                            judged(court, encoder, pairs, name, "encoder, nearness to the prompt (no reference exists)")
                        )
                        few = pairs[:: max(1, len(pairs) // given.llm)][: given.llm] if given.llm else []
                        for step, how in ((asking, "label"), (reasoning, "reason and label")):
                            if few:
                                some = few if how == "label" else few[: max(1, len(few) // 3)]
                                found.append(judged(court, step, some, name, f"SmolLM2 135M, {how}"))
            with needing(given.data / "preference" / "zh_translation_human_edits_part00.jsonl.gz") as there:
                if there:
                    pairs = edits(given.data)
                    found += plain(pairs, "zh edits")
                    found.append(judged(court, encoder, pairs, "zh edits", "encoder, nearness to the English"))
                    if given.llm:
                        found.append(
                            judged(
                                court,
                                asking,
                                pairs[:: max(1, len(pairs) // given.llm)][: given.llm],
                                "zh edits",
                                "SmolLM2 135M, label",
                            )
                        )
            with needing(given.data / "bench" / "mt_bench" / "reference_answer_gpt-4_en.jsonl") as there:
                for how, title in (("other", "another question's"), ("turn", "the other turn's")) if there else ():
                    pairs = [one for language in ("de", "fr", "es", "it") for one in bench(given.data, language, how)]
                    name = f"MT-bench, {title}"
                    found += plain(pairs, name)
                    found.append(judged(court, encoder, pairs, name, "encoder, nearness to the English reference"))
        finally:
            court.close()
    table("Judges against given preferences", HEAD, found)
    for warning in dict.fromkeys(court.warnings):
        print(f"* {warning}")


if __name__ == "__main__":
    main()

"""What the step `quality` finds and what it wrongly finds, on planted cases and on clean text; and what it costs.

    python benchmarks/quality_packs.py --data FOLDER

The planted phrases are those of ``tests/filters/quality_planted.yaml``; planted numbers are made here, with right and
wrong check digits. Clean text: answers of Alpaca (en, zh, de), the Declaration of Human Rights in every language with a
pack, XQuAD, and the other side of ``en_32_languages``. A file that is missing is left out and named.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import yaml
from workbench import World

from curate.pii.detect import find
from curate.pii.national_ids import luhn
from curate.rows import Kind, languages, schema, with_ids
from curate.steps import Rows
from filters.quality.language_packs import packs_of
from filters.quality.step import CHECKS, Quality

PLANTED = Path(__file__).resolve().parents[1] / "tests" / "filters" / "quality_planted.yaml"
LINEAGE = {"source": "benchmark", "source_id": "", "license": "unknown", "parents": [], "makers": []}


PHONE_WORDS = (
    "tel.", "phone:", "telefono", "телефон", "هاتف", "फ़ोन", "电话", "電話", "전화", "โทร", "simu", "điện thoại",
)  # fmt: skip


def read_gzip(path: Path) -> str:
    """The text of a compressed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def chats(pairs: list[tuple[str, str]], tags: list[str]) -> Rows:
    """Conversations of one question and one answer."""
    full = [
        {
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
            "language": tag,
            "group_id": "",
            "scores": [],
            "attributes": [],
            "lineage": LINEAGE,
        }
        for (prompt, answer), tag in zip(pairs, tags, strict=True)
    ]
    return Rows(
        Kind.SFT,
        with_ids(
            Kind.SFT,
            pa.Table.from_pylist(full, schema=pa.schema([field for field in schema(Kind.SFT) if field.name != "id"])),
        ),
    )


def alpaca(folder: Path) -> Iterator[tuple[str, list[tuple[str, str]], list[str]]]:
    english = json.loads(read_gzip(folder / "alpaca/alpaca_data_en.json.gz"))
    yield "Alpaca en", [(f"{one['instruction']}\n{one['input']}", one["output"]) for one in english], ["en"]
    chinese = pl.read_parquet(folder / "alpaca/alpaca_en_zh_scored_00000_29999.parquet").fill_null("")
    yield (
        "Alpaca zh",
        list(zip(chinese["zh_instruction"] + "\n" + chinese["zh_input"], chinese["zh_output"], strict=True)),
        ["zh"],
    )
    german = [json.loads(line) for line in read_gzip(folder / "alpaca/alpaca_de_deepl_4k.jsonl.gz").splitlines()]
    yield (
        "Alpaca de (DeepL)",
        [(f"{one['instruction']}\n{one['input']}", one["output"] or "") for one in german],
        ["de"],
    )


def others(folder: Path) -> Iterator[tuple[str, list[tuple[str, str]], list[str]]]:
    packs = packs_of(())
    texts: list[str] = []
    tags: list[str] = []
    for line in read_gzip(folder / "mono/udhr.jsonl.gz").split("\n")[:-1]:
        one = json.loads(line)
        try:
            tag = languages.normalize(one["bcp47"])
        except languages.InvalidLanguage:
            continue
        if packs.of(tag):
            paragraphs = [each if isinstance(each, str) else each.get("text", "") for each in one["paragraphs"]]
            texts += paragraphs
            tags += [tag] * len(paragraphs)
    yield f"UDHR, {len(set(map(languages.base, tags)))} languages", [("", text) for text in texts], tags
    texts, tags = [], []
    for file in sorted((folder / "bench/xquad").glob("*.json.gz")):
        tag = file.name.split(".")[1]
        mine = [part["context"] for article in json.loads(read_gzip(file))["data"] for part in article["paragraphs"]]
        texts, tags = [*texts, *mine], [*tags, *[tag] * len(mine)]
    yield f"XQuAD contexts, {len(set(tags))} languages", [("", text) for text in texts], tags
    table = pl.read_parquet(folder / "parallel/en_32_languages.parquet")
    table = table.filter(pl.col("xx").str.len_chars() > 20).with_columns(
        tag=pl.col("lang").map_elements(languages.normalize, return_dtype=pl.String)
    )
    table = table.filter(pl.col("tag").map_elements(lambda tag: bool(packs.of(tag)), return_dtype=pl.Boolean))
    for source, part in sorted(table.group_by(pl.col("src").str.split(":").list.first())):
        if source[0] != "udhr":
            yield (
                f"{source[0]}, {part['tag'].n_unique()} languages",
                [("", text) for text in part["xx"]],
                part["tag"].to_list(),
            )


def alarms(step: Quality, rows: Rows, frame: pl.DataFrame) -> dict[str, int]:
    """How many rows each reason of the defaults drops, were it the only one."""
    told = frame.with_columns(language=rows.language)
    return {
        reason: int(told.select(test.fill_null(False)).to_series().sum())
        for reason, test in step.drop_rules(rows.kind).items()
    }


def clean(folder: Path, world: World) -> None:
    step = Quality()
    print(
        "\n| clean text | rows | dropped | for what | names | private | secrets |\n|---|---:|---:|---|---:|---:|---:|"
    )
    for make in (alpaca, others):
        try:
            for name, pairs, tags in make(folder):
                rows = chats(pairs, tags * len(pairs) if len(tags) == 1 else tags)
                frame = step.score(rows, world, None)  # type: ignore[arg-type]
                told = {reason: count for reason, count in alarms(step, rows, frame).items() if count}
                any_ = frame.with_columns(language=rows.language).select(
                    pl.any_horizontal(test.fill_null(False) for test in step.drop_rules(rows.kind).values())
                )
                over = {column: int((frame[column] > 0).sum()) for column in ("names", "private", "secrets")}
                print(
                    f"| {name} | {len(rows):,} | {any_.to_series().mean():.3%} |"
                    f" {', '.join(f'{reason} {count}' for reason, count in told.items())} | {over['names']} |"
                    f" {over['private']} | {over['secrets']} |"
                )
        except FileNotFoundError as error:
            print(f"(left out: {error.filename} is not there)")


def planted(world: World) -> None:
    given: dict[str, list[str]] = yaml.safe_load(PLANTED.read_text("utf-8"))
    rows = [((order, "OK"), tag, 2) for tag, (_, _, order) in given.items()] + [
        (("?", text), tag, kind) for tag, texts in given.items() for kind, text in enumerate(texts[:2])
    ]
    frame = Quality().score(chats([pair for pair, _, _ in rows], [tag for _, tag, _ in rows]), world, None)  # type: ignore[arg-type]
    print(f"\n| planted, {len(given)} languages | found |\n|---|---:|")
    for kind, column in enumerate(("refusal", "assistant", "injection")):
        mine = [place for place, (_, _, what) in enumerate(rows) if what == kind]
        print(f"| {column} | {sum(frame[column][place] == 1.0 for place in mine)} of {len(mine)} |")


# ------------------------------------------------------------------------------------------------------------- numbers
def with_luhn(head: str) -> str:
    return next(f"{head}{digit}" for digit in "0123456789" if luhn(f"{head}{digit}"))


def iban(country: str, account: str) -> str:
    number = 98 - int("".join(str(int(sign, 36)) for sign in f"{account}{country}00")) % 97
    return f"{country}{number:02}{account}"


def numbers(count: int = 1000) -> None:
    draw = random.Random(7)
    digits = lambda size: "".join(str(draw.randrange(10)) for _ in range(size))  # noqa: E731
    groups = lambda text, size: " ".join(text[at : at + size] for at in range(0, len(text), size))  # noqa: E731
    zeros = "0٠۰०০๐၀０"

    def other_digits(text: str) -> str:
        zero = draw.choice(zeros)
        return text.translate({ord(str(value)): chr(ord(zero) + value) for value in range(10)})

    def wrong(text: str) -> str:
        places = [place for place, sign in enumerate(text) if sign.isdigit()]
        place = places[-1]
        return text[:place] + str((int(text[place]) + draw.randrange(1, 10)) % 10) + text[place + 1 :]

    def card() -> str:
        return groups(with_luhn("4" + digits(14)), 4)

    made: dict[str, tuple[str | None, Any]] = {
        "IBAN (DE, FR, GB, TR)": (
            "iban",
            lambda: groups(
                iban(
                    *draw.choice(
                        (("DE", digits(18)), ("FR", digits(23)), ("GB", "ABCD" + digits(14)), ("TR", digits(22)))
                    )
                ),
                4,
            ),
        ),
        "card (Visa)": ("card", card),
        "card, digits of 8 scripts": ("card", lambda: other_digits(card())),
        "phone, international": (
            "phone",
            lambda: (
                "+"
                + draw.choice(
                    [
                        "49 30 " + digits(8),
                        "254 7" + digits(8),
                        "86 13" + digits(9),
                        "91 9" + digits(9),
                        "33 6 " + digits(8),
                    ]
                )
            ),
        ),
        "phone after its word (12 languages)": (
            "phone",
            lambda: f"{draw.choice(PHONE_WORDS)} 7{other_digits(digits(8))}",
        ),
        "e-mail": (
            "email",
            lambda: (
                f"{draw.choice('abcdef')}{digits(3)}@{draw.choice(['posteo.de', 'mail.ru', 'qq.com', 'abc.co.ke'])}"
            ),
        ),
        "IPv4, public": (
            "ip",
            lambda: f"{draw.randrange(80, 90)}.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(1, 255)}",
        ),
        "near: IBAN, wrong digit": (None, lambda: wrong(groups(iban("DE", digits(18)), 4))),
        "near: card, wrong digit": (None, lambda: wrong(card())),
        "near: 16 random digits": (None, lambda: groups(digits(16), 4)),
        "near: ISBN-13": (None, lambda: f"ISBN 978-{digits(1)}-{digits(2)}-{digits(6)}-{digits(1)}"),
        "near: date and time": (
            None,
            lambda: f"20{digits(2)}-0{draw.randrange(1, 10)}-1{digits(1)} 1{digits(1)}:3{digits(1)}:2{digits(1)}",
        ),
        "near: version": (
            None,
            lambda: f"version {draw.randrange(20)}.{draw.randrange(40)}.{draw.randrange(255)}.{draw.randrange(9)}",
        ),
        "near: amount": (None, lambda: f"€ {draw.randrange(1, 999)},{digits(3)},{digits(3)}.{digits(2)}"),
        "near: order number": (None, lambda: f"order {digits(10)}"),
        "near: decimals": (None, lambda: f"3.{digits(16)}"),
        "near: private or documentation IP": (
            None,
            lambda: draw.choice(
                [
                    f"10.{draw.randrange(256)}.3.{draw.randrange(256)}",
                    f"192.168.0.{draw.randrange(256)}",
                    f"203.0.113.{draw.randrange(256)}",
                ]
            ),
        ),
    }
    print(f"\n| planted numbers, {count:,} of each | wanted | found |\n|---|---|---:|")
    for name, (kind, one) in made.items():
        hits = 0
        for _ in range(count):
            found = [hit.kind for hit in find(f"Here it is: {one()} and so on.")]
            hits += (kind in found) if kind else bool(found)
        print(f"| {name} | {kind or 'nothing'} | {hits / count:.1%} |")


def speed(folder: Path, world: World) -> None:
    name, pairs, _ = next(alpaca(folder))
    pairs = [(prompt, answer) for prompt, answer in pairs if 400 <= len(prompt) + len(answer) <= 600][:10_000]
    rows = chats(pairs, ["en"] * len(pairs))
    print(
        f"\n| µs a row ({name}, {len(rows):,} rows of {sum(len(a) + len(b) for a, b in pairs) / len(pairs):.0f}"
        " characters, processor time) | |\n|---|---:|"
    )
    for checks in (*((check,) for check in CHECKS), CHECKS):
        step = Quality(checks=checks)  # type: ignore[arg-type]
        step.score(rows.take([place < 100 for place in range(len(rows))]), world, None)  # type: ignore[arg-type]
        started = time.process_time()
        step.score(rows, world, None)  # type: ignore[arg-type]
        print(
            f"| {'all' if len(checks) > 1 else checks[0]} | {(time.process_time() - started) / len(rows) * 1e6:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the public files")
    folder = parser.parse_args().data
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch), 1)
        planted(world)
        numbers()
        clean(folder, world)
        speed(folder, world)


if __name__ == "__main__":
    main()

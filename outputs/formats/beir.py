"""Output for retrieval in BEIR's layout: a corpus, queries, and which texts of the corpus are right for which query.

After ``GenericDataLoader`` of beir 2: ``corpus.jsonl`` and ``queries.jsonl`` with ``_id`` and ``text``, and a table
``qrels/<split>.tsv``. Every entry of that table is a right one, because readers take all of them for that; negatives
are in ``hard-negatives/<split>.jsonl``, as in msmarco-hard-negatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import PrivateAttr

from curate.rows import Kind
from curate.rows.ids import hash_texts
from curate.rows.kinds import STRING
from curate.steps.outputs import Version, Written
from outputs.formats.files import Format, dump_line, relative
from outputs.formats.forms import BESIDE, ExportFormat, attribute_of
from outputs.formats.readme import UsageGuide
from outputs.formats.sentence_transformers import KINDS, contrasted
from outputs.formats.turns import TEXT_EMPTY, Turn, UnsupportedRow

_HEAD = b"query-id\tcorpus-id\tscore\n"
_STRINGS = pa.list_(pa.field("element", STRING, nullable=False))


class Beir(ExportFormat):
    """A retrieval set in BEIR's layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/<split>.tsv``.

    Queries are source sides, or the user's one message; the corpus has target sides, answers, or chosen answers. Equal
    texts are one entry. Rejected answers and the attributes that `negatives` made are in the corpus too, and by query
    in ``hard-negatives/<split>.jsonl``. Row ids are in ``rows/<split>.jsonl``, with both ids of a row.
    """

    tag: ClassVar[str] = "beir"
    kinds: ClassVar[frozenset[Kind]] = frozenset(KINDS)
    summary: ClassVar[str] = "Retrieval sets in BEIR's layout: corpus, queries, relevance, hard negatives."
    formats: ClassVar[tuple[Format, ...]] = ("jsonl",)
    packed_json: ClassVar[bool] = False
    reader: ClassVar[str] = "BEIR"

    negatives_from: str = "negatives"
    """Label of the step that made hard negatives."""
    format: Format = "jsonl"
    """The layout has JSON Lines only."""
    rows_per_file: None = None
    """The layout has one file of each sort."""
    meta_in: Literal["file"] = "file"
    """``file``: in ``rows/<split>.jsonl``."""
    _asked: bool = PrivateAttr(default=False)
    """Whether rows have a language of their prompt."""

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        texts = dict.fromkeys(("query", "query_language", "text", "text_language"), STRING)
        return {**texts, "negatives": _STRINGS}

    def needs(self, kind: Kind) -> tuple[str, ...]:
        return ("language", "attributes", *(["prompt_language"] if self._asked else []))

    def trained(self, kind: Kind, row: Mapping[str, Any]) -> list[Turn]:
        return []  # no message is trained on as such

    def drops(self, kind: Kind) -> frozenset[str]:
        return super().drops(kind) | {"reasoning", "tools"}

    def spread(self, split: str, written: Written) -> list[str]:
        return [name for name in written.files if name == f"qrels/{split}.tsv"]

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        query, text, *wrong = contrasted(kind, row)
        if not query.strip() or not text.strip():
            raise UnsupportedRow(TEXT_EMPTY)
        number = 1
        while (found := attribute_of(row, f"{self.negatives_from}.{number}")) is not None:
            wrong.append(found)
            number += 1
        asked = row["source_language"] if kind is Kind.PARALLEL else row.get("prompt_language") or row["language"]
        return {
            "query": query,
            "query_language": asked,
            "text": text,
            "text_language": row["language"],
            "negatives": [one for one in wrong if one.strip()],
        }

    def write_data(self, version: Version, folder: Path, written: Written, seen: dict[str, set[str]]) -> None:
        self._asked = "prompt_language" in version.extras and version.kind is not Kind.PARALLEL
        schema = self._schema(version.kind)
        with _Files(folder) as files:
            for split in version.splits:
                written.rows[split] = 0
                for table in self._tables(version, split, schema, written, seen):
                    for row in table.to_pylist():
                        files.add(split, row)
                    written.rows[split] += table.num_rows
            written.files = relative(files.finish(), folder)
        written.notes += files.notes()

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        _, test = self.train_and_test(version, written)
        split = test or next(name for name in version.splits if written.rows[name])
        code = (
            "import csv, json\n"
            "from sentence_transformers import SentenceTransformer\n"
            "from sentence_transformers.evaluation import InformationRetrievalEvaluator\n\n"
            "def texts(name):\n"
            '    with open(name, encoding="utf-8") as lines:\n'
            '        return {row["_id"]: row["text"] for row in map(json.loads, lines)}\n\n'
            'queries, corpus, right = texts("queries.jsonl"), texts("corpus.jsonl"), {}\n'
            f'with open("qrels/{split}.tsv", encoding="utf-8") as lines:\n'
            '    for row in csv.DictReader(lines, delimiter="\\t"):\n'
            '        right.setdefault(row["query-id"], set()).add(row["corpus-id"])\n'
            "evaluator = InformationRetrievalEvaluator({one: queries[one] for one in right}, corpus, right)\n"
            'print(evaluator(SentenceTransformer("sentence-transformers/LaBSE")))\n'
        )
        said = f"`GenericDataLoader(folder).load(split={split!r})` of beir reads it; or, without beir:"
        return UsageGuide(steps=[(said, "python", code)])


class _Files:
    """The open files, and what must be known of all rows before the last ones are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()
        self._ids: set[bytes] = set()
        self._right: dict[bytes, set[bytes]] = {}
        """Query → its right texts, in any split."""
        self._wrong: dict[str, dict[bytes, dict[bytes, None]]] = {}
        """Split → query → texts that are wrong for it."""
        self._splits: dict[bytes, str] = {}
        self._several: set[bytes] = set()
        self._also_right = 0

    def __enter__(self) -> _Files:
        for name in ("corpus.jsonl", "queries.jsonl"):
            self._file(name)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, split: str, row: Mapping[str, Any]) -> None:
        """Adds a rendered row."""
        query = self._text("queries.jsonl", "q", row["query"], row["query_language"])
        text = self._text("corpus.jsonl", "d", row["text"], row["text_language"])
        right = self._right.setdefault(query, set())
        if self._splits.setdefault(query, split) != split:
            self._several.add(query)
        if text not in right:
            right.add(text)
            self._file(f"qrels/{split}.tsv", _HEAD).write(b"%s\t%s\t1\n" % (_name("q", query), _name("d", text)))
        for wrong in row["negatives"]:
            known = self._wrong.setdefault(split, {}).setdefault(query, {})
            known[self._text("corpus.jsonl", "d", wrong, row["text_language"])] = None
        both = {"query-id": _name("q", query).decode(), "corpus-id": _name("d", text).decode()}
        self._file(f"{BESIDE}/{split}.jsonl").write(dump_line({**both, **row.get("meta", {})}) + b"\n")

    def finish(self) -> list[Path]:
        """Writes the negatives; the paths of all files."""
        for split, queries in self._wrong.items():
            for query, texts in queries.items():
                wrong = [text for text in texts if text not in self._right[query]]
                self._also_right += len(texts) - len(wrong)
                if wrong:
                    right = [_name("d", text).decode() for text in sorted(self._right[query])]
                    texts_of = {"negatives": [_name("d", text).decode() for text in wrong]}
                    told = {"qid": _name("q", query).decode(), "pos": right, "neg": texts_of}
                    self._file(f"hard-negatives/{split}.jsonl").write(dump_line(told) + b"\n")
        self._stack.close()
        return [self.folder / name for name in self._open]

    def notes(self) -> list[str]:
        """What whoever uses the files should know."""
        found = []
        if self._several:
            found.append(f"{len(self._several):,} queries are in several splits, with a right text in each")
        if self._also_right:
            found.append(f"{self._also_right:,} negatives are right texts of their query elsewhere, and no negatives")
        return found

    def _text(self, name: str, sort: str, text: str, language: str) -> bytes:
        """The digest of a text, which is written if it is new."""
        [digest] = hash_texts([text], 16)
        key = sort.encode() + digest
        if key not in self._ids:
            self._ids.add(key)
            title = {"title": ""} if sort == "d" else {}
            record = {"_id": _name(sort, digest).decode(), **title, "text": text, "metadata": {"language": language}}
            self._file(name).write(dump_line(record) + b"\n")
        return digest

    def _file(self, name: str, head: bytes = b"") -> IO[bytes]:
        if name not in self._open:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open[name] = self._stack.enter_context(path.open("wb"))
            self._open[name].write(head)
        return self._open[name]


def _name(sort: str, digest: bytes) -> bytes:
    """An id in the files. Queries and texts have different ones, because BEIR takes no text of the query's id for a
    hit."""
    return f"{sort}-{digest.hex()}".encode()


__all__ = ["Beir"]

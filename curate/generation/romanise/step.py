"""``romanise``: writes rows in Latin letters, as new rows, as pairs, or both scripts in one prompt.

Indic scripts are transliterated reversibly (ISO 15919), and each row is checked for it. All other scripts go through
uroman, which cannot be reversed. Code, addresses and placeholders stay unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from curate.catalog.params import LanguageTag
from curate.errors import StepError
from curate.generation.common.derived_rows import derive_rows, failed, unchanged_rows
from curate.generation.common.prompts import Prompt, own_prompt
from curate.generation.romanise.latin import Digits, Romanised, Scheme, foreign, has_han, romanise
from curate.rows import Kind, answer_field, languages, main_fields, unknown_fields
from curate.rows.fields import field_place
from curate.rows.kinds import payload
from curate.steps import Context, RowBatch, Rows, RowStep
from curate.text.placeholders import PROTECTABLE, Protectable, code_blocks, spans

_PROTECTED: tuple[Protectable, ...] = tuple(name for name in PROTECTABLE if name != "symbol")
_FENCE = re.compile(r"[ \t>*+.)\d-]{0,12}(?:```|~~~|<)")
_JAPANESE = frozenset({"ja", "ryu", "ain", "ojp"})
Interval = tuple[int, int]
Place = tuple[str, int | None]
"""Column of a row, and the index of the turn in it (None: the column is plain text)."""


class Romanise(RowStep):
    """Writes rows in Latin letters. Their language becomes ``xx-Latn``.

    A field that is already in Latin letters is skipped. Scores: ``romanise.round_trip``, the share of characters of
    Indic words that are the same after converting the Latin text back (joiners left out); ``romanise.left``, the share
    of letters that are not Latin afterwards. Attribute ``romanise.scheme`` names the scheme.
    """

    tag: ClassVar[str] = "romanise"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "rows in Latin letters: as new rows, as pairs, or both scripts in one prompt"

    scheme: Scheme = "auto"
    """The transliteration scheme: ``uroman`` for every script; ``iso15919``, ``iast``, ``itrans``, ``hk``, ``slp1``,
    ``velthuis`` or ``wx`` for Indic ones. ``auto`` is ``iso15919`` for Indic scripts, else ``uroman``."""
    form: Literal["row", "pair", "prompt-both"] = "row"
    """``row``: the row in Latin letters. ``pair``: a ``parallel`` row (native, Latin) for each turn or text.
    ``prompt-both``: the row, with its prompt in both scripts."""
    fields: tuple[str, ...] | None = None
    """The fields to romanise; by default the main fields of the kind."""
    only: tuple[LanguageTag, ...] | None = None
    """The languages whose rows are romanised; by default all. Other rows are kept unchanged (and make no pairs)."""
    keep_original: bool | None = None
    """Whether to keep the native rows beside the new ones; by default only for ``form: row``."""
    template: str = "{native}\n\n{latin}"
    """The template of a ``prompt-both`` turn."""
    digits: Digits = "latin"
    """``latin`` writes the digits of other scripts as 0 to 9, ``native`` leaves them."""
    protect: tuple[Protectable, ...] = _PROTECTED
    """Spans that are never changed."""
    kanji: Literal["refuse", "chinese"] = "refuse"
    """What to do with Japanese rows that have kanji, since uroman reads every Han character as Mandarin (東京 becomes
    ``dongjing``): ``refuse`` stops the build, ``chinese`` accepts that reading."""
    min_round_trip: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Minimum ``round_trip``; rows below it are quarantined."""
    max_left: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Maximum share of letters left in another script; rows above it are quarantined."""

    # --------------------------------------------------------------------------------------------------------- contract
    def check(self, kind: Kind) -> list[str]:
        problems = unknown_fields(kind, self.fields)
        if self.fields == ():
            problems.append("fields: is empty; leave it out for the main fields")
        if self.form == "pair" and self.keep_original:
            problems.append(
                "keep_original: pairs are rows of another kind; the native text is already their source side"
            )
        if self.form == "prompt-both":
            if kind in (Kind.PARALLEL, Kind.DOCUMENT):
                problems.append(f"form: {kind} rows have no prompt; write 'row' or 'pair'")
            if self.fields not in (None, ("prompt",)):
                problems.append("fields: prompt-both is about the prompt; leave it out")
            try:
                mismatch = {"native", "latin"} ^ self._prompt().holes
            except StepError as error:
                problems.append(f"template: {error}")
            else:
                if mismatch:
                    problems.append(
                        "template: it must have {native} and {latin}, and no other placeholder "
                        f"({', '.join(sorted(mismatch))})"
                    )
        return problems

    def makes(self, kind: Kind) -> Kind:
        return Kind.PARALLEL if self.form == "pair" else kind

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        done = [_RomanisedRow(self, rows, place) for place in range(len(rows))]
        _romanise_all(self, done)
        changed = [one for one in done if one.changed]
        bad = {one.place: problem for one in changed if (problem := one.problem(self))}
        good = [one for one in changed if one.place not in bad]
        if self._keeps:
            yield unchanged_rows(rows)
        elif self.form != "pair":
            yield unchanged_rows(rows.take([not one.changed for one in done]))
        new = self._pairs(rows, good) if self.form == "pair" else self._rows(rows, good)
        yield RowBatch(new, tuple(failed(rows, place, reason, done[place].raw()) for place, reason in bad.items()))

    # ------------------------------------------------------------------------------------------------------------ parts
    @property
    def _keeps(self) -> bool:
        return self.form == "row" if self.keep_original is None else self.keep_original

    def _prompt(self) -> Prompt:
        return own_prompt("romanise", self.template)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The fields to romanise."""
        return ("prompt",) if self.form == "prompt-both" else self.fields or main_fields(kind)

    def is_open(self, tag: str) -> bool:
        """Whether rows in this language are romanised."""
        return self.only is None or any(tag == one or tag.startswith(f"{one}-") for one in self.only)

    def _rows(self, rows: Rows, good: Sequence[_RomanisedRow]) -> pa.Table:
        prompt = self._prompt()
        values: dict[str, list[Any]] = {name: [] for name in payload(rows.kind)}
        for one in good:
            row = dict(one.row)
            for (column, turn), romanised in one.made.items():
                text = romanised.text
                if self.form == "prompt-both":
                    text = prompt.fill({"native": one.text(column, turn), "latin": text})[0][1]
                if turn is None:
                    row[column] = text
                else:
                    turns = list(row[column])
                    turns[turn] = {**turns[turn], "content": text}
                    row[column] = turns
            if self.form == "row" and rows.kind is Kind.PARALLEL and ("source", None) in one.made:
                row["source_language"] = latin_tag(row["source_language"])
            for name, column_values in values.items():
                column_values.append(row[name])
        if self.form == "row" and "prompt_language" in values:
            asked = [one.prompt_tag for one in good]
            prompts = "prompt" in self.names(rows.kind)
            values["prompt_language"] = [latin_tag(tag) if prompts and not is_latin(tag) else tag for tag in asked]
        says = answer_field(rows.kind) in self.names(rows.kind) and self.form == "row"
        if rows.kind is Kind.PARALLEL:
            tags = [latin_tag(one.tag) if ("target", None) in one.made else one.tag for one in good]
        else:
            tags = [latin_tag(one.tag) if says and not is_latin(one.tag) else one.tag for one in good]
        return self._new(rows.kind, rows, good, [one.scores() for one in good], values, tags)

    def _pairs(self, rows: Rows, good: Sequence[_RomanisedRow]) -> pa.Table:
        each = [(one, where, romanised) for one in good for where, romanised in one.made.items()]
        tags = [one.tag_of(where) for one, where, _ in each]
        values = {
            "source_language": tags,
            "source": [one.text(*where) for one, where, _ in each],
            "target": [romanised.text for _, _, romanised in each],
        }
        scores = [_scores([romanised]) for _, _, romanised in each]
        return self._new(
            Kind.PARALLEL, rows, [one for one, _, _ in each], scores, values, [latin_tag(tag) for tag in tags]
        )

    def _new(
        self,
        kind: Kind,
        rows: Rows,
        made: Sequence[_RomanisedRow],
        scores: Sequence[Mapping[str, float]],
        values: Mapping[str, Sequence[Any]],
        tags: Sequence[str],
    ) -> pa.Table:
        used = [one.schemes(self.scheme) for one in made]
        return derive_rows(
            kind,
            rows,
            [one.place for one in made],
            values,
            tags,
            step=self.tag,
            model=[" + ".join(filter(None, map(_maker, names))) for names in used],
            prompt_hash=self._prompt().hash if self.form == "prompt-both" else "",
            scores=scores,
            attributes=[{"scheme": "+".join(names)} for names in used],
        )


# ----------------------------------------------------------------------------------------------------------------- rows
class _RomanisedRow:
    """A row and the romanised versions of its texts."""

    def __init__(self, step: Romanise, rows: Rows, place: int) -> None:
        self.place = place
        self.row: dict[str, Any] = {name: rows.table[name][place].as_py() for name in payload(rows.kind)}
        self.tag: str = rows.language[place]
        self.prompt_tag: str = rows.prompt_language[place]
        self.made: dict[Place, Romanised] = {}
        self.places: list[Place] = []
        for name in step.names(rows.kind):
            column, roles = field_place(rows.kind, name)
            value = self.row[column]
            if isinstance(value, str):
                self.places.append((column, None))
            else:
                self.places += [(column, at) for at, turn in enumerate(value) if roles is None or turn["role"] in roles]
        self.places = [where for where in dict.fromkeys(self.places) if step.is_open(self.tag_of(where))]

    def tag_of(self, where: Place) -> str:
        """The language that a text should be in."""
        column, turn = where
        if column == "source":
            return str(self.row["source_language"])
        asks = column == "prompt" or (turn is not None and self.row[column][turn]["role"] in ("user", "system"))
        return self.prompt_tag if asks else self.tag

    def text(self, column: str, turn: int | None) -> str:
        """The original text."""
        value = self.row[column]
        return str(value if turn is None else value[turn]["content"])

    @property
    def changed(self) -> bool:
        return bool(self.made)

    def scores(self) -> dict[str, float]:
        """The scores of all romanised texts together."""
        return _scores(list(self.made.values()))

    def problem(self, step: Romanise) -> str:
        """The reason why the row cannot be used; empty if it can."""
        scores = self.scores()
        if scores["left"] > step.max_left:
            return f"{scores['left']:.0%} of the letters are not Latin (scheme {step.scheme})"
        if scores.get("round_trip", 1.0) < step.min_round_trip:
            return f"only {scores['round_trip']:.1%} of the characters come back (scheme {step.scheme})"
        return ""

    def raw(self) -> str:
        """The romanised texts, for the quarantine table."""
        return "\n\n".join(one.text for one in self.made.values())

    def schemes(self, scheme: Scheme) -> list[str]:
        """The schemes that were used."""
        if scheme != "auto":
            return [scheme]
        used = {
            "iso15919": any(one.native for one in self.made.values()),
            "uroman": any(one.universal for one in self.made.values()),
        }
        return [name for name, is_used in used.items() if is_used]


def _romanise_all(step: Romanise, rows: Sequence[_RomanisedRow]) -> None:
    pending = [(one, where, one.text(*where)) for one in rows for where in one.places]
    pending = [each for each in pending if not each[2].isascii()]
    texts = [text for _, _, text in pending]
    blocks = code_blocks(texts) if "code" in step.protect else [[] for _ in texts]
    inline = tuple(name for name in step.protect if name != "code")
    for (one, where, text), code in zip(pending, blocks, strict=True):
        kept = _protected(text, [block for block in code if _is_code(text[slice(*block)])], inline)
        tag = one.tag_of(where)
        count = foreign(text, kept)
        # A foreign word in a Latin-script text stays; a text that is not in the script of its language tag does not.
        if not count or (is_latin(tag) and 2 * count <= sum(letter.isalpha() for letter in text)):
            continue
        if (
            languages.base(tag) in _JAPANESE
            and step.scheme in ("auto", "uroman")
            and step.kanji == "refuse"
            and has_han(text, kept)
        ):
            raise StepError(
                "romanise: uroman reads kanji as Chinese (東京 becomes 'dongjing'), and some rows are Japanese with "
                "kanji; exclude them with 'only: […]', or accept that reading with 'kanji: chinese'"
            )
        made = romanise(text, languages.UNKNOWN if is_latin(tag) else tag, step.scheme, step.digits, kept)
        if made.changed or made.left:
            one.made[where] = made


def _is_code(block: str) -> bool:
    """Whether lines that look like program code are code: a Greek question ends in what looks like a semicolon."""
    return bool(_FENCE.match(block)) or 2 * foreign(block) <= sum(char.isalpha() for char in block)


def _protected(text: str, code: Sequence[Interval], what: tuple[Protectable, ...]) -> list[Interval]:
    """The protected intervals: code blocks, and spans outside them; in order, none inside another."""
    intervals = [*code, *((span.start, span.end) for span in spans(text, what))] if what else list(code)
    kept: list[Interval] = []
    for start, end in sorted(intervals):
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
        else:
            kept.append((start, end))
    return kept


def _scores(made: Sequence[Romanised]) -> dict[str, float]:
    letters, native = sum(one.letters for one in made), sum(one.native for one in made)
    scores = {"left": round(sum(one.left for one in made) / max(letters, 1), 5)}
    if native:
        # Rounded down: 1 means that every character comes back.
        scores["round_trip"] = int(10**5 * sum(one.returned for one in made) / native) / 10**5
    return scores


def _maker(scheme: str) -> str:
    if scheme == "iso15919":
        return ""
    package = "uroman" if scheme == "uroman" else "indic-transliteration"
    try:
        return f"{package}@{version(package)}"
    except PackageNotFoundError:
        return package


# ------------------------------------------------------------------------------------------------------------ languages
def is_latin(tag: str) -> bool:
    """Whether a language tag says that the language is written in Latin letters."""
    return languages.script(tag) == "Latn"


def latin_tag(tag: str) -> str:
    """The same language in Latin letters (``zh-Hant`` → ``zh-Latn``)."""
    first, *more = tag.split("-")
    return languages.normalize(
        "-".join([first, "Latn", *(part for part in more if not (len(part) == 4 and part.isalpha()))])
    )

"""Parameters of ``code_switch``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from curate.catalog.params import LanguageTag, RowsName
from curate.data_files import DataFile
from curate.generation.common.prompts import own_prompt
from curate.rows import Kind
from curate.rows.fields import main_fields, unknown_fields
from curate.steps import RowStep
from curate.text.placeholders import PROTECTABLE, Protectable
from curate.text.sentences import ABBREVIATIONS

Share = Annotated[float, Field(ge=0, le=1)]
_INPUTS = {Kind.PARALLEL: ("source",), Kind.DOCUMENT: ("text",)}


class CodeSwitchParams(RowStep):
    """Parameters of ``code_switch``."""

    tag: ClassVar[str] = "code_switch"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS,)
    version: ClassVar[int] = 5
    summary: ClassVar[str] = (
        "code-switched rows: words, phrases or sentences replaced by translations from a word table"
    )
    batch: ClassVar[int] = 65_536

    to: LanguageTag | tuple[LanguageTag, ...] | dict[LanguageTag, Annotated[float, Field(gt=0)]]
    """The language to switch to, or several. One is drawn for each row: evenly, or by the weights of a mapping."""
    table: RowsName | None = None
    """Parallel rows with the translations, in either direction: a dictionary, the output of ``lexicon``, or sentence
    pairs for ``level: sentence``."""
    siblings: RowsName | None = None
    """For ``level: sentence``: rows of the same kind that have the translation of a row under the same ``group_id``."""
    level: Literal["word", "phrase", "sentence"] = "word"
    """The unit that is switched: single table entries, runs of neighbouring entries, or whole sentences."""
    ratio: Share | tuple[Share, Share] = 0.3
    """The share of switchable units to switch. A pair is a range; each row draws its share from it."""
    of: Literal["switchable", "words"] = "switchable"
    """What ``ratio`` is a share of: switchable words only, or all words. With ``level: sentence``: sentences."""
    least: Annotated[int, Field(ge=0)] = 1
    """Minimum number of switches per row, where possible."""
    longest: Annotated[int, Field(ge=2)] = 4
    """For ``level: phrase``: maximum number of neighbouring entries switched together."""
    fields: tuple[Annotated[str, Field(min_length=1)], ...] | Literal["input", "all"] = "input"
    """The fields to switch: names, ``input`` (the prompt, the source side, a document's text) or ``all``."""
    matrix: LanguageTag | None = None
    """The matrix language, which is switched from; by default each row's own language."""
    others: Literal["drop", "keep", "switch"] = "drop"
    """What to do with rows whose language is not ``matrix``: drop them, keep them unchanged, or switch them as if they
    were in it (a prompt in the matrix language whose answer is in another)."""
    each: bool = False
    """Whether to make one row for each language of ``to`` instead of drawing one language per row."""
    mix: bool = False
    """Whether to draw a language for each word, so that one row may mix several."""
    variants: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of rows made from each row, by different draws; equal ones are made once."""
    choice: Literal["best", "sample"] = "best"
    """Which of several translations to use: the one with the best score (of equals the first in the table), or one
    drawn by score."""
    score: str | None = None
    """Name of the table's score; by default ``lexicon``. Without that score all entries are equal."""
    min_score: Annotated[float, Field(ge=0)] = 0.0
    """Minimum score of an entry; an entry without a score counts as 1."""
    same_script: bool = True
    """Whether a translation must have at least one letter of its language's script (dictionaries hold others too)."""
    never: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Words that are never switched, such as ``the``."""
    names: bool = False
    """Whether to switch words that look like names: words with a capital in mid-sentence (except in languages that
    capitalise nouns) or with capitals inside. In scripts without capitals names are not detected."""
    protect: tuple[Protectable, ...] = PROTECTABLE
    """Spans that are never changed."""
    capitals: bool = True
    """Whether to carry capitals over to the translation, where its script has them."""
    whitespace: bool | None = None
    """Whether to put a space between words of spaced scripts and letters of unspaced ones. By default yes in Thai, Lao,
    Khmer, Burmese and the like, and no in Chinese and Japanese. Words that would run together always get a space."""
    isolates: bool = False
    """Whether to put words of the other writing direction between isolating marks (U+2068, U+2069) for display. The
    letters are in logical order in either case."""
    unswitched: Literal["drop", "keep", "quarantine"] = "drop"
    """What to do with rows in which nothing could be switched: drop them (counted in a warning), keep them unchanged
    and without scores of this step, or quarantine them."""
    keep_original: bool = False
    """Whether to keep the original rows too."""
    record: bool = False
    """Whether to list the switches in the attribute ``code_switch.switched``, a JSON list of ``[field, turn, start,
    from, to]`` with the start in code points of the new text."""
    restore: bool = False
    """Whether to make pairs for learning the reverse direction instead of switched rows, one for each switched text:
    parallel rows (switched → original), or conversations if ``instruction`` is set."""
    instruction: str | None = None
    """For ``restore``: the user turn, with ``{text}`` for the switched text. The original text is the answer."""

    @model_validator(mode="after")
    def _fitting(self) -> CodeSwitchParams:
        def wrong(message: str) -> PydanticCustomError:
            return PydanticCustomError("code_switch", "{message}", {"message": message})

        if not self.languages:
            raise wrong("'to' names no language")
        if self.table is None and (self.level != "sentence" or self.siblings is None):
            raise wrong(
                "'table' is missing: parallel rows to take translations from"
                + (" (or 'siblings')" if self.level == "sentence" else "")
            )
        if self.siblings is not None and self.level != "sentence":
            raise wrong("'siblings' is for 'level: sentence'")
        if self.instruction is not None:
            if not self.restore:
                raise wrong("'instruction' needs 'restore: true'")
            if own_prompt("instruction", self.instruction).holes != {"text"}:
                raise wrong("'instruction' must have {text}, where the switched text goes, and no other placeholder")
        if isinstance(self.ratio, tuple) and self.ratio[0] > self.ratio[1]:
            raise wrong("'ratio' is a range: the lower share comes first")
        if self.restore and (self.keep_original or self.unswitched == "keep" or self.others == "keep"):
            raise wrong("'restore: true' makes pairs; it cannot keep unchanged rows too")
        return self

    @property
    def languages(self) -> dict[str, float]:
        """The languages to switch to, with their weights."""
        if isinstance(self.to, str):
            return {self.to: 1.0}
        # Mappings are equal in whatever order they are written.
        return dict(sorted(self.to.items())) if isinstance(self.to, Mapping) else dict.fromkeys(self.to, 1.0)

    def field_list(self, kind: Kind) -> tuple[str, ...]:
        """The fields that are switched in rows of a kind."""
        if self.fields == "all":
            return main_fields(kind)
        return _INPUTS.get(kind, ("prompt",)) if self.fields == "input" else self.fields

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, self.field_list(kind))

    def makes(self, kind: Kind) -> Kind:
        if not self.restore:
            return kind
        return Kind.PARALLEL if self.instruction is None else Kind.SFT

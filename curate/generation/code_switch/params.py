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
    """Makes code-switched rows by a word table, or by the same rows in other languages."""

    tag: ClassVar[str] = "code_switch"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS,)
    version: ClassVar[int] = 4
    summary: ClassVar[str] = (
        "code-switched rows: words, phrases or sentences replaced by their translations, by ratio and seed"
    )
    batch: ClassVar[int] = 65_536

    to: LanguageTag | tuple[LanguageTag, ...] | dict[LanguageTag, Annotated[float, Field(gt=0)]]
    """The language to switch to, or several, from which one is drawn for each row: evenly, or by the weights of a mapping."""
    table: RowsName | None = None
    """Parallel rows to take translations from (a dictionary, what ``lexicon`` made; sentence pairs for ``level: sentence``), in
    either direction."""
    siblings: RowsName | None = None
    """``level: sentence``: rows of the same kind among which the translations of a row are found by ``group_id``."""
    level: Literal["word", "phrase", "sentence"] = "word"
    """What is switched: single entries of the table, runs of neighbouring entries, or whole sentences."""
    ratio: Share | tuple[Share, Share] = 0.3
    """Which share of what can be switched is; a pair is a range from which each row draws."""
    of: Literal["switchable", "words"] = "switchable"
    """What ``ratio`` is a share of: what could be switched, or all words (as far as they can be). At the sentence level: sentences."""
    least: Annotated[int, Field(ge=0)] = 1
    """In each row at least so much is switched, if it can be."""
    longest: Annotated[int, Field(ge=2)] = 4
    """``level: phrase``: at most so many neighbours are switched together."""
    fields: tuple[Annotated[str, Field(min_length=1)], ...] | Literal["input", "all"] = "input"
    """The fields to switch: by name, ``input`` (the prompt, the source side, a document's text) or ``all``."""
    matrix: LanguageTag | None = None
    """The language that is switched from; by default each row's own."""
    others: Literal["drop", "keep", "switch"] = "drop"
    """What becomes of rows whose language is not ``matrix``: they are left out, stay as they are, or are switched as if it were
    (a prompt in the matrix language whose answer is in another)."""
    each: bool = False
    """Whether every row is made once for each language of ``to``, in place of a draw."""
    mix: bool = False
    """Whether the language is drawn for each word anew, so that one row may mix several."""
    variants: Annotated[int, Field(ge=1, le=1000)] = 1
    """So many rows are made of each, by different draws; equal ones come once."""
    choice: Literal["best", "sample"] = "best"
    """Which of several translations is taken: the one with the best score (of equals the table's first), or one drawn by score."""
    score: str | None = None
    """Name of the table's score; by default ``lexicon`` where it has one, else all entries are equal."""
    min_score: Annotated[float, Field(ge=0)] = 0.0
    """Entries with a lower score are not used; without a score an entry has 1."""
    same_script: bool = True
    """Whether only translations count that have a letter of their language's script; dictionaries hold others."""
    never: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Words that are left alone, such as ``the``."""
    names: bool = False
    """Whether words that look like names may be switched: with a capital in mid-sentence (in languages that write nouns small),
    or capitals inside. Scripts without capitals show no names."""
    protect: tuple[Protectable, ...] = PROTECTABLE
    """What is never touched, nor anything inside."""
    capitals: bool = True
    """Whether capitals are carried over to the translation, where its script has them."""
    whitespace: bool | None = None
    """Whether a blank parts words of spaced scripts from letters of unspaced ones; by default in Thai, Lao, Khmer, Burmese and the
    like, which set foreign words off, and not in Chinese and Japanese. Words that would run together are always parted."""
    isolates: bool = False
    """Whether a word of the other writing direction is put between isolating marks (U+2068, U+2069), for display; the order of the
    letters is the logical one either way."""
    unswitched: Literal["drop", "keep", "quarantine"] = "drop"
    """What becomes of rows in which nothing could be switched: they are left out and counted in a warning, stay as they are
    (without scores of this step), or are kept apart as failures."""
    keep_original: bool = False
    """Whether the rows themselves go on too."""
    record: bool = False
    """Whether the attribute ``code_switch.switched`` says what was switched: a JSON list of
    ``[field, turn, start, from, to]``, the start in code points of the new text."""
    restore: bool = False
    """Whether pairs for learning the way back are made in place of rows, one for each switched text: parallel rows (switched →
    original), or, with ``instruction``, conversations that ask for it."""
    instruction: str | None = None
    """``restore``: the user's turn, with ``{text}`` where the switched text goes; the original is the answer."""

    @model_validator(mode="after")
    def _fitting(self) -> CodeSwitchParams:
        def wrong(message: str) -> PydanticCustomError:
            return PydanticCustomError("code_switch", "{message}", {"message": message})

        if not self.languages:
            raise wrong("'to' names no language")
        if self.table is None and (self.level != "sentence" or self.siblings is None):
            raise wrong(
                "give 'table', parallel rows to take translations from"
                + (" (or 'siblings')" if self.level == "sentence" else "")
            )
        if self.siblings is not None and self.level != "sentence":
            raise wrong("'siblings' is for 'level: sentence'")
        if self.instruction is not None:
            if not self.restore:
                raise wrong("'instruction' is for 'restore: true'")
            if own_prompt("instruction", self.instruction).holes != {"text"}:
                raise wrong("'instruction' must have {text}, where the switched text goes, and no other hole")
        if isinstance(self.ratio, tuple) and self.ratio[0] > self.ratio[1]:
            raise wrong("'ratio' is a range: the lower share first")
        if self.restore and (self.keep_original or self.unswitched == "keep" or self.others == "keep"):
            raise wrong("'restore: true' makes pairs, among which rows that stay as they are have no place")
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

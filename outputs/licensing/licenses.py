"""The licence database: what each licence permits and requires, and which licences can be combined.

``data/licenses.yaml`` has SPDX identifiers, the Hub's names for them, models' output terms, and which share-alike
licences may be converted to which. It is an engineers' reading that catches plain mistakes, not legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curate.errors import PublishError
from curate.files import regular

FILE = Path(__file__).with_name("licenses.yaml")
_MOST_ALTERNATIVES = 64
_LONGEST = 200
ANY = "*"
_PORT = re.compile(
    r"((?:cc-by(?:-nc)?(?:-sa|-nd)?|creative-commons-[a-z-]+)-\d\.\d)-(?:[a-z]{2}|igo|scotland|unported|international|generic)"
)
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/(?:licenses/([a-z-]+)/(\d\.\d)|publicdomain/(zero)/1\.0|publicdomain/mark/1\.0)(?:/.*)?"
)


class Terms(BaseModel):
    """What one licence permits and requires."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """SPDX identifier, ``LicenseRef-…``, ``unknown``, ``other``; for an unlisted licence the text itself."""
    name: str = ""
    url: str = ""
    redistribute: bool | None = True
    """Whether copies may be redistributed; None if unknown."""
    commercial: bool = True
    modifications: bool = True
    attribution: bool = False
    share_alike: bool = False
    extra: bool = False
    """Whether further use restrictions apply to every copy."""
    becomes: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    hub: str | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""
    checked: Literal["", "text", "told"] = ""
    """The basis of the entry: the licence's own text (``text``) or only secondary sources (``told``)."""

    @property
    def remark(self) -> str:
        """The note, with its reliability if third-party terms bind users of the rows."""
        if not self.extra or self.checked == "text" or "not read" in self.note or not self.id.startswith("LicenseRef-"):
            return self.note
        how = "from secondary sources" if self.checked == "told" else "not legally reviewed"
        return f"{self.note} ({how}: read the original terms)" if self.note else ""


class _OfModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    match: str
    terms: str | None
    note: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    owner: str = ""
    licenses: dict[str, Terms] = Field(default_factory=dict)
    models: tuple[_OfModel, ...] = ()


@dataclass(frozen=True)
class Incompatibility:
    """Licences that cannot be combined."""

    licenses: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class CombinedTerms:
    """The combined licence of works under several licences."""

    parts: tuple[Terms, ...]
    """The licences that remain, without those covered by a stricter one."""
    result: Terms | None
    """The single licence of the whole; None if several apply side by side, or they are incompatible."""
    clashes: tuple[Incompatibility, ...] = ()

    @property
    def expression(self) -> str:
        """As an SPDX expression."""
        return self.result.id if self.result else " AND ".join(part.id for part in self.parts)


@dataclass(frozen=True)
class LicenseDatabase:
    """All known licences, by every name they have."""

    licenses: dict[str, Terms]
    models: tuple[tuple[re.Pattern[str], str | None, str], ...] = ()
    _folded: dict[str, str] = field(default_factory=dict)

    @cached_property
    def hub_names(self) -> frozenset[str]:
        """The Hub's names of licences."""
        return frozenset(terms.hub for terms in self.licenses.values() if terms.hub)

    def find(self, name: str) -> Terms:
        """The terms of a licence by any of its names; unknown terms if it is not listed."""
        known = self._look_up(name)
        return self.licenses[known] if known else Terms(id=name.strip()[:_LONGEST] or "unknown", redistribute=None)

    def known(self, name: str) -> bool:
        """Whether a licence of that name is listed."""
        return self._look_up(name) is not None

    def _look_up(self, name: str) -> str | None:
        folded = _fold(name)
        if folded in self._folded:
            return self._folded[folded]
        # A national version of a Creative Commons licence, or its URL.
        if match := _PORT.fullmatch(folded):
            return self._folded.get(match[1])
        if match := _ADDRESS.fullmatch(folded):
            return self._folded.get(f"cc-{match[1]}-{match[2]}" if match[1] else "cc0-1.0" if match[3] else "pd")
        return None

    def alternatives(self, expression: str) -> tuple[tuple[Terms, ...], ...]:
        """The ways to comply with an SPDX expression: sets of licences that all apply, in order of appearance.

        ``A AND (B OR C)`` gives (A, B) and (A, C). A ``WITH`` exception only loosens and is ignored. Text that is not
        an expression is one licence of that name. At most 64 ways are returned.
        """
        if self.known(expression):
            return ((self.find(expression),),)
        try:
            ways = _Parser(expression).whole()
        except ValueError:
            return ((self.find(expression),),)
        return tuple(dict.fromkeys(tuple(dict.fromkeys(self.find(name) for name in way)) for way in ways))

    def of_model(self, model: str) -> tuple[Terms | None, str] | None:
        """The output terms of a model, and a remark; None if the model is unknown.

        Args:
            model: ``name@revision`` of one model; for a translation chain call it for each.
        """
        name = model.partition("@")[0]
        for pattern, terms, note in self.models:
            if pattern.search(name):
                return (self.find(terms) if terms else None), note
        return None

    # ---------------------------------------------------------------------------------------------------------- joining
    def join(self, parts: Iterable[Terms]) -> CombinedTerms:
        """The licence that works under all of these licences can be published under together.

        All share-alike licences must be convertible to a single one, which becomes the licence of the whole. Everything
        else must be compatible with it: non-commercial terms, no-derivatives terms and further use restrictions are not
        compatible with a licence that grants these rights. Licences without share-alike apply side by side, without
        those covered by another.
        """
        every = tuple(sorted(dict.fromkeys(parts), key=lambda one: one.id))
        alike = [one for one in every if one.share_alike]
        by_id = {one.id: one for one in every}
        clashes = {
            tuple(sorted((one.id, name))): Incompatibility(
                tuple(sorted((one.id, name))), "their texts exclude each other"
            )
            for one in every
            for name in one.clashes
            if name in by_id and not one.share_alike and not by_id[name].share_alike
        }
        if not alike:
            kept = tuple(one for one in every if not self._covered(one, every, by_id))
            return CombinedTerms(
                kept, kept[0] if len(kept) == 1 else None, tuple(clashes[key] for key in sorted(clashes))
            )
        result = self._common(every, alike)
        if result is not None and not clashes:
            return CombinedTerms((result,), result)
        for one in alike:
            for other in every:
                key = tuple(sorted((one.id, other.id)))
                both = [each for each in (one, other) if each.share_alike]
                if other != one and key not in clashes and self._common((one, other), both) is None:
                    clashes[key] = Incompatibility(key, self._why(one, other))
        if not clashes:
            names = tuple(one.id for one in alike)
            clashes[names] = Incompatibility(
                names, "each requires the whole under its own terms, and no licence satisfies all"
            )
        return CombinedTerms(every, None, tuple(clashes[key] for key in sorted(clashes)))

    def _covered(self, one: Terms, every: Sequence[Terms], by_id: Mapping[str, Terms]) -> bool:
        """Whether complying with the others implies complying with this one."""
        if ANY in one.within:
            return any(ANY not in other.within or other.id < one.id for other in every if other is not one)
        return not by_id.keys().isdisjoint(self._above(one))

    def _above(self, one: Terms) -> set[str]:
        """Licences that require at least as much, transitively."""
        stricter: set[str] = set()
        left = list(one.within)
        while left:
            name = left.pop()
            if name not in stricter and name != one.id:
                stricter.add(name)
                left += self.find(name).within
        return stricter

    def _common(self, every: Sequence[Terms], alike: Sequence[Terms]) -> Terms | None:
        names = dict.fromkeys([*(one.id for one in alike), *(name for one in alike for name in one.becomes)])
        for name in names:
            whole = self.find(name)
            if all(one.id == name or name in one.becomes for one in alike) and all(
                _fits(one, whole) for one in every if not one.share_alike
            ):
                return whole
        return None

    def _why(self, one: Terms, other: Terms) -> str:
        if one.share_alike and other.share_alike:
            if other.id in one.clashes or one.id in other.clashes:
                return "their texts exclude each other"
            return "each requires the whole under its own terms, and neither allows the other's"
        alike, free = (one, other) if one.share_alike else (other, one)
        if free.redistribute is not True:
            return f"{alike.id} requires the whole under its own terms, and it is unknown whether {free.id} allows that"
        if not free.modifications:
            return f"{alike.id} permits modification of the whole, which {free.id} forbids"
        if alike.id in free.clashes or free.id in alike.clashes:
            return "their texts exclude each other"
        if not free.commercial and alike.commercial:
            return f"{alike.id} permits commercial use of the whole, which {free.id} forbids"
        if free.attribution and not alike.attribution:
            return f"{free.id} requires attribution, which {alike.id} does not"
        if free.extra:
            return f"{alike.id} forbids further use restrictions, which {free.id} imposes"
        return "their texts exclude each other"


def _fits(one: Terms, whole: Terms) -> bool:
    if one.redistribute is not True or whole.id in one.clashes or one.id in whole.clashes:
        return False
    if one.attribution and not whole.attribution:
        return False
    return one.modifications and not one.extra and (one.commercial or not whole.commercial)


def _fold(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())


# Not license-expression 30: brackets and words out of place end in an IndexError or AssertionError there, and an
# address is no name.
class _Parser:
    """SPDX license expressions, annex D of the specification 2.3; keywords in any case, a comma is an AND."""

    def __init__(self, text: str) -> None:
        if len(text) > 2_000:
            raise ValueError("too long")
        self.tokens = re.findall(r"[(),]|[^\s(),]+", text)
        self.place = self.depth = 0

    def whole(self) -> list[tuple[str, ...]]:
        ways = self._either()
        if self.place < len(self.tokens):
            raise ValueError("something follows the expression")
        return ways

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self, *words: str) -> bool:
        if self._next().upper() in words:
            self.place += 1
            return True
        return False

    def _either(self) -> list[tuple[str, ...]]:
        ways = self._all()
        while self._take("OR"):
            ways += self._all()
        return ways[:_MOST_ALTERNATIVES]

    def _all(self) -> list[tuple[str, ...]]:
        ways = self._one()
        while self._take("AND", ","):
            more = self._one()
            ways = [left + right for left in ways for right in more][:_MOST_ALTERNATIVES]
        return ways

    def _one(self) -> list[tuple[str, ...]]:
        if self._take("("):
            self.depth += 1
            if self.depth > 50:
                raise ValueError("too deep")
            ways = self._either()
            if not self._take(")"):
                raise ValueError("a bracket is open")
            self.depth -= 1
            return ways
        name = self._next()
        if not re.fullmatch(r"[\w.+:/?-]+", name) or name.upper() in ("AND", "OR", "WITH"):
            raise ValueError("a licence is missing")
        self.place += 1
        if self._take("WITH"):
            if not re.fullmatch(r"[\w.-]+", self._next()):
                raise ValueError("an exception is missing")
            self.place += 1
        return [(name,)]


@cache
def load_licenses(*more: Path) -> LicenseDatabase:
    """The built-in licences, and those of further files of the same format, which take precedence.

    Raises:
        PublishError: a file cannot be read or has another format.
    """
    licenses: dict[str, Terms] = {}
    models: list[tuple[re.Pattern[str], str | None, str]] = []
    for path in (*more, FILE):
        read = _read(path)
        for name, terms in read.licenses.items():
            licenses.setdefault(name, terms)
        try:
            models += [(re.compile(one.match, re.I), one.terms, one.note) for one in read.models]
        except re.error as error:
            raise PublishError(f"{path}: '{error.pattern!s}' is not a regular expression: {error}") from None
    folded: dict[str, str] = {}
    for name in licenses:
        folded.setdefault(_fold(name), name)
    for name, terms in licenses.items():
        for alias in terms.aliases:
            folded.setdefault(_fold(alias), name)
    for name, terms in licenses.items():
        if terms.name:
            folded.setdefault(_fold(terms.name), name)
    return LicenseDatabase(licenses, tuple(models), folded)


def _read(path: Path) -> _File:
    try:
        value = yaml.safe_load(regular(path).read_text(encoding="utf-8")) or {}
        entries = value.get("licenses", {}) if isinstance(value, dict) else {}
        if isinstance(entries, dict):
            value["licenses"] = {name: {**(about or {}), "id": name} for name, about in entries.items()}
        return _File.model_validate(value)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise PublishError(f"the licence list {path} cannot be read: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise PublishError(f"the licence list {path} is invalid: {wrong}") from None

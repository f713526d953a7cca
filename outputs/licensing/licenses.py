"""A licence is a few yes-or-no questions and a list of what it goes together with; that is data, and this module reads
it.

``data/licenses.yaml`` holds SPDX identifiers, the Hub's names for them, the terms of models' answers, and which
share-alike licences may become which. It is a reading by engineers that stops plain mistakes, and no legal advice.
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
    """What one licence allows and asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    """SPDX identifier, ``LicenseRef-…``, ``unknown``, ``other``; of one that is not in the list, the text itself."""
    name: str = ""
    url: str = ""
    redistribute: bool | None = True
    """Whether copies may be passed on; None if nobody knows."""
    commercial: bool = True
    modifications: bool = True
    attribution: bool = False
    share_alike: bool = False
    extra: bool = False
    """Whether further limits on use go along with every copy."""
    becomes: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    hub: str | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""
    checked: Literal["", "text", "told"] = ""
    """What was read for the list: the licence's own words (``text``) or only what others write about it (``told``)."""

    @property
    def remark(self) -> str:
        """The note, with a word on how well it is known where others' terms bind whoever uses the rows."""
        if not self.extra or self.checked == "text" or "not read" in self.note or not self.id.startswith("LicenseRef-"):
            return self.note
        how = "as others tell it" if self.checked == "told" else "as far as engineers know"
        return f"{self.note} ({how}: read it yourself)" if self.note else ""


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
class Clash:
    """Two licences (or more) that nothing can be published under together."""

    licenses: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Joined:
    """The licence of things under several licences."""

    parts: tuple[Terms, ...]
    """What remains after those are left out that another asks more than."""
    result: Terms | None
    """The one licence that the whole comes under; None if it is several side by side, or clashes."""
    clashes: tuple[Clash, ...] = ()

    @property
    def expression(self) -> str:
        """As an SPDX expression."""
        return self.result.id if self.result else " AND ".join(part.id for part in self.parts)


@dataclass(frozen=True)
class Book:
    """All licences that are known, by every name they have."""

    licenses: dict[str, Terms]
    models: tuple[tuple[re.Pattern[str], str | None, str], ...] = ()
    _folded: dict[str, str] = field(default_factory=dict)

    @cached_property
    def hub_names(self) -> frozenset[str]:
        """The Hub's names of licences."""
        return frozenset(terms.hub for terms in self.licenses.values() if terms.hub)

    def find(self, name: str) -> Terms:
        """The terms of a licence by any of its names; terms that nobody knows for one that is not listed."""
        known = self._look_up(name)
        return self.licenses[known] if known else Terms(id=name.strip()[:_LONGEST] or "unknown", redistribute=None)

    def known(self, name: str) -> bool:
        """Whether a licence of that name is listed."""
        return self._look_up(name) is not None

    def _look_up(self, name: str) -> str | None:
        folded = _fold(name)
        if folded in self._folded:
            return self._folded[folded]
        # A country's own version of a Creative Commons licence, or its address.
        if match := _PORT.fullmatch(folded):
            return self._folded.get(match[1])
        if match := _ADDRESS.fullmatch(folded):
            return self._folded.get(f"cc-{match[1]}-{match[2]}" if match[1] else "cc0-1.0" if match[3] else "pd")
        return None

    def alternatives(self, expression: str) -> tuple[tuple[Terms, ...], ...]:
        """The ways to keep to an SPDX expression: each is a set of licences that all hold, in order of writing.

        ``A AND (B OR C)`` gives (A, B) and (A, C). A ``WITH`` exception only loosens and is left aside. What is no
        expression is one licence of that name. At most 64 ways are given.
        """
        if self.known(expression):
            return ((self.find(expression),),)
        try:
            found = _Parser(expression).whole()
        except ValueError:
            return ((self.find(expression),),)
        return tuple(dict.fromkeys(tuple(dict.fromkeys(self.find(name) for name in way)) for way in found))

    def of_model(self, model: str) -> tuple[Terms | None, str] | None:
        """The terms that a model's answers come under, and a remark; None if the model is not known.

        Args:
            model: ``name@revision`` of one model; for a chain of translators ask for each.
        """
        name = model.partition("@")[0]
        for pattern, terms, note in self.models:
            if pattern.search(name):
                return (self.find(terms) if terms else None), note
        return None

    # ---------------------------------------------------------------------------------------------------------- joining
    def join(self, parts: Iterable[Terms]) -> Joined:
        """What things under all of these licences can be published under, together.

        Share-alike licences must all be able to become one, which then is the licence of the whole, and which
        everything else must fit into: what may not be sold, may not be changed, or carries further limits does not fit
        into a licence that says otherwise. Licences without share-alike lie side by side, less those that another one
        covers.
        """
        every = tuple(sorted(dict.fromkeys(parts), key=lambda one: one.id))
        alike = [one for one in every if one.share_alike]
        by_id = {one.id: one for one in every}
        found = {
            tuple(sorted((one.id, name))): Clash(tuple(sorted((one.id, name))), "their texts exclude one another")
            for one in every
            for name in one.clashes
            if name in by_id and not one.share_alike and not by_id[name].share_alike
        }
        if not alike:
            kept = tuple(one for one in every if not self._covered(one, every, by_id))
            return Joined(kept, kept[0] if len(kept) == 1 else None, tuple(found[key] for key in sorted(found)))
        result = self._common(every, alike)
        if result is not None and not found:
            return Joined((result,), result)
        for one in alike:
            for other in every:
                key = tuple(sorted((one.id, other.id)))
                both = [each for each in (one, other) if each.share_alike]
                if other != one and key not in found and self._common((one, other), both) is None:
                    found[key] = Clash(key, self._why(one, other))
        if not found:
            names = tuple(one.id for one in alike)
            found[names] = Clash(names, "each wants the whole under its own terms, and no licence satisfies all")
        return Joined(every, None, tuple(found[key] for key in sorted(found)))

    def _covered(self, one: Terms, every: Sequence[Terms], by_id: Mapping[str, Terms]) -> bool:
        """Whether keeping to the others is keeping to this one."""
        if ANY in one.within:
            return any(ANY not in other.within or other.id < one.id for other in every if other is not one)
        return not by_id.keys().isdisjoint(self._above(one))

    def _above(self, one: Terms) -> set[str]:
        """Licences that ask for at least as much, and those that ask for as much as these, and so on."""
        found: set[str] = set()
        left = list(one.within)
        while left:
            name = left.pop()
            if name not in found and name != one.id:
                found.add(name)
                left += self.find(name).within
        return found

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
                return "their texts exclude one another"
            return "each wants the whole under its own terms, and neither allows the other's"
        alike, free = (one, other) if one.share_alike else (other, one)
        if free.redistribute is not True:
            return f"{alike.id} wants the whole under its own terms, and nobody knows whether {free.id} allows that"
        if not free.modifications:
            return f"{alike.id} lets everybody change the whole, which {free.id} forbids"
        if alike.id in free.clashes or free.id in alike.clashes:
            return "their texts exclude one another"
        if not free.commercial and alike.commercial:
            return f"{alike.id} lets everybody sell the whole, which {free.id} forbids"
        if free.attribution and not alike.attribution:
            return f"{free.id} wants its makers named, which {alike.id} does not ask for"
        if free.extra:
            return f"{alike.id} forbids further limits on use, which {free.id} sets"
        return "their texts exclude one another"


def _fits(one: Terms, whole: Terms) -> bool:
    if one.redistribute is not True or whole.id in one.clashes or one.id in whole.clashes:
        return False
    if one.attribution and not whole.attribution:
        return False
    return one.modifications and not one.extra and (one.commercial or not whole.commercial)


def _fold(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())


class _Parser:
    """SPDX license expressions, annex D of the specification 2.3; keywords in any case, a comma is an AND."""

    def __init__(self, text: str) -> None:
        if len(text) > 2_000:
            raise ValueError("too long")
        self.tokens = re.findall(r"[(),]|[^\s(),]+", text)
        self.place = self.depth = 0

    def whole(self) -> list[tuple[str, ...]]:
        found = self._either()
        if self.place < len(self.tokens):
            raise ValueError("something follows the expression")
        return found

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self, *words: str) -> bool:
        if self._next().upper() in words:
            self.place += 1
            return True
        return False

    def _either(self) -> list[tuple[str, ...]]:
        found = self._all()
        while self._take("OR"):
            found += self._all()
        return found[:_MOST_ALTERNATIVES]

    def _all(self) -> list[tuple[str, ...]]:
        found = self._one()
        while self._take("AND", ","):
            more = self._one()
            found = [left + right for left in found for right in more][:_MOST_ALTERNATIVES]
        return found

    def _one(self) -> list[tuple[str, ...]]:
        if self._take("("):
            self.depth += 1
            if self.depth > 50:
                raise ValueError("too deep")
            found = self._either()
            if not self._take(")"):
                raise ValueError("a bracket is open")
            self.depth -= 1
            return found
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
def load_book(*more: Path) -> Book:
    """The licences that are known here, and those of further files of the same form, which come first.

    Raises:
        PublishError: a file cannot be read or is of another form.
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
            raise PublishError(f"{path}: '{error.pattern!s}' is no regular expression: {error}") from None
    folded: dict[str, str] = {}
    for name in licenses:
        folded.setdefault(_fold(name), name)
    for name, terms in licenses.items():
        for alias in terms.aliases:
            folded.setdefault(_fold(alias), name)
    for name, terms in licenses.items():
        if terms.name:
            folded.setdefault(_fold(terms.name), name)
    return Book(licenses, tuple(models), folded)


def _read(path: Path) -> _File:
    try:
        value = yaml.safe_load(regular(path).read_text(encoding="utf-8")) or {}
        given = value.get("licenses", {}) if isinstance(value, dict) else {}
        if isinstance(given, dict):
            value["licenses"] = {name: {**(about or {}), "id": name} for name, about in given.items()}
        return _File.model_validate(value)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise PublishError(f"the list of licences {path} cannot be read: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise PublishError(f"the list of licences {path} is wrong: {wrong}") from None

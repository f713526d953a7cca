"""A version may be published if every row may be passed on as it is now, and all rows can lie together in one data set.

Rows are counted by source, licence and the models that had a hand in them; licences and terms of answers are joined row
by row and then over the whole. What stands against publishing is told in numbers of rows, with the two ways out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import PublishError
from curate.steps.outputs import Version
from outputs.licensing.licenses import Book, Clash, Joined, Terms
from outputs.licensing.model_terms import Known, answers, hops, known_models

Rule = Literal["unknown", "forbidden", "changed", "incompatible"]
_BATCH = 65_536
_WAYS = 256
_SHOWN = 12
_MOST = 25

TITLES: Mapping[Rule, str] = {
    "unknown": "nobody knows whether these may be passed on",
    "forbidden": "these may not be passed on",
    "changed": "these may be passed on unchanged only, and were changed or made out of others",
    "incompatible": "these cannot lie in one data set",
}


@dataclass(frozen=True)
class Share:
    """Rows of one source under one licence, made by the same models."""

    source: str
    license: str
    """As the rows say it."""
    changed: bool
    """Whether a step made or rewrote them."""
    models: tuple[str, ...]
    """Who had a hand in them: ``name@revision``."""
    rows: int


@dataclass(frozen=True)
class Problem:
    """What stands against publishing some rows."""

    rule: Rule
    why: str
    shares: tuple[Share, ...]

    @property
    def rows(self) -> int:
        """How many rows it is about."""
        return sum(share.rows for share in self.shares)

    def by_source(self) -> dict[tuple[str, str], int]:
        """(source, licence) → rows, most first."""
        found: dict[tuple[str, str], int] = {}
        for share in self.shares:
            found[share.source, share.license] = found.get((share.source, share.license), 0) + share.rows
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True)
class Verdict:
    """What may be done with a version."""

    shares: tuple[Share, ...]
    joined: Joined
    """The licence of the whole."""
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """What binds whoever uses it, and what is not known of models."""
    terms: Mapping[str, tuple[Terms, ...]]
    """Model → terms its answers come under, empty if there are none; models that are not known are not in it. Of a
    chain of translators each is named."""
    parts: tuple[Terms, ...]
    """Every licence that some row is under."""

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(share.rows for share in self.shares)

    @property
    def free(self) -> bool:
        """Whether nothing stands against it."""
        return not self.problems

    @property
    def blocked(self) -> int:
        """How many rows something stands against."""
        return sum(share.rows for share in {share for problem in self.problems for share in problem.shares})

    def hub(self, book: Book) -> dict[str, str | list[str]]:
        """The licence as the header of a card says it: the Hub's name, several names, or ``other`` with name and
        place."""
        whole = [self.joined.result] if self.joined.result else list(self.joined.parts)
        names = [terms.hub for terms in whole]
        if whole and all(names) and not self.joined.clashes:
            known = list(dict.fromkeys(str(name) for name in names))
            return {"license": known[0] if len(known) == 1 else known}
        return {
            "license": "other",
            "license_name": self.joined.expression.lower()[:300] or "none",
            "license_link": "README.md",
        }


def tally(version: Version) -> tuple[Share, ...]:
    """Counts the rows of a version, most first; reads no column but their lineage."""
    found: dict[tuple[str, str, bool, tuple[str, ...]], int] = {}
    for about in version.manifest["splits"].values():
        for path in about["files"]:
            with pq.ParquetFile(version.folder / path) as file:
                for batch in file.iter_batches(_BATCH, columns=["lineage"]):
                    for key, rows in _count(batch.column("lineage")):
                        found[key] = found.get(key, 0) + rows
    return tuple(
        Share(*key, rows) for key, rows in sorted(found.items(), key=lambda pair: (-pair[1], pair[0][:2], pair[0][3]))
    )


def _count(lineage: pa.Array) -> Iterable[tuple[tuple[str, str, bool, tuple[str, ...]], int]]:
    frame = pl.DataFrame({"lineage": pl.Series(lineage)}).unnest("lineage")
    models = pl.col("makers").list.eval(pl.element().struct.field("model")).list.unique(maintain_order=True).list.sort()
    grouped = (
        frame.select("source", "license", changed=pl.col("makers").list.len() > 0, models=models.list.join("\0"))
        .group_by("source", "license", "changed", "models")
        .len()
    )
    for source, license_, changed, joined, rows in grouped.iter_rows():
        yield (source, license_, changed, tuple(one for one in joined.split("\0") if one)), rows


def judge(version: Version, book: Book) -> Verdict:
    """What the licences of a version's rows, and the terms of the models that made them, allow."""
    return judge_shares(tally(version), book, known_models(version))


def judge_shares(shares: Sequence[Share], book: Book, known: Sequence[Known] = ()) -> Verdict:
    """The same, of rows that are counted already.

    Args:
        known: what manifests tell of models.
    """
    terms, notes = _terms_of_models(shares, book, known)
    chosen = _choose(shares, book, terms)
    problems: list[Problem] = []
    for rule, test in (("unknown", _unknown), ("forbidden", _forbidden), ("changed", _unchangeable)):
        groups: dict[str, list[Share]] = {}
        for share, parts in chosen.items():
            bad = [one for one in parts if test(one, share)]
            if bad:
                groups.setdefault(" AND ".join(one.id for one in bad), []).append(share)
        problems += [Problem(rule, name, tuple(some)) for name, some in groups.items()]  # type: ignore[arg-type]
    told = {share for problem in problems for share in problem.shares}
    problems += _within_rows(chosen, book, told)
    told |= {share for problem in problems for share in problem.shares}
    sound = {share: parts for share, parts in chosen.items() if share not in told}
    joined = book.join(one for parts in sound.values() for one in parts)
    problems += _between(joined.clashes, sound)
    every = tuple(sorted({one for parts in chosen.values() for one in parts}, key=lambda one: one.id))
    whole = joined if len(sound) == len(chosen) else book.join(every)
    notes += [f"{one.name or one.id}: {one.remark}" for one in every if one.remark]
    return Verdict(tuple(shares), whole, tuple(problems), tuple(dict.fromkeys(notes)), terms, every)


def _unknown(one: Terms, _: Share) -> bool:
    return one.redistribute is None


def _forbidden(one: Terms, _: Share) -> bool:
    return one.redistribute is False


def _unchangeable(one: Terms, share: Share) -> bool:
    return share.changed and not one.modifications and one.redistribute is True


def _terms_of_models(
    shares: Sequence[Share], book: Book, known: Sequence[Known]
) -> tuple[dict[str, tuple[Terms, ...]], list[str]]:
    rows: dict[str, int] = {}
    for share in shares:
        for model in dict.fromkeys(one for made in share.models for one in hops(made)):
            rows[model] = rows.get(model, 0) + share.rows
    terms: dict[str, tuple[Terms, ...]] = {}
    notes = []
    for model, count in rows.items():
        told = answers(model, book, known)
        if told is None:
            notes.append(f"what the answers of {model} may be used for is not known ({count:,} rows)")
        else:
            terms[model] = told[0]
            notes += [f"{model}: {told[1]}"] if told[1] else []
    return terms, notes


def _choose(
    shares: Sequence[Share], book: Book, terms: Mapping[str, tuple[Terms, ...]]
) -> dict[Share, tuple[Terms, ...]]:
    """For each share the licences that hold; of licences to choose from (OR), those that go best with all others."""
    ways: dict[Share, list[tuple[Terms, ...]]] = {}
    known: dict[str, tuple[tuple[Terms, ...], ...]] = {}
    for share in shares:
        if share.license not in known:
            known[share.license] = tuple(dict.fromkeys(book.alternatives(share.license)))
        made = [one for model in share.models for hop in hops(model) for one in terms.get(hop, ())]
        ways[share] = [tuple(dict.fromkeys([*way, *made])) for way in known[share.license]]
    texts: dict[str, Share] = {share.license: share for share in shares if len(ways[share]) > 1}
    fixed = list(dict.fromkeys(one for given in ways.values() if len(given) == 1 for one in given[0]))
    options = [range(len(ways[share])) for share in texts.values()]
    best: dict[str, int] = dict.fromkeys(texts, 0)
    least: tuple[int, int] | None = None
    for pick in itertools.islice(itertools.product(*options), _WAYS):
        parts = [
            *fixed,
            *(one for share, number in zip(texts.values(), pick, strict=True) for one in ways[share][number]),
        ]
        bad = sum(1 for one in parts if one.redistribute is not True or not one.modifications)
        joined = book.join(parts)
        cost = (bad + len(joined.clashes), len(joined.parts))
        if least is None or cost < least:
            least, best = cost, dict(zip(texts, pick, strict=True))
    return {share: given[best.get(share.license, 0) if len(given) > 1 else 0] for share, given in ways.items()}


def _within_rows(chosen: Mapping[Share, tuple[Terms, ...]], book: Book, told: set[Share]) -> list[Problem]:
    groups: dict[str, list[Share]] = {}
    known: dict[tuple[Terms, ...], tuple[Clash, ...]] = {}
    for share, parts in chosen.items():
        if parts not in known:
            known[parts] = book.join(parts).clashes if len(parts) > 1 else ()
        clashes = known[parts]
        if clashes and share not in told:
            groups.setdefault("; ".join(f"in one row, {clash.reason}" for clash in clashes), []).append(share)
    return [Problem("incompatible", why, tuple(some)) for why, some in groups.items()]


def _between(clashes: Sequence[Clash], sound: Mapping[Share, tuple[Terms, ...]]) -> list[Problem]:
    problems = []
    for clash in clashes:
        names = set(clash.licenses)
        some = tuple(share for share, parts in sound.items() if names & {one.id for one in parts})
        problems.append(Problem("incompatible", clash.reason, some))
    return problems


# -------------------------------------------------------------------------------------------------------------- telling
def lines(verdict: Verdict) -> list[str]:
    """The problems as a person reads them, a line for each source and licence."""
    told = []
    problems = sorted(verdict.problems, key=lambda problem: -problem.rows)[:_MOST]
    for problem in problems:
        known = "" if problem.rule in ("unknown", "forbidden", "changed") else f": {problem.why}"
        told.append(f"{TITLES[problem.rule]}{known} ({problem.rows:,} rows)")
        counts = problem.by_source()
        for (source, license_), rows in itertools.islice(counts.items(), _SHOWN):
            models = sorted(
                {
                    model
                    for share in problem.shares
                    if share.source == source
                    for model in share.models
                    if any(verdict.terms.get(hop) for hop in hops(model))
                }
            )
            made = f", by {', '.join(models)}" if models else ""
            told.append(f"  {rows:,} rows of '{plain(source)}' under '{plain(license_)}'{made}")
        if len(counts) > _SHOWN:
            told.append(f"  … and {len(counts) - _SHOWN} more")
    if len(verdict.problems) > _MOST:
        told.append(f"… and {len(verdict.problems) - _MOST:,} more problems")
    return told


def refusal(name: str, verdict: Verdict, book: Book) -> PublishError:
    """Why a version is not published, and the two ways out."""
    from curate.catalog.suggestions import nearest

    sources = list(dict.fromkeys(share.source for problem in verdict.problems for share in problem.shares))
    clashing = [problem for problem in verdict.problems if problem.rule == "incompatible"]
    named = ", ".join(plain(source) for source in sources[:_SHOWN]) + (" …" if len(sources) > _SHOWN else "")
    one_side = "; of what clashes, one side is enough" if clashing else ""
    hints = []
    strange = [part for part in verdict.parts if part.redistribute is None and not book.known(part.id)]
    for part in strange[:_SHOWN]:
        close = nearest(part.id, [*book.licenses, *book.hub_names])
        hints.append(
            f"'{plain(part.id)}' is no licence that curate knows{close}; a list of your own is given with --licenses "
            "FILE"
        )
    return PublishError(
        "\n".join(
            [
                f"'{name}' may not be published: its licences stand against it for {verdict.blocked:,} of "
                f"{verdict.rows:,} rows",
                *lines(verdict),
                *hints,
                f"either build a dataset without these rows: take {named} out of its 'from:'{one_side}",
                "or publish them all the same and say why: --override-license 'REASON' (card and record will tell it)",
            ]
        )
    )


def plain(text: str) -> str:
    """A name out of data on one line, cut."""
    flat = "".join(sign if sign.isprintable() else " " for sign in text)
    return flat if len(flat) <= 120 else flat[:119] + "…"

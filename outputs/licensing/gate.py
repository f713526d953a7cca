"""The licence check: whether a version may be published.

Every row must be redistributable in its present form, and all rows must be combinable in one dataset. Rows are counted
by source, licence and models; licences and output terms are combined per row and then over the dataset. Problems are
reported in numbers of rows, with the two ways to resolve them.
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
from outputs.licensing.licenses import CombinedTerms, Incompatibility, LicenseDatabase, Terms
from outputs.licensing.model_terms import KnownModel, answers, hops, known_models

Rule = Literal["unknown", "forbidden", "changed", "incompatible"]
_BATCH = 65_536
_WAYS = 256
_SHOWN = 12
_MOST = 25

TITLES: Mapping[Rule, str] = {
    "unknown": "redistribution terms unknown",
    "forbidden": "redistribution not permitted",
    "changed": "redistribution permitted only unmodified, but these were modified or derived",
    "incompatible": "licences that cannot be combined in one dataset",
}


@dataclass(frozen=True)
class Share:
    """Rows of one source under one licence, made by the same models."""

    source: str
    license: str
    """As in the rows."""
    changed: bool
    """Whether a step made or rewrote them."""
    models: tuple[str, ...]
    """The models that made or rewrote them: ``name@revision``."""
    rows: int


@dataclass(frozen=True)
class Problem:
    """Why some rows may not be published."""

    rule: Rule
    why: str
    shares: tuple[Share, ...]

    @property
    def rows(self) -> int:
        """How many rows it affects."""
        return sum(share.rows for share in self.shares)

    def by_source(self) -> dict[tuple[str, str], int]:
        """(source, licence) → rows, most first."""
        counts: dict[tuple[str, str], int] = {}
        for share in self.shares:
            counts[share.source, share.license] = counts.get((share.source, share.license), 0) + share.rows
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True)
class Verdict:
    """What the licences of a version permit."""

    shares: tuple[Share, ...]
    joined: CombinedTerms
    """The combined licence."""
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """Obligations of users, and models with unknown terms."""
    terms: Mapping[str, tuple[Terms, ...]]
    """Model → its output terms, empty if there are none; models with unknown terms are missing. Each model of a
    translation chain has an entry."""
    parts: tuple[Terms, ...]
    """Every licence of some row."""

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(share.rows for share in self.shares)

    @property
    def free(self) -> bool:
        """Whether publishing is permitted."""
        return not self.problems

    @property
    def blocked(self) -> int:
        """How many rows may not be published."""
        return sum(share.rows for share in {share for problem in self.problems for share in problem.shares})

    def hub(self, book: LicenseDatabase) -> dict[str, str | list[str]]:
        """The licence in a card's header: the Hub's name, several names, or ``other`` with name and link."""
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
    """Counts the rows of a version, most first; reads only the lineage column."""
    counts: dict[tuple[str, str, bool, tuple[str, ...]], int] = {}
    for about in version.manifest["splits"].values():
        for path in about["files"]:
            with pq.ParquetFile(version.folder / path) as file:
                for batch in file.iter_batches(_BATCH, columns=["lineage"]):
                    for key, rows in _count(batch.column("lineage")):
                        counts[key] = counts.get(key, 0) + rows
    return tuple(
        Share(*key, rows) for key, rows in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0][:2], pair[0][3]))
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


def judge(version: Version, book: LicenseDatabase) -> Verdict:
    """What the licences of a version's rows, and the output terms of the models that made them, permit."""
    return judge_shares(tally(version), book, known_models(version))


def judge_shares(shares: Sequence[Share], book: LicenseDatabase, known: Sequence[KnownModel] = ()) -> Verdict:
    """The same for rows that are already counted.

    Args:
        known: what manifests say about models.
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
    reported = {share for problem in problems for share in problem.shares}
    problems += _within_rows(chosen, book, reported)
    reported |= {share for problem in problems for share in problem.shares}
    sound = {share: parts for share, parts in chosen.items() if share not in reported}
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
    shares: Sequence[Share], book: LicenseDatabase, known: Sequence[KnownModel]
) -> tuple[dict[str, tuple[Terms, ...]], list[str]]:
    rows: dict[str, int] = {}
    for share in shares:
        for model in dict.fromkeys(one for made in share.models for one in hops(made)):
            rows[model] = rows.get(model, 0) + share.rows
    terms: dict[str, tuple[Terms, ...]] = {}
    notes = []
    for model, count in rows.items():
        answer_terms = answers(model, book, known)
        if answer_terms is None:
            notes.append(f"the output terms of {model} are unknown ({count:,} rows)")
        else:
            terms[model] = answer_terms[0]
            notes += [f"{model}: {answer_terms[1]}"] if answer_terms[1] else []
    return terms, notes


def _choose(
    shares: Sequence[Share], book: LicenseDatabase, terms: Mapping[str, tuple[Terms, ...]]
) -> dict[Share, tuple[Terms, ...]]:
    """For each share the licences that apply; of alternatives (OR), those that combine best with all others."""
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


def _within_rows(
    chosen: Mapping[Share, tuple[Terms, ...]], book: LicenseDatabase, reported: set[Share]
) -> list[Problem]:
    groups: dict[str, list[Share]] = {}
    known: dict[tuple[Terms, ...], tuple[Incompatibility, ...]] = {}
    for share, parts in chosen.items():
        if parts not in known:
            known[parts] = book.join(parts).clashes if len(parts) > 1 else ()
        clashes = known[parts]
        if clashes and share not in reported:
            groups.setdefault("; ".join(f"within a row, {clash.reason}" for clash in clashes), []).append(share)
    return [Problem("incompatible", why, tuple(some)) for why, some in groups.items()]


def _between(clashes: Sequence[Incompatibility], sound: Mapping[Share, tuple[Terms, ...]]) -> list[Problem]:
    problems = []
    for clash in clashes:
        names = set(clash.licenses)
        some = tuple(share for share, parts in sound.items() if names & {one.id for one in parts})
        problems.append(Problem("incompatible", clash.reason, some))
    return problems


# -------------------------------------------------------------------------------------------------------------- telling
def lines(verdict: Verdict) -> list[str]:
    """The problems for display, a line for each source and licence."""
    result = []
    problems = sorted(verdict.problems, key=lambda problem: -problem.rows)[:_MOST]
    for problem in problems:
        known = "" if problem.rule in ("unknown", "forbidden", "changed") else f": {problem.why}"
        result.append(f"{TITLES[problem.rule]}{known} ({problem.rows:,} rows)")
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
            result.append(f"  {rows:,} rows of '{plain(source)}' under '{plain(license_)}'{made}")
        if len(counts) > _SHOWN:
            result.append(f"  … and {len(counts) - _SHOWN} more")
    if len(verdict.problems) > _MOST:
        result.append(f"… and {len(verdict.problems) - _MOST:,} more problems")
    return result


def refusal(name: str, verdict: Verdict, book: LicenseDatabase) -> PublishError:
    """The error for a version that may not be published, with the two ways out."""
    from curate.catalog.suggestions import nearest

    sources = list(dict.fromkeys(share.source for problem in verdict.problems for share in problem.shares))
    clashing = [problem for problem in verdict.problems if problem.rule == "incompatible"]
    named = ", ".join(plain(source) for source in sources[:_SHOWN]) + (" …" if len(sources) > _SHOWN else "")
    one_side = " (of incompatible sources, one side is enough)" if clashing else ""
    hints = []
    strange = [part for part in verdict.parts if part.redistribute is None and not book.known(part.id)]
    for part in strange[:_SHOWN]:
        close = nearest(part.id, [*book.licenses, *book.hub_names])
        hints.append(
            f"'{plain(part.id)}' is not a licence that curate knows{close}; add your own list with --licenses FILE"
        )
    return PublishError(
        "\n".join(
            [
                f"'{name}' may not be published: its licences do not permit it for {verdict.blocked:,} of "
                f"{verdict.rows:,} rows",
                *lines(verdict),
                *hints,
                f"either build a dataset without these rows: remove {named} from its 'from:'{one_side}",
                "or publish anyway with a reason: --override-license 'REASON' (shown in the card and the record)",
            ]
        )
    )


def plain(text: str) -> str:
    """A name from the data on one line, cut."""
    flat = "".join(sign if sign.isprintable() else " " for sign in text)
    return flat if len(flat) <= 120 else flat[:119] + "…"

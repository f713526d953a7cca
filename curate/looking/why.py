"""Everything that a store has about one row: its versions, why it was kept or dropped, and related rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.store.store import Store
from curate.engine.thresholds import thresholds
from curate.errors import DamagedError, StepError, StoreError
from curate.looking.stored import StoredRows, VersionFile
from curate.records import Entry, Record, beside, facts, texts
from curate.records.record import number, title_of
from curate.records.shown import Shown
from curate.rows.fields import parents_of
from curate.rows.kinds import kind_of
from curate.steps import Registry

_NAMED = 6
_SHOWN = 12
"""How many siblings, and rows that were made of it, are shown."""


@dataclass
class Fate:
    """What became of a row in one version."""

    dataset: str
    version: str
    refs: tuple[str, ...]
    outcome: str
    """``kept in train``, ``dropped by shape: min_chars``, ``translate could not make a row of it: …``."""
    steps: list[tuple[str, str]] = field(default_factory=list)
    """(label of a step, what it found and what it held that against); of the latest version only."""


@dataclass
class Explanation(Shown):
    """All that is known about a row."""

    row: dict[str, Any]
    fates: list[Fate]
    parents: list[dict[str, Any]] = field(default_factory=list)
    children: list[dict[str, Any]] = field(default_factory=list)
    """The rows that were made of it or translate it."""
    siblings: list[dict[str, Any]] = field(default_factory=list)
    """The other rows of its item."""
    met: list[tuple[str, str, str]] = field(default_factory=list)
    """(what, text, language) of benchmark items that were found in it."""
    duplicates: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(label of the step, row) that it is a duplicate of."""
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"Row {self.row['id']}"

    def records(self) -> list[Record]:
        known = [entry for entry in facts({**self.row, "scores": [], "attributes": []}) if entry.label != "parents"]
        entries: list[Entry | Record] = [
            Entry.of("item", self.row["group_id"]),
            *(Entry.of(label, text, language) for label, text, language in texts(self.row)),
            *known,
        ]
        for fate in self.fates:
            refs = f" ({', '.join(fate.refs)})" if fate.refs else ""
            told = tuple(Entry.of(label, said) for label, said in fate.steps)
            entries.append(Record(f"{fate.dataset}@{fate.version}{refs}: {fate.outcome}", told))
        for step, other in self.duplicates:
            entries.append(Record(f"{step}: a duplicate of {title_of(other)}", tuple(_against(other, self.row))))
        entries += [Record(f"benchmark item {what}", (Entry.of("text", text, tag),)) for what, text, tag in self.met]
        entries += [Record(f"parent {title_of(one)}", tuple(_against(one, self.row))) for one in self.parents]
        entries += _listed("made of it", self.children)
        entries += _listed("of the same item", self.siblings)
        entries += [Entry.of("note", note) for note in self.notes]
        return [Record(title_of(self.row, kind_of(self.row)), tuple(entries))]


def _against(other: Mapping[str, Any], row: Mapping[str, Any]) -> Sequence[Entry]:
    """The texts of another row, with marks for what differs in this one where they are alike."""
    if kind_of(other) is kind_of(row) and other["language"] == row["language"]:
        return beside(other, row) or [Entry.of("texts", "the same")]
    return [Entry.of(label, text, language) for label, text, language in texts(other)]


def _listed(what: str, rows: Sequence[dict[str, Any]]) -> list[Entry | Record]:
    shown: list[Entry | Record] = [
        Record(
            f"{what}: {title_of(row, (row.get('step') and 'dropped') or '')}",
            tuple(Entry.of(label, text, language) for label, text, language in texts(row)),
        )
        for row in rows[:_SHOWN]
    ]
    if len(rows) > _SHOWN:
        shown.append(Entry.of(what, f"{len(rows) - _SHOWN:,} more"))
    return shown


def explain_row(store: Store, wanted: str, registry: Registry) -> Explanation:
    """All that a store knows about a row.

    Args:
        wanted: its id, the beginning of it that no other row has, or its place, such as ``en.jsonl:12``.

    Raises:
        StoreError: there is no such row, or more than one.
    """
    return _Search(store, registry).explain(wanted.strip())


class _Search:
    def __init__(self, store: Store, registry: Registry) -> None:
        self.store, self.registry = store, registry
        self.stored = StoredRows(store)
        self.manifests: dict[tuple[str, str], dict[str, Any]] = {}

    def explain(self, wanted: str) -> Explanation:
        if not self.store.datasets():
            raise StoreError(f"no dataset has been built in {self.store.root}")
        hits = self._hits(wanted)
        if not hits:
            raise self._unknown(wanted)
        # A made row keeps the place of the row that it was made from; the place is that of the one that was read.
        known = {row["id"]: row for _, row in hits}
        read = [one for one in known.values() if one["lineage"]["source_id"] == wanted and not one["lineage"]["makers"]]
        if len(read) == 1:
            known = {read[0]["id"]: read[0]}
            hits = [(file, one) for file, one in hits if one["id"] in known]
        if len(known) > 1:
            some = [f"{row['id']} ({row['language']})" for row in known.values()][:_NAMED]
            more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
            raise StoreError(f"'{wanted}' names {len(known):,} rows: {', '.join(some)}{more}; give more of the id")
        row = hits[0][1]
        here = [(file, found) for file, found in hits if file is not None]
        found = Explanation(row, [self._fate(file, one) for file, one in here])
        found.fates += self._failed(row["id"])
        found.fates.sort(key=lambda fate: "latest" not in fate.refs)
        same = {file.dataset: file.version for file, _ in reversed(here)}
        self._relatives(found, same)
        self._met(found, here)
        if not found.fates:
            found.notes.append("it is in no version: a step made other rows of it, or the versions are gone")
        found.notes += self.stored.damaged
        return found

    def _hits(self, wanted: str) -> list[tuple[VersionFile | None, dict[str, Any]]]:
        def chosen(table: pa.Table) -> Any:
            place = pc.struct_field(table["lineage"], "source_id")
            return pc.or_(pc.starts_with(table["id"], wanted), pc.equal(place, wanted))

        def by_id(table: pa.Table) -> Any:
            return pc.starts_with(table["id"], wanted)

        # A whole id needs no look at the places.
        columns, choose = (["id"], by_id) if len(wanted) == 32 else (["id", "lineage"], chosen)
        hits: list[tuple[VersionFile | None, dict[str, Any]]] = []
        if not wanted:
            return hits
        for file in self.stored.version_files():
            if file.part != "quarantined":
                hits += [(file, row) for row in self.stored.rows_in(file.path, columns, choose)]
        # Rows that others were made of may be in no version, while those others have kept their place.
        if not any(row["id"].startswith(wanted) or not row["lineage"]["makers"] for _, row in hits):
            for path in self.stored.work_files():
                hits += [(None, row) for row in self.stored.rows_in(path, columns, choose)]
        return hits

    def _unknown(self, wanted: str) -> StoreError:
        """What to say if there is no such row: perhaps its line could not be read."""
        unit, _, place = wanted.rpartition(":")
        for file, bad in self._quarantined():
            if bad["unit"] and bad["unit"] == unit and bad["place"].split()[-1] == place:
                return StoreError(
                    f"{wanted} could not be read; in {file.dataset}@{file.version} it is quarantined: {bad['reason']}"
                )
        more = f"; {len(self.stored.damaged):,} damaged files were skipped" if self.stored.damaged else ""
        return StoreError(
            f"no row of {self.store.root} has an id that begins with '{wanted}', or is from that place{more}; ids are "
            "in the column id of every table, and a place is written FILE:LINE"
        )

    def _quarantined(self) -> Iterator[tuple[VersionFile, dict[str, Any]]]:
        for file in self.stored.version_files():
            if file.part == "quarantined":
                for bad in self.stored.rows_in(file.path, ["place"], lambda table: pc.is_valid(table["place"])):
                    yield file, bad

    # ------------------------------------------------------------------------------------------------------------ fates
    def _manifest(self, file: VersionFile) -> dict[str, Any]:
        key = (file.dataset, file.version)
        if key not in self.manifests:
            self.manifests[key] = self.store.manifest(*key)
        return self.manifests[key]

    def _refs(self, file: VersionFile) -> tuple[str, ...]:
        return tuple(ref for ref, about in self.store.refs(file.dataset).items() if about["version"] == file.version)

    def _fate(self, file: VersionFile, row: Mapping[str, Any]) -> Fate:
        dropped = file.part == "rejected"
        outcome = f"dropped by {row['step']}: {row['reason']}" if dropped else f"kept in {file.part}"
        fate = Fate(file.dataset, file.version, self._refs(file), outcome)
        latest = self.store.refs(file.dataset).get("latest", {})
        if latest.get("version") != file.version:
            return fate  # of older versions only the outcome is told
        # The same rows may come from another recipe: the ref has the one that was built last.
        steps = latest.get("recipe", self._manifest(file)["recipe"])["steps"]
        of_steps = {one["label"] for one in steps}
        for step in steps:
            if dropped and fate.steps and fate.steps[-1][0] == row["step"]:
                break
            said = self._step(step, row)
            if said:
                fate.steps.append((step["label"], said))
        other = [one for one in row["scores"] if one["name"].split(".")[0] not in of_steps]
        if other:
            told = ", ".join(f"{one['name']} {number(one['value'])}" for one in other)
            fate.steps.append(("other scores", told))
        named = [one for one in row["attributes"] if one["name"].split(".")[0] not in of_steps]
        fate.steps += [(one["name"], one["value"]) for one in named]
        return fate

    def _step(self, step: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        label = step["label"]
        lines = []
        if row.get("step") == label:
            lines.append(f"dropped: {row['reason']}")
        scores = [one for one in row["scores"] if one["name"] == label or one["name"].startswith(f"{label}.")]
        if scores:
            names = ["score" if one["name"] == label else one["name"].removeprefix(f"{label}.") for one in scores]
            found = [f"{name} {number(one['value'])}" for name, one in zip(names, scores, strict=True)]
            lines.append(", ".join(found))
        lines += [
            f"{one['name'].removeprefix(f'{label}.')}: {one['value']}"
            for one in row["attributes"]
            if one["name"].startswith(f"{label}.")
        ]
        try:
            known = self.registry.get("step", step["step"])
        except StepError:
            return "\n".join(lines)  # a plug-in that is not installed here
        limits = thresholds(known, step["params"], row["language"])
        if lines and limits:
            lines.append("thresholds: " + ", ".join(f"{name} {number(value)}" for name, value in limits.items()))
        return "\n".join(lines)

    def _failed(self, row: str) -> list[Fate]:
        """Versions in which a step could not make anything of it."""
        return [
            Fate(
                file.dataset,
                file.version,
                self._refs(file),
                f"{bad['source']} could not make a row of it: {bad['reason']}",
                [("raw text", bad["raw"])] if bad["raw"] else [],
            )
            for file, bad in self._quarantined()
            if bad["place"] == row and not bad["unit"]
        ]

    # -------------------------------------------------------------------------------------------------------- relatives
    def _relatives(self, found: Explanation, versions: Mapping[str, str]) -> None:
        """Parents wherever they are; children and siblings in the given versions (dataset → version), or, of a row
        that is in none, in the latest of all datasets."""
        row = found.row
        files = [
            file
            for file in self.stored.version_files()
            if file.part != "quarantined"
            and (versions.get(file.dataset) == file.version or "latest" in self._refs(file))
        ]
        parents = self.stored.by_id(parents_of(row), [file.path for file in files])
        found.parents = list(parents.values())
        missing = [one for one in parents_of(row) if one not in parents]
        if missing:
            found.notes.append(f"of its parents these are in no file of the store any more: {', '.join(missing)}")
        children: dict[str, dict[str, Any]] = {}
        siblings: dict[str, dict[str, Any]] = {}

        def related(table: pa.Table) -> Any:
            above = pl.Series(pc.struct_field(table["lineage"], "parents").combine_chunks())
            child = pa.array(above.list.contains(row["id"]).to_list(), pa.bool_())
            return pc.or_(pc.equal(table["group_id"], row["group_id"]), child)

        for file in files:
            for one in self.stored.rows_in(file.path, ["group_id", "lineage"], related):
                if one["id"] == row["id"] or one["id"] in parents:
                    continue
                (children if row["id"] in one["lineage"]["parents"] else siblings).setdefault(one["id"], one)
        found.children = [*children.values()]
        found.siblings = [one for one in siblings.values() if one["id"] not in children]

    def _met(self, found: Explanation, here: Sequence[tuple[VersionFile, Mapping[str, Any]]]) -> None:
        """The benchmark items and the duplicate that steps noted beside the row."""
        told: set[str] = set()
        for file, row in here:
            named = {one["name"]: one["value"] for one in row["attributes"]}
            for name, value in named.items():
                label, _, what = name.rpartition(".")
                if what == "duplicate_of" and value not in told:
                    told.add(value)
                    others = self.stored.by_id([value], [file.path])
                    found.duplicates += [(label, one) for one in others.values()]
                    if not others:
                        found.notes.append(f"{label}: it is a duplicate of {value}, which is in no file of the store")
                if what == "item" and f"{label}.benchmark" in named:
                    benchmark, tag = named[f"{label}.benchmark"], named.get(f"{label}.item_language", "und")
                    key = f"{benchmark} {value} ({tag})"
                    if key in told:
                        continue
                    told.add(key)
                    text = self._item(file, benchmark, value, tag)
                    if text is None:
                        found.notes.append(f"the text of the benchmark item {key} is not in the store any more")
                    else:
                        found.met.append((key, text, tag))

    def _item(self, file: VersionFile, benchmark: str, item: str, language: str) -> str | None:
        """The text of a benchmark item, out of the items that the version's build compared with."""
        for folder in self._manifest(file).get("results", ()):
            if not folder.startswith("contamination-fit/"):
                continue
            try:
                path = self.store.checked(f"work/{folder}/fitted.parquet")
            except DamagedError:
                continue
            found = (
                pl.scan_parquet(path)
                .filter(
                    pl.col("benchmark") == benchmark,
                    pl.col("item") == item,
                    pl.col("language") == language,
                    pl.col("part") == "question",
                )
                .select("text")
                .collect()
            )
            if found.height:
                return str(found["text"][0])
        return None

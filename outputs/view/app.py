"""Leads each address to its page."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.records.conversation import Own
from curate.records.markup import Html
from curate.rows import Kind
from curate.steps import Registry
from outputs.report.page import asset
from outputs.report.records import record
from outputs.report.thresholds import Limit, ProbedRow, limits
from outputs.view import pages
from outputs.view.compare import compare_page
from outputs.view.filters import filter_of
from outputs.view.labelling import Labels, asked_error, form
from outputs.view.map_page import map_page, points
from outputs.view.reading import Reader, ReadVersion
from outputs.view.scores import scores_page
from outputs.view.server import NotFound, Request, Response, see
from outputs.view.threshold_write import answer
from outputs.view.thresholds import Threshold, thresholds
from outputs.view.what_if import WhatIf

_HERE = Path(__file__).parent


class App:
    """The pages over one store.

    Args:
        labels: where labels go.
        catalog: the catalog that a threshold is written into; None if there is none.
    """

    def __init__(self, reader: Reader, labels: Labels, catalog: Path | None, registry: Registry | None = None) -> None:
        self.reader, self.labels, self.catalog = reader, labels, catalog
        self.registry = registry or Registry.installed()
        self._lock = threading.Lock()
        self._what_if: WhatIf | None = None

    def __call__(self, request: Request) -> Response:
        match request.path:
            case ():
                return Response(pages.datasets(self.reader.store))
            case ("assets", "view.css"):
                return Response(asset("report.css") + _own("view.css"), "text/css; charset=utf-8")
            case ("assets", "view.js"):
                script = asset("theme.js") + _own("view.js") + _own("map.js")
                return Response(script, "text/javascript; charset=utf-8")
            case ("undo",) if request.form is not None:
                row = self.labels.undo()
                return Response(row or "", "text/plain; charset=utf-8") if "part" in request.query else see("/")
            case (name, *rest):
                return self._of_version(self.reader.version(name), tuple(rest), request)
        raise NotFound("there is no such page")

    def _of_version(self, read: ReadVersion, path: tuple[str, ...], request: Request) -> Response:
        match path:
            case ():
                return Response(pages.overview(read))
            case ("rows",):
                return Response(pages.rows(read, request, self.labels))
            case ("rows", "count"):
                count = read.count(filter_of(read, request, self.labels))
                return Response(f"{count:,}", "text/plain; charset=utf-8")
            case ("scores",):
                return Response(scores_page(read, request))
            case ("map",):
                return Response(map_page(read))
            case ("map", "points"):
                return Response(points(read), "application/json; charset=utf-8")
            case ("compare",):
                return Response(compare_page(read, request))
            case ("thresholds", *inside):
                return Response(self._thresholds(read, tuple(inside), request))
            case ("row", row):
                found = read.row(row)
                made = self._record(read, found, pages.whole_number(request.query.get("from"), 0))
                if "part" in request.query:
                    return Response(pages.row_part(read, found, made, self.labels))
                return Response(pages.row(read, found, made, self.labels))
            case ("label", row) if request.form is not None:
                found = read.row(row)
                given = request.form
                self.labels.give(found, given.get("label") or None, given.get("comment"), asked_error(given))
                if "part" in request.query:
                    return Response(form(found, self.labels.of(found["id"]), read.base))
                return see(f"{read.base}/row/{found['id']}")
        raise NotFound(f"there is no page '{'/'.join(path)}' of {read.name}")

    def _thresholds(self, read: ReadVersion, path: tuple[str, ...], request: Request) -> str:
        known: list[Threshold] = self.reader.remembered(
            ("thresholds", read.name), lambda: thresholds(read, self.registry)
        )

        def what_if(threshold: Threshold) -> WhatIf:
            with self._lock:
                # One at a time: it holds a number for each row.
                if self._what_if is None or (self._what_if.read, self._what_if.threshold) != (read, threshold):
                    self._what_if = None
                    self._what_if = WhatIf(read, threshold)
                return self._what_if

        return answer(read, self.labels, path, request, known, what_if, self.catalog, self.registry)

    def _record(self, read: ReadVersion, row: Mapping[str, Any], start: int) -> Html:
        rows, label = read.row_address, self.labels.of(row["id"])
        own = Own(rows(row["id"]), start, label.errors if label is not None else ())
        return record(row, self._limits(read, row), read.siblings(row), read.relatives(row), rows, read.labels, own)

    def _limits(self, read: ReadVersion, row: Mapping[str, Any]) -> list[Limit]:
        """The thresholds for a row, found by probing the steps with it and with kept rows of its language (see
        :mod:`outputs.report.thresholds`)."""
        probed = [_probed(row), *map(_probed, read.some(row["language"]))]
        ranges: dict[str, tuple[float, float]] = {}
        for one in probed:
            for name, value in one.scores.items():
                low, high = ranges.get(name, (value, value))
                ranges[name] = (min(low, value), max(high, value))
        kinds = list(dict.fromkeys([row["kind"], read.version.kind, *Kind]))
        return limits(read.version.manifest["recipe"]["steps"], probed, ranges, kinds, self.registry)


def _probed(row: Mapping[str, Any]) -> ProbedRow:
    scores, attributes = ({one["name"]: one["value"] for one in row[name]} for name in ("scores", "attributes"))
    return ProbedRow(
        row["language"], scores, attributes, row.get("step") or "", row.get("reason") or "", row.get("prompt_language")
    )


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")

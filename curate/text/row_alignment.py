"""Finds the source that each target of a line-aligned file belongs to, where lines are missing, extra or moved.

A target belongs to the source ``shift`` rows further on. The Viterbi algorithm finds the sequence of shifts that
explains all rows best: a state is a shift, or *none* (a line too many, or rows in no order), and a change of state
costs ``change`` and more the further it leads. A line left out or put in is a change by one, a moved block one there
and one back. Each block of rows has few states (shifts near those that shared numbers and names, a search over all
sources, or its neighbours point at), so that time and memory grow with the number of rows and not with the largest
shift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.text.row_evidence import Evidence

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
NONE = np.iinfo(np.int64).min
"""The shift of a row whose target fits no source."""
CHANGE, MIN_ROWS = 15.0, 20
_BLOCK = 128
_WINDOW = 64
"""Rows of a block that are searched for among all sources."""
_BESIDE = 10
"""Each block's states are the shifts this near to one that something points at."""
_POINTED = 5
"""How many shifts each block has besides 0 and those of its neighbours."""
_ROUNDS, _SEARCHES = 6, 64
_WORK = 4e9
"""The most comparisons of a row with a source in all searches; where they end, rows stay without a source."""
_LEAST_FOUND = 12.0
"""A search counts only shifts that explain the rows of its window better by this many nats than chance does."""
_LEAST_DISORDER = 0.75
"""Rows count as out of order only if their own sources fit worse than chance by this many nats a row, which free
translations do not."""
_DOUBT = 3.0
"""A row near a change is unsure unless the change would cost this many nats more beyond it (odds of 20 to 1)."""
_EDGE = 64
_RESCALE = 0.1
_WARNINGS = 20
_SELF, _TOP, _NOWHERE = 0, 1, 2
"""Where the best path to a state comes from: the same state, the best shift, or none."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive rows with the same shift."""

    first: int
    last: int
    shift: int | None
    """None: no source fits."""
    gain: float
    """How much better each row fits than with its own source, in nats."""


@dataclass(frozen=True)
class RowAlignment:
    """Which source each target belongs to."""

    partner: Integers
    """The place of the source; -1: none."""
    unsure: npt.NDArray[np.bool_]
    """Rows whose partner may be another: near a change, in a short stretch, or with a source that fits another row
    better."""
    disordered: npt.NDArray[np.bool_]
    """Rows of long stretches in which no source fits."""
    stretches: tuple[Stretch, ...]
    """The stretches of ``min_rows`` and more that are shifted or out of order."""

    def shifts(self) -> npt.NDArray[np.float64]:
        """How many rows further on each row's source is; nan where that is not known."""
        known = (self.partner >= 0) & ~self.unsure
        return np.where(known, self.partner - np.arange(len(self.partner)), np.nan)

    def states(self) -> list[str | None]:
        """``shifted``, ``disordered`` or ``unsure``; None for a row that is beside its own source."""
        shifts = self.shifts()
        return [
            "disordered" if disordered else "unsure" if np.isnan(shift) else "shifted" if shift else None
            for disordered, shift in zip(self.disordered.tolist(), shifts.tolist(), strict=True)
        ]

    def messages(self, step: str, group: str) -> list[str]:
        """A warning for each stretch, and the number of rows that are unsure.

        Args:
            step: the step's tag.
            group: source and both languages, with tabs between.
        """
        source, one, other = group.split("\t")
        where, rows = f"{step}: '{source}' ({one}→{other}):", len(self.partner)
        told = []
        for each in self.stretches[:_WARNINGS]:
            stretch = f"{where} rows {each.first + 1:,} to {each.last + 1:,} of {rows:,}"
            told.append(
                f"{stretch} are out of order: no source fits ({each.gain:.1f} nats a row against their own)"
                if each.shift is None
                else f"{stretch} are shifted by {each.shift:+d}: the target of a row belongs to the source "
                f"{abs(each.shift):,} rows {'further on' if each.shift > 0 else 'before'} ({each.gain:.1f} nats a row)"
                f"; check for a missing or extra line near row {each.first + 1:,}"
            )
        if len(self.stretches) > _WARNINGS:
            told.append(f"{where} {len(self.stretches) - _WARNINGS:,} more stretches are shifted or out of order")
        if unsure := int(self.unsure.sum()):
            doubt = f"{unsure:,} of {rows:,} rows are unsure, near a change or in a short stretch"
            told = [*told[:-1], f"{told[-1]}; {doubt}"] if told else [f"{where} {doubt}"]
        return told


def align_rows(
    table: pa.Table, *, change: float = CHANGE, min_rows: int = MIN_ROWS, max_shift: int | None = None
) -> RowAlignment:
    """Aligns the targets of one file to its sources.

    Args:
        table: of :func:`curate.text.row_evidence.features`.
        change: the cost of a change of shift, in nats.
        min_rows: shorter stretches are unsure.
        max_shift: the largest shift to look for; None: any.
    """
    evidence = Evidence(table)
    path = _Search(evidence, change, max_shift or evidence.rows).path()
    return _settled(evidence, path, min_rows)


class _Search:
    """Looks for the best path, with more shifts where none fits."""

    def __init__(self, evidence: Evidence, change: float, reach: int) -> None:
        self.evidence, self.change, self.rows = evidence, change, evidence.rows
        self.reach = min(reach, evidence.rows - 1)
        self.blocks = -(-self.rows // _BLOCK)
        self.pointed: list[dict[int, float]] = [{} for _ in range(self.blocks)]
        """Shift → how much speaks for it, in each block."""
        for block, shift, votes in evidence.votes(_BLOCK):
            for one in (block - 1, block, block + 1):
                self._point(one, shift, votes)

    def path(self) -> Integers:
        path = self._best(self._states(None))
        if self.evidence.rescale(_partners(path)) > _RESCALE:
            path = self._best(self._states(path))
        searched: set[int] = set()
        most = max(_SEARCHES // 2, int(_WORK / (_WINDOW * self.rows)))
        for _ in range(_ROUNDS):
            runs = [[one for one in run if one not in searched] for run in self._poor(path)]
            left = [(number, one) for number, run in enumerate(runs) for one in run]
            left = left[:: max(1, -(-len(left) // min(_SEARCHES, max(1, most - len(searched)))))]
            if not left or len(searched) >= most:
                return path
            for number, block in left:
                searched.add(block)
                for shift, gain in self._look(block, path):
                    for one in range(runs[number][0] - 1, runs[number][-1] + 2):
                        self._point(one, shift, gain)
            before, path = path, self._best(self._states(path))
            if self.evidence.rescale(_partners(path)) > _RESCALE:
                path = self._best(self._states(path))
            elif (before == path).all() and len(left) < _SEARCHES:
                return path
        return path

    def _point(self, block: int, shift: int, gain: float) -> None:
        if 0 <= block < self.blocks and abs(shift) <= self.reach:
            known = self.pointed[block]
            known[shift] = known.get(shift, 0.0) + gain

    def _poor(self, path: Integers) -> list[list[int]]:
        """Runs of blocks in which an eighth of the rows or more has no source."""
        size = np.bincount(np.arange(self.rows) // _BLOCK)
        without = np.bincount(np.flatnonzero(path == NONE) // _BLOCK, minlength=self.blocks)
        poor = np.flatnonzero(without * 8 >= size)
        return [run.tolist() for run in np.split(poor, np.flatnonzero(np.diff(poor) > 1) + 1) if len(run)]

    def _look(self, block: int, path: Integers) -> Iterator[tuple[int, float]]:
        """The shifts that explain the rows of a block that have no source, out of all shifts."""
        here = np.arange(block * _BLOCK, min(self.rows, (block + 1) * _BLOCK))
        total = self.evidence.every_shift(here[path[here] == NONE][:_WINDOW])
        middle = self.rows - 1
        total[: max(0, middle - self.reach)] = -np.inf
        total[middle + self.reach + 1 :] = -np.inf
        for _ in range(_POINTED):
            best = int(total.argmax())
            if total[best] < _LEAST_FOUND:
                return
            yield best - middle, float(total[best])
            total[max(0, best - _BESIDE) : best + _BESIDE + 1] = -np.inf

    def _states(self, path: Integers | None) -> list[Integers]:
        """The shifts that each block may have."""
        beside = np.arange(-_BESIDE, _BESIDE + 1)
        near: list[set[int]] = [{0} for _ in range(self.blocks)]
        if path is not None:
            for block in range(self.blocks):
                found = np.unique(path[max(0, (block - 1) * _BLOCK) : (block + 2) * _BLOCK])
                near[block] |= {int(one) for one in found if one != NONE}
        states = []
        for block in range(self.blocks):
            given = self.pointed[block]
            wanted = near[block] | set(sorted(given, key=lambda one: (-given[one], abs(one), one))[:_POINTED])
            each = np.unique(np.array(sorted(wanted))[:, None] + beside)
            states.append(each[np.abs(each) <= self.reach])
        return states

    def _best(self, states: Sequence[Integers]) -> Integers:
        """The best path through the states of each block; the last state of each is none."""
        came: list[npt.NDArray[np.uint8]] = []
        tops = np.zeros(self.rows, np.int64)
        before, best = np.zeros(1, np.int64), np.array([0, -self.change], np.float32)
        for block, shifts in enumerate(states):
            first, end = block * _BLOCK, min(self.rows, (block + 1) * _BLOCK)
            fits = np.ascontiguousarray(self.evidence.fits(first, end, shifts).T)
            cost = self._costs(shifts, shifts)
            out = np.append(self.change + np.log1p(np.abs(shifts)), 0).astype(np.float32)
            ways = np.empty((end - first, len(shifts) + 1), np.uint8)
            # The first row comes from the states of the block before.
            top = int(best[:-1].argmax())
            jump = best[top] - self._costs(before[top : top + 1], shifts)[0]
            best = _carried(before, best, shifts)
            before_top = before[top]
            for row in range(end - first):
                if row:
                    top = int(best[:-1].argmax())
                    jump, before_top = best[top] - cost[top], shifts[top]
                nowhere = best[-1] - out
                moved = np.maximum(jump, nowhere)
                ways[row] = np.where(best >= moved, _SELF, np.where(jump >= nowhere, _TOP, _NOWHERE))
                tops[first + row] = before_top
                best = np.maximum(best, moved)
                best[:-1] += fits[row]
                best -= best.max()
            came.append(ways)
            before = shifts
        return self._traced(states, came, tops, best)

    def _costs(self, here: Integers, there: Integers) -> Floats:
        """What a change of shift costs, and (last column) having no source."""
        far = self.change + np.log1p(np.abs(here[:, None] - there))
        return np.concatenate([far, np.full((len(here), 1), self.change)], axis=1).astype(np.float32)

    def _traced(
        self, states: Sequence[Integers], came: Sequence[npt.NDArray[np.uint8]], tops: Integers, best: Floats
    ) -> Integers:
        path = np.empty(self.rows, np.int64)
        last = int(best.argmax())
        shift = int(states[-1][last]) if last < len(states[-1]) else NONE
        for block in range(len(states) - 1, -1, -1):
            shifts, ways, first = states[block], came[block], block * _BLOCK
            for row in range(len(ways) - 1, -1, -1):
                path[first + row] = shift
                at = len(shifts) if shift == NONE else int(np.searchsorted(shifts, shift))
                way = ways[row, at]
                if way != _SELF:
                    shift = int(tops[first + row]) if way == _TOP else NONE
        return path


def _carried(before: Integers, best: Floats, shifts: Integers) -> Floats:
    """The values of a block's states as those of the next block's, with none for those that it did not have."""
    carried = np.full(len(shifts) + 1, -np.inf, np.float32)
    at = np.searchsorted(before, shifts).clip(0, len(before) - 1)
    same = before[at] == shifts
    carried[:-1][same], carried[-1] = best[at[same]], best[-1]
    return carried


def _partners(path: Integers) -> Integers:
    """The source of each row, -1 where there is none."""
    partner = np.arange(len(path)) + np.where(path == NONE, 0, path)
    return np.where((path == NONE) | (partner < 0) | (partner >= len(path)), -1, partner)


def _runs(path: Integers) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(path)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(path)], strict=True))


def _settled(evidence: Evidence, path: Integers, min_rows: int) -> RowAlignment:
    """What follows from the path: which rows are sure, and which stretches are worth a word."""
    unsure, disordered = np.zeros(len(path), bool), np.zeros(len(path), bool)
    path, stretches, runs = path.copy(), [], _runs(path)
    shifts = [int(path[first]) for first, _ in runs]
    for number, (first, end) in enumerate(runs):
        if number:
            _doubt(evidence, unsure, runs[number - 1], (first, end), shifts[number - 1 : number + 1])
        shift = None if shifts[number] == NONE else shifts[number]
        if shift == 0 and (end - first >= min_rows or len(runs) == 1):
            continue
        if shift is None:
            usual = _inherited(evidence, first, end, shifts[max(0, number - 1) : number + 2])
            if evidence.belongs(first, end, usual):
                path[first:end] = usual
                continue
        own = evidence.fit(first, end, 0)
        gain = float((-own if shift is None else evidence.fit(first, end, shift) - own).mean())
        lost = shift is None and gain >= _LEAST_DISORDER and evidence.varies(first, end)
        if end - first < min_rows or (shift is None and not lost):
            unsure[first:end] = True
            if shift is None:
                path[first:end] = usual
            continue
        disordered[first:end] = lost
        stretches.append(Stretch(first, end - 1, shift, gain))
    partner = _partners(path)
    _apart(evidence, path, partner, unsure)
    return RowAlignment(partner, unsure & ~disordered, disordered, tuple(stretches))


def _inherited(evidence: Evidence, first: int, end: int, around: Sequence[int]) -> int:
    """The shift of the neighbours that fits rows without a source best."""
    known = [one for one in around if one != NONE] or [0]
    return max(known, key=lambda one: float(evidence.fit(first, end, one).sum()))


def _doubt(
    evidence: Evidence,
    unsure: npt.NDArray[np.bool_],
    before: tuple[int, int],
    after: tuple[int, int],
    shifts: Sequence[int],
) -> None:
    """Marks the rows on both sides of a change that might as well be on the other side of it."""
    start, edge, stop = max(before[0], after[0] - _EDGE), after[0], min(after[1], after[0] + _EDGE)
    left, right = (
        np.zeros(stop - start, np.float32) if one == NONE else evidence.fit(start, stop, one) for one in shifts
    )
    lead = left - right
    back = np.flatnonzero(np.cumsum(lead[: edge - start][::-1]) < _DOUBT)
    forth = np.flatnonzero(np.cumsum(-lead[edge - start :]) < _DOUBT)
    unsure[edge - 1 - int(back.max(initial=-1)) : edge] = True
    unsure[edge : edge + 1 + int(forth.max(initial=-1))] = True


def _apart(evidence: Evidence, path: Integers, partner: Integers, unsure: npt.NDArray[np.bool_]) -> None:
    """Leaves each source with the row that it fits best; the others have none and are unsure."""
    rows = np.flatnonzero(partner >= 0)
    twice = rows[np.bincount(partner[rows], minlength=len(partner))[partner[rows]] > 1]
    if not len(twice):
        return
    fits = np.array([float(evidence.fit(row, row + 1, int(path[row]))[0]) for row in twice.tolist()])
    order = np.lexsort((np.abs(path[twice]), -fits, partner[twice]))
    first = np.ones(len(order), bool)
    first[1:] = partner[twice[order[1:]]] != partner[twice[order[:-1]]]
    losers = twice[order[~first]]
    partner[losers], unsure[losers] = -1, True

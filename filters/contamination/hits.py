"""What is said of a row's hits: the strongest in its columns, the others as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from curate.rows.languages import base
from filters.contamination.code_index import CodeMatch
from filters.contamination.index import Index
from filters.contamination.match import Match
from filters.contamination.semantic import MeaningMatch

A_CONTEXT = 0.3
"""Contexts are reported from this share on."""
_MOST_HITS = 8
# Less likely translations and programs are not reported as hits.
_MEANT = 0.3
# A hit with a smaller share of the item is reported as ``part``.
_A_PART = 0.6


def add_hits(
    columns: dict[str, list[Any]],
    row: int,
    language: str,
    matches: list[tuple[int, Match, list[list[Any]]]],
    translation: MeaningMatch | None,
    code: tuple[CodeMatch, list[list[Any]]] | None,
    index: Index,
    cut: Sequence[tuple[int, str]],
) -> None:
    """Writes the hits of one row into the columns."""
    parts, hits = index.items["part"], []
    places_of = {item: places for item, _, places in matches}
    for item, other in cut:
        about = {key: index.items[key][item] for key in ("benchmark", "item", "language")}
        columns["score"][row] = 1.0
        hits.append((1.0, {**about, "hit": "split", "score": 1.0, "spans": places_of.get(item, []), "row": other}))
    for item, hit, places in matches:
        about = {key: index.items[key][item] for key in ("benchmark", "item", "language")}
        if parts[item] == "context":
            columns["context"][row] = max(columns["context"][row], round(hit.containment, 4))
            # Contexts rank after all questions.
            if hit.containment >= A_CONTEXT:
                context_hit = {**about, "hit": "context", "score": round(hit.containment, 4), "spans": places}
                hits.append((0.3 * hit.containment, context_hit))
            continue
        words = index.words[item] * hit.run / len(index.item(item).chars)
        columns["score"][row] = max(columns["score"][row], round(hit.containment, 4))
        columns["run"][row] = max(columns["run"][row] or 0.0, round(float(words), 2))
        kind: str = "part" if hit.hit in ("edited", "split") and hit.containment < _A_PART else hit.hit
        hits.append((hit.containment, {**about, "hit": kind, "score": round(hit.containment, 4), "spans": places}))
    if translation is not None:
        about = {key: index.items[key][translation.item] for key in ("benchmark", "item", "language")}
        columns["similarity"][row], columns["margin"][row] = (
            round(translation.cosine, 4),
            round(translation.margin, 4),
        )
        kind = "paraphrased" if base(about["language"]) == base(language) else "translated"
        columns["paraphrase" if kind == "paraphrased" else "translation"][row] = translation.score
        place = [[translation.passage.field, translation.passage.start, translation.passage.end]]
        if translation.score >= _MEANT:
            hits.append((0.7 * translation.score, {**about, "hit": kind, "score": translation.score, "spans": place}))
    if code is not None and code[0].chance >= _MEANT:
        about = {key: index.items[key][code[0].item] for key in ("benchmark", "item", "language")}
        hits.append((0.8 * code[0].chance, {**about, "hit": "code", "score": code[0].chance, "spans": code[1]}))
    if not hits:
        return
    hits.sort(key=lambda hit: -hit[0])
    strongest = hits[0][1]
    for name, key in (("benchmark", "benchmark"), ("item", "item"), ("item_language", "language"), ("hit", "hit")):
        columns[name][row] = strongest[key]
    columns["spans"][row] = orjson.dumps(strongest["spans"]).decode()
    others = [hit for number, (_, hit) in enumerate(hits[:_MOST_HITS]) if number or "row" in hit]
    columns["others"][row] = orjson.dumps(others).decode() if others else None

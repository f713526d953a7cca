"""A small catalog on disk, changed at will and built inline, with a journal of what really ran."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import yaml

import curate
from curate.engine.build import build_datasets, make_plan
from curate.engine.store.shards import ChunkLimits
from curate.engine.store.store import Store

CUTS = ChunkLimits(least=40, mean=8, most=64)  # a few shards of each source: a build takes longer the more there are
WORDS = ["river", "stone", "lamp", "bread", "cloud", "seven", "quiet", "orange", "winter", "road"]


def text(language: str, number: int) -> str:
    return f"{language} {' '.join(WORDS[(number + k) % 10] for k in range(number % 9))} {number}"


def write_small(folder: Path, rows: int, **run: object) -> Path:
    """Writes a catalog of two short sources and one dataset, for builds in processes of their own."""
    for language in ("en", "sw"):
        lines = [f"{language}\t{n}\t{language} {'words ' * (n % 7)}{n}" for n in range(rows)]
        (folder / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    catalog = {
        "version": 1,
        "models": {"ruler": {"use": "counter"}},
        "sources": {
            "english": {"use": "numbered", "path": ["en.txt"], "license": "cc0-1.0"},
            "swahili": {"use": "numbered", "path": ["sw.txt"], "license": "cc0-1.0", "translation_of": "english"},
        },
        "datasets": {
            "loud": {
                "from": ["english", "swahili"],
                "splits": {"train": 0.9, "test": 0.1},
                "steps": [{"letters": {"model": "ruler", "min": 9}}, "shout", {"most": {"count": 500}}],
            }
        },
        "run": {"workers": 1, **run},
    }
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog))
    return path


class House:
    """A catalog on disk with two sources, changed at will and built inline."""

    def __init__(self, folder: Path, registry) -> None:
        self.folder, self.registry = folder, registry
        self.journal = folder / "journal"
        self.journal.touch()
        for language, rows in (("en", 120), ("sw", 90)):
            self.write(language, [f"{language}\t{n}\t{text(language, n)}" for n in range(rows)])
        self.catalog = {
            "version": 1,
            "models": {"ruler": {"use": "counter"}},
            "sources": {
                "english": {"use": "numbered", "path": ["en.txt"], "license": "cc0-1.0", "journal": str(self.journal)},
                "swahili": {
                    "use": "numbered",
                    "path": ["sw.txt"],
                    "license": "cc-by-4.0",
                    "translation_of": "english",
                    "language": "sw",
                    "journal": str(self.journal),
                },
            },
            "datasets": {
                "duo": {
                    "from": ["english", "swahili"],
                    "splits": {"train": 0.8, "test": 0.2},
                    "steps": [
                        {"letters": {"model": "ruler", "min": 12, "journal": str(self.journal)}},
                        {"most": {"count": 70}},
                    ],
                },
            },
            "run": {"workers": 1},
        }

    def write(self, language: str, lines: list[str]) -> None:
        (self.folder / f"{language}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def letters(self) -> dict:
        return self.catalog["datasets"]["duo"]["steps"][0]["letters"]

    def load(self):
        (self.folder / "catalog.yaml").write_text(yaml.safe_dump(self.catalog, sort_keys=False))
        return curate.load_catalog(self.folder / "catalog.yaml", registry=self.registry)

    def build(self, *names: str):
        return build_datasets(self.load(), self.registry, names, chunk_limits=CUTS)

    def plan(self):
        return make_plan(self.load(), self.registry, chunk_limits=CUTS)

    def ran(self) -> list[str]:
        """What sources read and steps scored since the last call."""
        lines = self.journal.read_text().splitlines()
        self.journal.write_text("")
        return lines

    @property
    def store(self) -> Store:
        return Store(self.folder / ".curate")

    def query(self, sql: str) -> pl.DataFrame:
        return curate.query(sql, store=self.store)

"""The README of an export: its files, skipped rows, and the command that starts the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import yaml

from curate.steps.outputs import Version, Written


class Described(Protocol):
    """What a README needs to know about an output."""

    reader: ClassVar[str]

    @property
    def features(self) -> list[dict[str, Any]]:
        """The columns as ``datasets`` must be told them, if it must be."""
        ...

    def spread(self, split: str, written: Written) -> list[str]:
        """The files of a split."""
        ...


@dataclass
class UsageGuide:
    """How to use an export."""

    files: list[Path] = field(default_factory=list)
    """The configuration files written."""
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    """(sentence, language of the code, code), in order."""


def dump_yaml(values: Any) -> str:
    """YAML in the given order, with all letters unescaped."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


def write_yaml(path: Path, values: Mapping[str, Any], *remarks: str) -> Path:
    """Writes a YAML file with comments at the top."""
    head = "".join(f"# {remark}\n" for remark in remarks)
    path.write_text(head + dump_yaml(dict(values)), encoding="utf-8")
    return path


def configs(form: Described, version: Version, written: Written, below: str = "") -> dict[str, Any]:
    """The README header from which ``datasets.load_dataset`` finds the splits, relative to the folder ``below``.

    ``datasets`` caches a folder by its last name and this header only: without the digest in it, it would return the
    rows of an earlier export.
    """
    files = {split: form.spread(split, written) for split in version.splits}
    return {
        **({"dataset_info": {"features": form.features}} if form.features else {}),
        "configs": [
            {
                "config_name": "default",
                "description": f"{version.name}@{version.version} sha256:{written.digest}",
                "data_files": [
                    {"split": split, "path": [name.removeprefix(below) for name in names]}
                    for split, names in files.items()
                    if names
                ],
            }
        ],
    }


def write_readme(form: Described, version: Version, folder: Path, written: Written, guide: UsageGuide) -> list[Path]:
    """Writes ``README.md``; returns all files that are not data."""
    total, left = sum(written.rows.values()), sum(written.skipped.values())
    languages = ", ".join(f"{tag} {count:,}" for tag, count in version.manifest["languages"].items())
    licenses = ", ".join(f"{name} {count:,}" for name, count in version.manifest["licenses"].items())
    lines = [
        f"# {version.name} for {form.reader}",
        "",
        f"Version `{version.version}`: {total:,} {version.kind} rows"
        + (f"; {left:,} more were skipped (see below)." if left else ", all of its rows."),
        "",
        f"Languages (rows of the version): {languages}. Licences: {licenses}.",
        "",
        "| split | rows | files |",
        "|---|---|---|",
    ]
    for split in version.splits:
        names = form.spread(split, written)
        shown = f"`{names[0]}`" + (f" … `{names[-1]}` ({len(names)})" if len(names) > 1 else "") if names else "none"
        lines.append(f"| {split} | {written.rows[split]:,} | {shown} |")
    for sentence, language, code in guide.steps:
        lines += ["", sentence, "", f"```{language}", code.strip("\n"), "```"]
    if written.skipped:
        lines += [
            "",
            f"## Skipped rows, which {form.reader} would skip or misread",
            "",
            "| reason | rows | examples |",
            "|---|---|---|",
        ]
        for reason, count in sorted(written.skipped.items(), key=lambda item: -item[1]):
            text = " ".join(reason.replace("|", "\\|").split())
            lines.append(f"| {text} | {count:,} | {', '.join(f'`{row}`' for row in written.examples[reason][:3])} |")
    if written.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in written.notes)]
    head = dump_yaml(configs(form, version, written))
    readme = folder / "README.md"
    readme.write_text(f"---\n{head}---\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return [*guide.files, readme]


def data_readme(form: Described, version: Version, folder: Path, written: Written) -> Path:
    """A README in the data folder that maps files to splits, for readers that are given that folder."""
    path = folder / "data" / "README.md"
    path.write_text(f"---\n{dump_yaml(configs(form, version, written, 'data/'))}---\n", encoding="utf-8")
    return path

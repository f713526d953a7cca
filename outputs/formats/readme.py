"""The README of an export is computed: what is in the folder, what was left out, and the command that starts the
training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import yaml

from curate.steps.outputs import Version, Written


class Described(Protocol):
    """What a README says about a form."""

    reader: ClassVar[str]

    def spread(self, split: str, written: Written) -> list[str]:
        """The files of a split."""
        ...


@dataclass
class Guide:
    """How an export is used."""

    files: list[Path] = field(default_factory=list)
    """The configuration that was written."""
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    """(sentence, language of the code, code), in order."""


def dump_yaml(values: Any) -> str:
    """YAML in the order given, every letter as it is."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


def write_yaml(path: Path, values: Mapping[str, Any], *remarks: str) -> Path:
    """A YAML file with remarks on top."""
    head = "".join(f"# {remark}\n" for remark in remarks)
    path.write_text(head + dump_yaml(dict(values)), encoding="utf-8")
    return path


def configs(form: Described, version: Version, written: Written, below: str = "") -> dict[str, Any]:
    """The head of a README by which ``datasets.load_dataset`` finds the splits, from the folder ``below``.

    ``datasets`` caches a folder by its last name and this head alone: without the digest in it, it would give the rows
    of an earlier export for those of a later one, of whatever dataset.
    """
    files = {split: form.spread(split, written) for split in version.splits}
    return {
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
        ]
    }


def write_readme(form: Described, version: Version, folder: Path, written: Written, guide: Guide) -> list[Path]:
    """``README.md``, and for ``load_dataset`` of the data's folder alone the same head there; returns all files that
    were not data."""
    total, left = sum(written.rows.values()), sum(written.skipped.values())
    languages = ", ".join(f"{tag} {count:,}" for tag, count in version.manifest["languages"].items())
    licenses = ", ".join(f"{name} {count:,}" for name, count in version.manifest["licenses"].items())
    lines = [
        f"# {version.name} for {form.reader}",
        "",
        f"Version `{version.version}`: {total:,} {version.kind} rows"
        + (f"; {left:,} more were left out (below)." if left else ", all that it has."),
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
            f"## Left out, because {form.reader} would skip or misread them",
            "",
            "| reason | rows | for example |",
            "|---|---|---|",
        ]
        for reason, count in sorted(written.skipped.items(), key=lambda item: -item[1]):
            told = " ".join(reason.replace("|", "\\|").split())
            lines.append(f"| {told} | {count:,} | {', '.join(f'`{row}`' for row in written.examples[reason][:3])} |")
    if written.notes:
        lines += ["", "## To know before training", "", *(f"- {note}" for note in written.notes)]
    head = dump_yaml(configs(form, version, written))
    readme = folder / "README.md"
    readme.write_text(f"---\n{head}---\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return [*guide.files, readme]


def data_readme(form: Described, version: Version, folder: Path, written: Written) -> Path:
    """A README in the data's folder that says which file is which split, for readers that are given that folder's
    name."""
    path = folder / "data" / "README.md"
    path.write_text(f"---\n{dump_yaml(configs(form, version, written, 'data/'))}---\n", encoding="utf-8")
    return path

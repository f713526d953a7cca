"""A dataset card is computed: everything in it comes from the manifest, the rows and the licences of one version,
nothing from memory.

The same version, layout and place give the same card, byte for byte, so that publishing twice changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from curate.engine.store.store import Store
from curate.rows import Kind, schema
from curate.steps import Registry
from curate.steps.outputs import Version
from outputs.card import sections as words
from outputs.card.header import dump, header
from outputs.card.markdown import block, code, prose, table
from outputs.export import open_version
from outputs.licensing.gate import Verdict, judge, lines
from outputs.licensing.licenses import Book, load_book
from outputs.publishing.layout import DEFAULT, Layout, lay_out, source_languages
from outputs.publishing.targets import Shown

_KINDS: Mapping[Kind, str] = {
    Kind.SFT: "conversations to imitate",
    Kind.PREFERENCE: "prompts with a better and a worse answer",
    Kind.UNPAIRED: "prompts with an answer and a thumb up or down",
    Kind.PARALLEL: "sentences with their translations",
    Kind.DOCUMENT: "running text",
    Kind.PROMPT: "prompts without answers",
}
_MOST_CELLS = 200


def about(store: Store, name: str) -> Version:
    """A version by ``name`` or ``name@ref``, told as the ref was built last: the same rows may come from another
    recipe.

    Raises:
        StoreError: there is none.
    """
    version = open_version(store, name)
    ref = name.partition("@")[2] or "latest"
    told = store.refs(version.name).get(ref, {})
    if told.get("version") != version.version:
        return version
    newer: dict[str, Any] = {key: told[key] for key in ("recipe", "description", "audits") if key in told}
    return replace(version, manifest=dict(version.manifest) | newer)


def card(
    version: Version,
    *,
    layout: Layout | None = None,
    verdict: Verdict | None = None,
    place: Shown | None = None,
    override: str = "",
    book: Book | None = None,
    registry: Registry | None = None,
) -> str:
    """The card of a version, as ``README.md`` holds it.

    Args:
        layout: how it is laid out; a folder for each language where there are several.
        verdict: what its licences allow; found out unless given.
        place: where it will stand; a folder of the dataset's name unless said.
        override: why it is published although its licences stand against it.
    """
    book = book or load_book()
    layout = layout or lay_out(version)
    verdict = verdict or judge(version, book)
    place = place or Shown("folder", f"./{version.name}")
    manifest = version.manifest
    sides = source_languages(version)
    sections: list[tuple[str, list[str]]] = [
        ("Languages and splits", _counts(version, layout)),
        ("How to load it", _load(version, layout, place)),
        ("What a row is", _row(version)),
        ("How it was made", words.steps(manifest, registry or Registry.installed())),
        ("Models", words.models(manifest, verdict)),
        ("What was kept of each language", words.funnel(manifest)),
        ("Audits", words.audits(manifest)),
        ("Sources", words.sources(manifest, verdict.shares, book)),
        ("Licence", _license(verdict, override)),
        ("Known limits", words.limits(version, verdict)),
        ("How to cite it", _cite(version, place)),
        ("How to make it again", _again(manifest)),
    ]
    body = [
        f"# {prose(version.name)}",
        "",
        *([prose(manifest["description"], 4_000), ""] if manifest.get("description") else []),
        *_facts(version, verdict),
        "",
    ]
    for title, content in sections:
        if content:
            body += [f"## {title}", "", *content, ""]
    return dump(header(version, layout, verdict, book, sides)) + "\n" + "\n".join(body).rstrip() + "\n"


# ------------------------------------------------------------------------------------------------------------- sections
def _facts(version: Version, verdict: Verdict) -> list[str]:
    manifest = version.manifest
    splits = ", ".join(f"{code(split)} {about['rows']:,}" for split, about in manifest["splits"].items())
    return [
        f"{manifest['rows']:,} rows ({splits}) in {len(manifest['languages']):,} "
        f"{_plural(len(manifest['languages']), 'language')}: {_KINDS[version.kind]}. "
        f"Version {code(version.version)}, a digest of its rows, built {manifest['created_at'][:10]} with curate "
        f"{manifest['software']['curate']}. "
        f"Licence: {prose(verdict.joined.expression)}."
    ]


def _counts(version: Version, layout: Layout) -> list[str]:
    splits = list(version.manifest["splits"])
    rows = [
        [prose(name), *(f"{counts.get(split, 0):,}" for split in splits), f"{sum(counts.values()):,}"]
        for name, counts in list(layout.places.items())[:_MOST_CELLS]
    ]
    total = [f"{version.manifest['splits'][split]['rows']:,}" for split in splits]
    rows.append(["**all**", *total, f"{version.manifest['rows']:,}"])
    head = "languages" if version.kind is Kind.PARALLEL else "language"
    told = table([head, *(prose(split) for split in splits), "rows"], rows, range(1, len(splits) + 2))
    return [*told, *_more(len(layout.places))]


def _more(count: int) -> list[str]:
    return ["", f"… and {count - _MOST_CELLS:,} more."] if count > _MOST_CELLS else []


def _load(version: Version, layout: Layout, place: Shown) -> list[str]:
    split = version.splits[0]
    some = layout.configs[-1] if len(layout.configs) > 1 else layout.configs[0]
    one = next((config for config in layout.configs if config.name != DEFAULT and split in config.splits), some)
    whole = layout.configs[0]
    revision = f', revision="v-{version.version}"' if place.form == "hub" else ""
    if place.form == "hub":
        root, files = place.address, f"hf://datasets/{place.address}@v-{version.version}"
    else:
        root = files = place.address.rstrip("/")
    if place.form == "url":
        python = [
            "from datasets import load_dataset",
            "",
            f'rows = load_dataset("parquet", data_files="{files}/{whole.pattern(split)}", split="train")',
        ]
    else:
        python = ["from datasets import load_dataset", "", f'rows = load_dataset("{root}", split="{split}"{revision})']
        if one.name != whole.name:
            python.append(f'some = load_dataset("{root}", "{one.name}", split="{split}"{revision})')
    scan = ["import polars as pl", "", f'rows = pl.scan_parquet("{files}/{whole.pattern(split)}")']
    sql = [f"SELECT language, count(*) FROM '{files}/{whole.pattern(split)}' GROUP BY ALL;"]
    several = len(layout.configs) > 1
    names = (
        f"One configuration for each of {len(layout.configs) - 1:,} "
        f"{'pairs of languages' if version.kind is Kind.PARALLEL else 'languages'}, and {code(DEFAULT)} with all."
        if several
        else ""
    )
    pinned = f" The tag {code(f'v-{version.version}')} stays at these rows." if place.form == "hub" else ""
    first = [f"{names}{pinned}".strip(), ""] if names or pinned else []
    return [
        *first,
        *block("\n".join(python), "python"),
        "",
        "Polars:",
        "",
        *block("\n".join(scan), "python"),
        "",
        "DuckDB:",
        "",
        *block("\n".join(sql), "sql"),
    ]


_COLUMNS: Mapping[str, str] = {
    "id": "digest of the row's content",
    "messages": "the turns, each with `role` and `content`",
    "prompt": "the turns before the answer, each with `role` and `content`",
    "chosen": "the better answer, as turns",
    "rejected": "the worse answer, as turns",
    "completion": "the answer, as turns",
    "label": "whether the answer is good",
    "source_language": "BCP-47 tag of the source side",
    "source": "the sentence",
    "target": "its translation",
    "text": "the text",
    "language": "BCP-47 tag of the answer (the target side, the text)",
    "group_id": "the same for one item in all its languages",
    "scores": "what steps measured: `name`, `value`",
    "attributes": "labels and carried columns: `name`, `value`",
    "lineage": "`source`, `source_id`, `license`, `parents` (ids), `makers` (step, model, digest of its prompt)",
}


def _row(version: Version) -> list[str]:
    fields = schema(version.kind)
    return table(
        ["column", "type", "what it is"],
        [[code(one.name), code(_type(one.type)), _COLUMNS.get(one.name, "")] for one in fields],
    )


def _type(given: Any) -> str:
    return re.sub(r"element: | not null", "", str(given))


def _license(verdict: Verdict, override: str) -> list[str]:
    whole = verdict.joined
    said: list[str] = []
    if whole.result is not None:
        said.append(
            f"The data set as a whole: {_linked(whole.result)}. Each row says under which licence it came "
            "(`lineage.license`)."
        )
    elif whole.parts:
        said.append(
            "No one licence covers all rows: each is under its own (`lineage.license`), and whoever uses all has to "
            "keep to all of these."
        )
    rows = []
    counts: dict[str, int] = {}
    for share in verdict.shares:
        counts[share.license] = counts.get(share.license, 0) + share.rows
    for license_, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_CELLS]:
        rows.append([prose(license_, 120), f"{count:,}"])
    said += ["", *table(["licence of rows", "rows"], rows, (1,)), *_more(len(counts)), ""]
    asks = [
        [
            _linked(part),
            _yes(part.redistribute),
            _yes(part.commercial if part.redistribute else None),
            _yes(part.modifications if part.redistribute else None),
            "yes" if part.attribution else "no",
            "yes" if part.share_alike else "no",
            prose(part.remark),
        ]
        for part in verdict.parts[:_MOST_CELLS]
    ]
    said += table(["terms", "copies", "for money", "changed", "name the makers", "same terms", "remarks"], asks)
    said += _more(len(verdict.parts))
    if any(part.attribution for part in verdict.parts):
        said += ["", "The makers to be named are those of the sources above."]
    if override:
        said += [
            "",
            "**Published although its licences stand against it:**",
            "",
            *(f"- {prose(line.strip())}" for line in lines(verdict)),
            "",
            f"The reason that was given: {prose(override, 2_000)}",
        ]
    elif verdict.problems:
        said += [
            "",
            "**This may not be published as it is:**",
            "",
            *(f"- {prose(line.strip())}" for line in lines(verdict)),
        ]
    return said


def _linked(part: Any) -> str:
    text = prose(part.name or part.id)
    shown = f"[{text}]({part.url})" if part.url else text
    return shown if part.name in ("", part.id) else f"{shown} ({code(part.id)})"


def _yes(given: bool | None) -> str:
    return "not known" if given is None else "yes" if given else "**no**"


def _cite(version: Version, place: Shown) -> list[str]:
    year = version.manifest["created_at"][:4]
    key = re.sub(r"[^A-Za-z0-9]+", "", version.name) or "dataset"
    address = (
        f"{_endpoint()}/datasets/{place.address}"
        if place.form == "hub"
        else place.address
        if place.form == "url"
        else ""
    )
    fields = {
        "title": "{" + version.name + "}",
        "author": "{" + place.address.split("/")[0] + "}" if place.form == "hub" else "",
        "year": year,
        "version": f"v-{version.version}",
        "url": address,
        "note": f"{version.manifest['rows']} rows, {len(version.manifest['languages'])} "
        f"{_plural(len(version.manifest['languages']), 'language')}",
    }
    inner = ",\n".join(f"  {name} = {{{text}}}" for name, text in fields.items() if text)
    return block(f"@misc{{{key}{year},\n{inner}\n}}", "bibtex")


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _again(manifest: Mapping[str, Any]) -> list[str]:
    seed = manifest["recipe"].get("seed")
    packages = ", ".join(f"{code(name)} {prose(number)}" for name, number in manifest["software"]["packages"].items())
    return [
        "`manifest.json` beside this card holds the whole recipe (steps, parameters, models, digests of prompts, "
        f"states of sources{'' if seed is None else f', seed {seed}'}) "
        f"and the SHA-256 of every file. It was built on Python {prose(manifest['software']['python'])} with "
        f"{packages}.",
    ]


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


__all__ = ["DEFAULT", "about", "card"]

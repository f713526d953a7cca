"""The dataset card, computed from the manifest, the rows and the licences of one version.

The same version, layout and target give the same card, byte for byte, so publishing twice changes nothing.
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
from outputs.licensing.licenses import LicenseDatabase, load_licenses
from outputs.publishing.layout import DEFAULT, Layout, plan_layout, source_languages
from outputs.publishing.targets import TargetAddress

_KINDS: Mapping[Kind, str] = {
    Kind.SFT: "conversations for supervised fine-tuning",
    Kind.PREFERENCE: "prompts with a chosen and a rejected answer",
    Kind.UNPAIRED: "prompts with an answer labelled good or bad",
    Kind.PARALLEL: "sentences with translations",
    Kind.DOCUMENT: "plain text documents",
    Kind.PROMPT: "prompts without answers",
}
_MOST_CELLS = 200


def about(store: Store, name: str) -> Version:
    """A version by ``name`` or ``name@ref``, with the recipe of the ref's latest build: another recipe may give the
    same rows.

    Raises:
        StoreError: there is none.
    """
    version = open_version(store, name)
    ref = name.partition("@")[2] or "latest"
    ref_entry = store.refs(version.name).get(ref, {})
    if ref_entry.get("version") != version.version:
        return version
    newer: dict[str, Any] = {key: ref_entry[key] for key in ("recipe", "description", "audits") if key in ref_entry}
    return replace(version, manifest=dict(version.manifest) | newer)


def card(
    version: Version,
    *,
    layout: Layout | None = None,
    verdict: Verdict | None = None,
    place: TargetAddress | None = None,
    override: str = "",
    book: LicenseDatabase | None = None,
    registry: Registry | None = None,
) -> str:
    """The card of a version, as ``README.md``.

    Args:
        layout: its file layout. Default: a folder for each language if there are several.
        verdict: what its licences allow. Default: computed.
        place: where it will be published. Default: a folder of the dataset's name.
        override: why it is published although its licences do not permit it.
    """
    book = book or load_licenses()
    layout = layout or plan_layout(version)
    verdict = verdict or judge(version, book)
    place = place or TargetAddress("folder", f"./{version.name}")
    manifest = version.manifest
    sides = source_languages(version)
    sections: list[tuple[str, list[str]]] = [
        ("Languages and splits", _counts(version, layout)),
        ("Loading", _load(version, layout, place)),
        ("Columns", _row(version)),
        ("Processing steps", words.steps(manifest, registry or Registry.installed())),
        ("Models", words.models(manifest, verdict)),
        ("Rows kept per language", words.funnel(manifest)),
        ("Representation", words.representation(manifest)),
        ("Judge audits", words.audits(manifest)),
        ("Sources", words.sources(manifest, verdict.shares, book)),
        ("Licence", _license(verdict, override)),
        ("Limitations", words.limits(version, verdict)),
        ("Citation", _cite(version, place)),
        ("Reproduction", _again(manifest)),
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
        f"Version {code(version.version)} (a digest of its rows), built {manifest['created_at'][:10]} with curate "
        f"{manifest['software']['curate']}. Licence: {prose(verdict.joined.expression)}.",
        *_partial(manifest),
    ]


def _partial(manifest: Mapping[str, Any]) -> list[str]:
    lacking = [
        f"{code(one['stage'])} left out {one['not_asked']:,}" + (f" of {one['rows']:,}" if one["rows"] else "")
        for one in manifest.get("partial", ())
    ]
    return ["", f"**Partial: {', '.join(lacking)} rows that models were not asked about.**"] if lacking else []


def _counts(version: Version, layout: Layout) -> list[str]:
    splits = list(version.manifest["splits"])
    rows = [
        [prose(name), *(f"{counts.get(split, 0):,}" for split in splits), f"{sum(counts.values()):,}"]
        for name, counts in list(layout.places.items())[:_MOST_CELLS]
    ]
    total = [f"{version.manifest['splits'][split]['rows']:,}" for split in splits]
    rows.append(["**all**", *total, f"{version.manifest['rows']:,}"])
    head = "languages" if version.kind is Kind.PARALLEL else "language"
    counted = table([head, *(prose(split) for split in splits), "rows"], rows, range(1, len(splits) + 2))
    return [*counted, *_more(len(layout.places))]


def _more(count: int) -> list[str]:
    return ["", f"… and {count - _MOST_CELLS:,} more."] if count > _MOST_CELLS else []


def _load(version: Version, layout: Layout, place: TargetAddress) -> list[str]:
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
        f"{'language pairs' if version.kind is Kind.PARALLEL else 'languages'}, and {code(DEFAULT)} with all rows."
        if several
        else ""
    )
    pinned = f" The tag {code(f'v-{version.version}')} always refers to these rows." if place.form == "hub" else ""
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
    "messages": "the messages, each with `role` and `content`",
    "prompt": "the messages before the answer, each with `role` and `content`",
    "chosen": "the better answer, as messages",
    "rejected": "the worse answer, as messages",
    "completion": "the answer, as messages",
    "label": "whether the answer is good",
    "source_language": "BCP-47 tag of the source side",
    "source": "the sentence",
    "target": "its translation",
    "text": "the text",
    "tools": "the tools that may be called, as a JSON array, or null",
    "images": "paths, URLs or ids of the images, in the order of `<image>` in the texts, or null",
    "audios": "the same for `<audio>`",
    "videos": "the same for `<video>`",
    "prompt_language": "BCP-47 tag of the prompt where it is another than `language`, or null",
    "language": "BCP-47 tag of the answer (the target side, the text)",
    "group_id": "the item: the same in all its languages",
    "scores": "scores of the steps: `name`, `value`",
    "attributes": "labels and additional source columns: `name`, `value`",
    "lineage": "`source`, `source_id`, `license`, `parents` (ids), `makers` (step, model, digest of its prompt)",
}


_FIELDS: Mapping[str, str] = {
    "tool_calls": "the calls of an assistant's message, with `arguments` as JSON text",
    "tool_call_id": "the call that a tool's message answers",
    "name": "the speaker, or the function of a tool's message",
    "reasoning": "the thoughts before an answer",
    "weight": "0 if the message is context that must not be trained on",
}


def _row(version: Version) -> list[str]:
    fields = schema(version.kind, version.extras)
    rows = table(
        ["column", "type", "description"],
        [[code(one.name), code(_type(one.type)), _COLUMNS.get(one.name, "")] for one in fields],
    )
    more = [f"- {code(name)}: {_FIELDS[name]}" for name in _FIELDS if name in version.extras]
    told = ["", "Messages also have these fields, each null where there is none:", "", *more] if more else []
    return [*rows, *told]


def _type(dtype: Any) -> str:
    return re.sub(r"element: | not null", "", str(dtype))


def _license(verdict: Verdict, override: str) -> list[str]:
    combined = verdict.joined
    content: list[str] = []
    if combined.result is not None:
        content.append(
            f"The dataset as a whole: {_linked(combined.result)}. The original licence of each row is in "
            "`lineage.license`."
        )
    elif combined.parts:
        content.append(
            "No single licence covers all rows: each row is under its own (`lineage.license`), and users of the whole "
            "dataset must comply with all of them."
        )
    rows = []
    counts: dict[str, int] = {}
    for share in verdict.shares:
        counts[share.license] = counts.get(share.license, 0) + share.rows
    for license_, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_CELLS]:
        rows.append([prose(license_, 120), f"{count:,}"])
    content += ["", *table(["row licence", "rows"], rows, (1,)), *_more(len(counts)), ""]
    obligations = [
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
    head = ["terms", "redistribution", "commercial use", "modification", "attribution", "share-alike", "remarks"]
    content += table(head, obligations)
    content += _more(len(verdict.parts))
    if any(part.attribution for part in verdict.parts):
        content += ["", "Attribution is due to the creators of the sources above."]
    if override:
        content += [
            "",
            "**Published although its licences do not permit it:**",
            "",
            *(f"- {prose(line.strip())}" for line in lines(verdict)),
            "",
            f"Reason given: {prose(override, 2_000)}",
        ]
    elif verdict.problems:
        content += [
            "",
            "**The licences do not permit publishing this dataset as it is:**",
            "",
            *(f"- {prose(line.strip())}" for line in lines(verdict)),
        ]
    return content


def _linked(part: Any) -> str:
    text = prose(part.name or part.id)
    shown = f"[{text}]({part.url})" if part.url else text
    return shown if part.name in ("", part.id) else f"{shown} ({code(part.id)})"


def _yes(allowed: bool | None) -> str:
    return "unknown" if allowed is None else "yes" if allowed else "**no**"


def _cite(version: Version, place: TargetAddress) -> list[str]:
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
        "`manifest.json` next to this card has the complete recipe (steps, parameters, models, prompt digests, "
        f"source revisions{'' if seed is None else f', seed {seed}'}) and the SHA-256 of every file. Built on Python "
        f"{prose(manifest['software']['python'])} with {packages}.",
    ]


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


__all__ = ["DEFAULT", "about", "card"]

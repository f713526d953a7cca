"""The YAML header of a card, which the Hub and ``datasets`` read: languages, licence, size, tasks, configurations.

:func:`check` applies the Hub's rules before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from curate.rows import Kind
from curate.rows.languages import UNKNOWN, base
from curate.steps.outputs import Version
from outputs.licensing.gate import Verdict
from outputs.licensing.licenses import LicenseDatabase
from outputs.publishing.layout import Layout
from outputs.publishing.layout import header as configs

TASKS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SFT: ("text-generation",),
    Kind.PREFERENCE: ("text-generation",),
    Kind.UNPAIRED: ("text-generation",),
    Kind.PARALLEL: ("translation",),
    Kind.DOCUMENT: ("text-generation", "fill-mask"),
    Kind.PROMPT: ("text-generation",),
}
_TAGS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SFT: ("sft", "instruction-tuning", "conversational"),
    Kind.PREFERENCE: ("preference", "dpo", "rlhf", "conversational"),
    Kind.UNPAIRED: ("preference", "kto", "rlhf", "conversational"),
    Kind.PARALLEL: ("parallel-corpus", "machine-translation"),
    Kind.DOCUMENT: ("pretraining",),
    Kind.PROMPT: ("prompts", "conversational"),
}
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"),
    (10**12, "100B<n<1T"),
)
_BAD_IN_CONFIG = re.compile(r"[<>:/\\|?*\x00-\x1f]")


def size_category(rows: int) -> str:
    """The Hub's size category for a number of rows."""
    return next((name for limit, name in _SIZES if rows < limit), "n>1T")


def languages(tags: Sequence[str]) -> dict[str, list[str]]:
    """``language`` as the Hub knows it (ISO 639 codes), and ``language_bcp47`` if tags say more."""
    known = [tag for tag in dict.fromkeys(tags) if tag != UNKNOWN]
    codes = list(dict.fromkeys(base(tag) for tag in known))
    fields = {"language": codes} if codes else {}
    if any("-" in tag for tag in known):
        fields["language_bcp47"] = known
    return fields


def header(
    version: Version, layout: Layout, verdict: Verdict, book: LicenseDatabase, sources: Sequence[str] = ()
) -> dict[str, Any]:
    """The header of a version's card.

    Args:
        sources: languages of source sides.
    """
    manifest = version.manifest
    made = any(share.models for share in verdict.shares)
    tags = [tag for tag in manifest["languages"] if tag != UNKNOWN]
    both = list(dict.fromkeys([*sources, *tags]))
    several = "translation" if version.kind is Kind.PARALLEL else "multilingual" if len(both) > 1 else "monolingual"
    return {
        "pretty_name": version.name,
        **languages(both),
        **verdict.hub(book),
        "size_categories": [size_category(manifest["rows"])],
        "task_categories": list(TASKS[version.kind]),
        "multilinguality": [several],
        "tags": [*_TAGS[version.kind], *(["synthetic"] if made else []), "curate"],
        "configs": configs(layout, f"{version.name}@{version.version}"),
    }


def dump(fields: Mapping[str, Any]) -> str:
    """The header between its ``---`` lines."""
    text = yaml.safe_dump(dict(fields), allow_unicode=True, sort_keys=False, width=120)
    return f"---\n{text}---\n"


def parse(card: str) -> dict[str, Any]:
    """The header of a card; empty if there is none or it is broken."""
    match = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(\n|$)", card, re.S)
    try:
        fields = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:
        return {}
    return fields if isinstance(fields, dict) else {}


def check(card: str, book: LicenseDatabase) -> list[str]:
    """What the Hub would reject in a card's header."""
    fields = parse(card)
    if not fields:
        return ["the card has no header"]
    wrong = []
    for code in fields.get("language", []):
        if not re.fullmatch(r"[a-z]{2,3}", str(code)):
            wrong.append(f"language: '{code}' is not an ISO 639 code")
    named = fields.get("license", [])
    for one in [named] if isinstance(named, str) else named:
        if one not in book.hub_names:
            wrong.append(f"license: '{one}' is not a licence name of the Hub")
    if named == "other" and not (fields.get("license_name") and fields.get("license_link")):
        wrong.append("license: 'other' needs license_name and license_link")
    sizes = {name for _, name in _SIZES} | {"n>1T"}
    wrong += [f"size_categories: '{one}'" for one in fields.get("size_categories", []) if one not in sizes]
    names = [str(one.get("config_name", "")) for one in fields.get("configs", [])]
    wrong += [f"configs: '{name}' cannot be a name" for name in names if not name or _BAD_IN_CONFIG.search(name)]
    if len(set(names)) < len(names):
        wrong.append("configs: a name is there twice")
    return wrong

"""The licence of data by what lies beside it: a dataset card that names it, or the text of a known licence."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from outputs.licensing.licenses import load_licenses

_TEXTS = (
    (r"CC0 1\.0 Universal|creativecommons\.org/publicdomain/zero/1\.0", "CC0-1.0"),
    (r"Attribution-NonCommercial-ShareAlike 4\.0", "CC-BY-NC-SA-4.0"),
    (r"Attribution-NonCommercial-NoDerivatives 4\.0", "CC-BY-NC-ND-4.0"),
    (r"Attribution-NonCommercial 4\.0", "CC-BY-NC-4.0"),
    (r"Attribution-NoDerivatives 4\.0", "CC-BY-ND-4.0"),
    (r"Attribution-ShareAlike 4\.0", "CC-BY-SA-4.0"),
    (r"Attribution-ShareAlike 3\.0", "CC-BY-SA-3.0"),
    (r"Attribution 4\.0 International", "CC-BY-4.0"),
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (r"\bMIT License\b|Permission is hereby granted, free of charge", "MIT"),
    (r"Open Data Commons Attribution License|ODC-By", "ODC-By-1.0"),
    (r"Open Database License", "ODbL-1.0"),
)
_FILE = re.compile(r"(?i)(un)?licen[sc]e|copying")
_CARD = re.compile(r"(?s)\A---\n(.*?)\n---")
_READ = 20_000


def licence_beside(folder: Path) -> tuple[str, str]:
    """The licence that files in a folder name, and where: ``("CC-BY-4.0", "README.md")``; ``unknown`` if none does.

    A file that looks like a licence but is no known one is named all the same.
    """
    unread = ""
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not file.is_file():
            continue
        if file.name.lower() == "readme.md" and (named := _on_card(file)):
            return named, file.name
        if _FILE.match(file.stem):
            text = file.read_text(encoding="utf-8", errors="replace")[:_READ]
            for pattern, name in _TEXTS:
                if re.search(pattern, text):
                    return name, file.name
            unread = unread or file.name
    return "unknown", unread


def _on_card(file: Path) -> str:
    """The licence in a dataset card's header, by the name that the list of licences has for it."""
    match = _CARD.match(file.read_text(encoding="utf-8", errors="replace")[:_READ])
    try:
        header = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:
        return ""
    named = header.get("license") if isinstance(header, dict) else None
    return load_licenses().find(named).id if isinstance(named, str) and load_licenses().known(named) else ""

"""``llms.txt``: every page with its first sentence, in the order of the navigation, for readers that are programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)")
_HEAD = re.compile(r"\A---\n.*?^---\n+", re.M | re.S)
_BLOCK = re.compile(r"[#<|!]|```")
"""How a block begins that is no paragraph."""
_SENTENCE = re.compile(r"(.+?\.)(?=\s|$)")


def text(name: str, about: str, nav: Sequence[Any], texts: Mapping[str, str]) -> str:
    """The file, as https://llmstxt.org describes it.

    Args:
        nav: the navigation as mkdocs.yml has it, generated pages included.
        texts: the Markdown of each page by its path.
    """
    parts = [f"# {name}", f"> {about}"]
    for layer in nav:
        [(title, entries)] = layer.items()
        parts += [f"## {title}", "\n".join(_lines(entries, texts))]
    return "\n\n".join(parts) + "\n"


def _lines(entries: Sequence[Any], texts: Mapping[str, str]) -> Iterator[str]:
    for entry in entries:
        title, path = next(iter(entry.items())) if isinstance(entry, dict) else (None, entry)
        if isinstance(path, list):
            yield from _lines(path, texts)
            continue
        heading, first = _opening(texts[path])
        yield f"- [{title or heading}]({path.removesuffix('.md')}.html){f': {first}' if first else ''}"


def _opening(markdown: str) -> tuple[str, str]:
    """A page's title, and its first sentence in plain text."""
    heading, _, rest = _HEAD.sub("", markdown).partition("\n")
    plain = (part for part in map(str.strip, rest.split("\n\n")) if part and not _BLOCK.match(part))
    paragraph = " ".join(next(plain, "").removeprefix("* ").split())
    found = _SENTENCE.match(_LINK.sub(r"\1", paragraph))
    return _LINK.sub(r"\1", heading.removeprefix("# ")), found[1] if found else paragraph

"""Text on its way to a terminal: characters that would move the cursor, recolour the screen or turn lines round are
shown as escapes."""

from __future__ import annotations

import re
import sys
from typing import Any, TextIO

# C0 but for tab and line feed, DEL and C1; marks and overrides of writing direction; line and paragraph separators;
# halves of pairs.
_UNSAFE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""The text with ``\x1b``, ``\u202e`` and their like written out; JSON stays JSON of the same values."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}" if found[0] < " " else f"\\u{ord(found[0]):04x}", text)


class Terminal:
    """A text stream to a terminal that writes what is visible only; all else is left to the stream.

    Args:
        stream: the terminal's own stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard_streams() -> None:
    """Whatever is written to a terminal by ``sys.stdout`` and ``sys.stderr`` is made visible from here on; a pipe
    or a file gets it as it is.

    Characters that the encoding lacks, and halves of surrogate pairs, are escaped everywhere: they cannot be
    written at all.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        if stream is not None and stream.isatty():
            setattr(sys, name, Terminal(stream))


def unguarded(stream: Any) -> Any:
    """The terminal's own stream, for what draws on it by escape codes of its own making."""
    return stream.stream if isinstance(stream, Terminal) else stream

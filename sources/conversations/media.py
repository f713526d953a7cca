"""Reads references to images, sound and video: paths, URLs and ids, kept as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sources.values import BadValue

PARTS: Mapping[str, str] = MappingProxyType(
    {"image": "images", "image_url": "images", "input_image": "images",
     "audio": "audios", "audio_url": "audios", "input_audio": "audios",
     "video": "videos", "video_url": "videos", "input_video": "videos"}
)  # fmt: skip
"""The type of a message's part → the column of its reference."""
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"images": ("images", "image"), "audios": ("audios", "audio"), "videos": ("videos", "video")}
)
"""The column of a row → the columns of a file that it is read from."""
_REFERENCES = ("url", "path", "file_id", "id", "uri", "image_url", "file", "filename")


def reference(value: Any, where: str) -> str:
    """The path, URL or id of one image, sound or video.

    Raises:
        BadValue: there is none, such as for the bytes of a file.
    """
    if isinstance(value, str):
        if value:
            return value
    elif isinstance(value, dict):
        source = value.get("source")
        for inner in (value, source if isinstance(source, dict) else {}):
            for key in _REFERENCES:
                if isinstance(one := inner.get(key), str) and one:
                    return one
                if isinstance(one, dict):
                    return reference(one, where)
            if isinstance(data := inner.get("data"), str) and data:
                return f"data:{inner.get('media_type') or inner.get('format') or ''};base64,{data}"
    raise BadValue(f"{where} has no path, URL or id; rows keep references, not the bytes of files")


def part_reference(part: Mapping[str, Any], kind: str, where: str) -> str | None:
    """The reference of a message's part; None if the part only marks the place of an entry of the row's column."""
    names = (kind, kind.removeprefix("input_"), kind.removesuffix("_url"), "source", *_REFERENCES)
    for name in names:
        if part.get(name) not in (None, "", {}):
            inner = {"source": part[name]} if name == "source" else part[name]
            return reference(inner, where)
    return None


def references(value: Any, column: str) -> list[str]:
    """The references in a row's column: one, or a list of them; empty for null and nothing."""
    if value is None or value in ("", [], {}):
        return []
    return [reference(one, f"column '{column}'") for one in (value if isinstance(value, list) else [value])]

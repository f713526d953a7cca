"""Converts a SentencePiece unigram vocabulary to ``tokenizer.json``, for an engine that reads only that.

Pieces and scores come from the library. The normalisation table is read from the file itself, of which only the
necessary fields are parsed (protocol buffer fields 2 and 3 of ``ModelProto``, as numbered in
sentencepiece_model.proto).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from curate.errors import ModelError

_NORMALIZER, _CHARS_MAP, _DUMMY_PREFIX, _EXTRA_BLANKS = 3, 2, 3, 4
_TRAINER, _MODEL_TYPE, _BYTE_FALLBACK, _UNIGRAM = 2, 3, 35, 1


def tokenizer_json(vocabulary: Path) -> bytes:
    """The vocabulary in the format of Hugging Face's tokenizers.

    Raises:
        ModelError: it is no SentencePiece file, or none of unigram type.
    """
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))
        normalizer: dict[int, Any] = {}
        trainer: dict[int, Any] = {}
        for number, value in _fields(vocabulary.read_bytes()):
            if number == _NORMALIZER:
                normalizer = dict(_fields(value))
            elif number == _TRAINER:
                trainer = dict(_fields(value))
    except (RuntimeError, OSError, IndexError, TypeError) as error:
        raise ModelError(f"{vocabulary} is no SentencePiece vocabulary: {error}") from error
    if trainer.get(_MODEL_TYPE, _UNIGRAM) != _UNIGRAM:
        raise ModelError(f"{vocabulary} is not of unigram type; only that can be used here")
    size = processor.vocab_size()
    steps: list[dict[str, Any]] = []
    if normalizer.get(_CHARS_MAP):
        table = base64.b64encode(normalizer[_CHARS_MAP]).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": table})
    if normalizer.get(_EXTRA_BLANKS, 1):
        steps += [
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            {"type": "Strip", "strip_left": True, "strip_right": True},
        ]
    scheme = "always" if normalizer.get(_DUMMY_PREFIX, 1) else "never"
    spaces = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}
    return orjson.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": {"type": "Sequence", "normalizers": steps},
            "pre_tokenizer": spaces,
            "post_processor": None,
            "decoder": spaces,
            "model": {
                "type": "Unigram",
                "unk_id": processor.unk_id(),
                "vocab": [[processor.id_to_piece(piece), processor.get_score(piece)] for piece in range(size)],
                "byte_fallback": bool(trainer.get(_BYTE_FALLBACK, 0)),
            },
        }
    )


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer message: number, and an integer or the bytes inside."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            yield number, varint()
        elif kind == 2:
            length = varint()
            yield number, data[place : place + length]
            place += length
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
            yield number, data[place : place + length]
            place += length
        else:
            raise TypeError(f"wire type {kind}")

"""Rows: kinds and their Arrow schemas, ids and digests, languages, and the texts in them."""

from curate.rows.fields import (
    answer_field,
    field_language,
    field_names,
    field_text,
    field_turns,
    main_fields,
    unknown_fields,
)
from curate.rows.ids import ContentDigest, content_digest, row_ids, with_ids
from curate.rows.kinds import (
    ROW_TYPES,
    Attribute,
    DocumentRow,
    Kind,
    Lineage,
    Maker,
    Message,
    ParallelRow,
    PreferenceRow,
    PromptRow,
    Row,
    Score,
    SftRow,
    UnpairedRow,
    payload,
    schema,
)

__all__ = [
    "ROW_TYPES", "Attribute", "ContentDigest", "DocumentRow", "Kind", "Lineage", "Maker", "Message", "ParallelRow",
    "PreferenceRow", "PromptRow", "Row", "Score", "SftRow", "UnpairedRow", "answer_field", "content_digest", "field_language",
    "field_names", "field_text", "field_turns", "main_fields", "payload", "row_ids", "schema", "unknown_fields", "with_ids",
]  # fmt: skip

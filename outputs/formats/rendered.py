"""Base class of outputs that need a chat template, for their text or for checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import PrivateAttr

from outputs.formats.forms import ExportFormat
from outputs.formats.structure import tools_of
from outputs.formats.template import Template, load_template

RENDERED = frozenset({"tool_calls", "tool_call_id", "name", "reasoning", "tools"})
"""The optional parts that a chat template may write."""


class RenderedForm(ExportFormat):
    """An output with a chat template."""

    path_fields: ClassVar[frozenset[str]] = frozenset({"template_file"})

    template_file: str | None = None
    """The chat template for conversations that the trainer reads as text: a Jinja file, a ``tokenizer_config.json``, or
    a model's folder with one of them. Default: ChatML."""
    _template: Template | None = PrivateAttr(default=None)

    def begin(self) -> None:
        self._template = load_template(self.template_file)

    def pair(self, row: Mapping[str, Any], side: str) -> tuple[str, str]:
        """The prompt of a row and one of its answers as text, with tools, calls and reasoning as the template writes
        them.

        Raises:
            UnsupportedRow: the template loses or confuses a part of it.
        """
        return self.template.pair(row["prompt"], row[side], tools_of(row))

    @property
    def template(self) -> Template:
        """The template, loaded when writing begins."""
        if self._template is None:
            self.begin()
        assert self._template is not None
        return self._template

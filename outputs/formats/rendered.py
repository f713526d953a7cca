"""Base class of outputs that need a chat template, for their text or for checks."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PrivateAttr

from outputs.formats.forms import ExportFormat
from outputs.formats.template import Template, load_template


class RenderedForm(ExportFormat):
    """An output with a chat template."""

    path_fields: ClassVar[frozenset[str]] = frozenset({"template_file"})

    template_file: str | None = None
    """The chat template for conversations that the trainer reads as text: a Jinja file, a ``tokenizer_config.json``, or
    a model's folder with one of them. Default: ChatML."""
    _template: Template | None = PrivateAttr(default=None)

    def begin(self) -> None:
        self._template = load_template(self.template_file)

    @property
    def template(self) -> Template:
        """The template, loaded when writing begins."""
        if self._template is None:
            self.begin()
        assert self._template is not None
        return self._template

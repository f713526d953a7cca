"""A form whose text, or whose check of it, needs a chat template."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PrivateAttr

from outputs.formats.forms import Form
from outputs.formats.template import Template, load_template


class RenderedForm(Form):
    """A form with a chat template."""

    path_fields: ClassVar[frozenset[str]] = frozenset({"template_file"})

    template_file: str | None = None
    """The chat template for what the trainer takes as text: a Jinja file, a ``tokenizer_config.json``, or a model's
    folder that holds one of them. ChatML unless given."""
    _template: Template | None = PrivateAttr(default=None)

    def begin(self) -> None:
        self._template = load_template(self.template_file)

    @property
    def template(self) -> Template:
        """The template, read when writing begins."""
        if self._template is None:
            self.begin()
        assert self._template is not None
        return self._template

"""A credential is text that shows itself to nobody: not in ``repr``, not in errors, not in a digest; only to whom it
was given for.

Fields of this type must be ``Runtime``, which keeps them out of every identity, manifest and key. Only the JSON dump
carries the plain text, because that is how parameters travel to worker processes (through a pipe, never a file).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainSerializer, SecretStr

Secret = Annotated[
    SecretStr, PlainSerializer(lambda value: value.get_secret_value(), return_type=str, when_used="json")
]
"""Text that ``repr`` and ``str`` show as stars."""

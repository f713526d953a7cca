"""The type of credentials: text that is hidden in ``repr``, errors and digests.

Fields of this type must be ``Runtime``, which keeps them out of every identity, manifest and cache key. Only the JSON
dump has the plain text, because parameters are sent to worker processes in it (through a pipe, never a file).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainSerializer, SecretStr

Secret = Annotated[
    SecretStr, PlainSerializer(lambda value: value.get_secret_value(), return_type=str, when_used="json")
]
"""Text that ``repr`` and ``str`` show as stars."""

"""``gemini``: Google's Gemini API (``generateContent``), and servers that speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from curate.catalog.params import Runtime
from curate.models.endpoint.http import base_address
from curate.models.endpoint.params import EndpointModel
from curate.models.gemini.batches import GeminiBatches
from curate.models.gemini.wire import RESERVED, RESERVED_CONFIG, GeminiOptions, GeminiWire, request_problems
from curate.models.loading.secret import Secret
from curate.steps.models import Sampling


class Gemini(EndpointModel):
    """A text-generation model behind Google's Gemini API."""

    use: ClassVar[str] = "gemini"
    summary: ClassVar[str] = "text generation by Google's Gemini API"

    url: Runtime[Annotated[str, Field(min_length=1)]] = "https://generativelanguage.googleapis.com"
    """Address of the server, with or without ``/v1beta``."""
    model: Annotated[str, Field(min_length=1)]
    """Name of the model, under which its answers are cached: ``gemini-2.5-flash``."""
    api_key: Runtime[Secret | None] = None
    """Sent as ``x-goog-api-key``; write ``${GEMINI_API_KEY}``."""
    structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema"
    """How a JSON Schema is sent: as ``responseJsonSchema``, in the prompt with JSON as the type of the answer, in the
    prompt only, or not at all. Answers are validated against it in any case."""
    seeds: bool = True
    """Whether the model accepts a ``seed``; without it sampled answers cannot be reproduced."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Additional fields of the JSON body, such as ``{safetySettings: […]}``,
    ``{generationConfig: {thinkingConfig: {includeThoughts: true}}}``."""
    logprobs: Runtime[bool] = False
    """Whether the model returns log-probabilities of its answers."""

    def reserved_keys(self) -> list[str]:
        config = self.extra_body.get("generationConfig")
        inner = RESERVED_CONFIG & set(config) if isinstance(config, Mapping) else ()
        return sorted((RESERVED & set(self.extra_body)) | {f"generationConfig.{name}" for name in inner})

    def request_problems(self, sampling: Sampling, *, top_logprobs: int = 0) -> list[str]:
        """What the protocol does not take: penalties on repetition, temperatures above 2, more than five stops."""
        undeclared = top_logprobs and not self.logprobs
        more = ["the model is not known to give log-probabilities; if it does, set 'logprobs: true'"]
        return [*request_problems(self.sent(sampling), top_logprobs), *(more if undeclared else [])]

    def base_address(self) -> str:
        return base_address(self.url, "v1beta", r"/(tuned)?[mM]odels(/.*)?$")

    def credentials(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key}

    def capabilities(self) -> Mapping[str, bool]:
        return {"structured": self.structured != "none", "logprobs": self.logprobs, "tools": True}

    def batches(self) -> GeminiBatches:
        return GeminiBatches(self.wire().model_path())

    def wire(self) -> GeminiWire:
        options = GeminiOptions(**self.shared_options(), structured=self.structured, seeds=self.seeds)
        return GeminiWire(options)

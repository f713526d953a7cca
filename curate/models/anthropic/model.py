"""``anthropic``: Anthropic's Messages API, and servers that speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from curate.catalog.params import Runtime
from curate.models.anthropic.batches import AnthropicBatches
from curate.models.anthropic.wire import RESERVED, VERSION, AnthropicOptions, AnthropicWire, sampling_problems
from curate.models.endpoint.http import base_address
from curate.models.endpoint.params import EndpointModel
from curate.models.loading.secret import Secret
from curate.steps.models import Sampling


class Anthropic(EndpointModel):
    """A text-generation model behind Anthropic's Messages API."""

    use: ClassVar[str] = "anthropic"
    summary: ClassVar[str] = "text generation by Anthropic's Messages API"

    url: Runtime[Annotated[str, Field(min_length=1)]] = "https://api.anthropic.com"
    """Address of the server, with or without ``/v1``."""
    model: Annotated[str, Field(min_length=1)]
    """Name of the model, under which its answers are cached: ``claude-sonnet-4-5-20250929``."""
    api_key: Runtime[Secret | None] = None
    """Sent as ``x-api-key``; write ``${ANTHROPIC_API_KEY}``."""
    structured: Literal["json_schema", "tool", "prompt", "none"] = "json_schema"
    """How a JSON Schema is sent: as ``output_config.format`` (in the prompt where that cannot express it), as the input
    of a tool that the model must call, in the prompt, or not at all. Answers are validated against it in any case."""
    prefill: Runtime[bool] = False
    """Whether the model continues an assistant turn; those before Claude 4.6 do."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Additional fields of the JSON body, such as ``{thinking: {type: adaptive, display: summarized}}``,
    ``{output_config: {effort: low}}``."""

    def reserved_keys(self) -> list[str]:
        config = self.extra_body.get("output_config")
        inner = {"output_config.format"} if isinstance(config, Mapping) and "format" in config else set()
        return sorted((RESERVED & set(self.extra_body)) | inner)

    def request_problems(self, sampling: Sampling, *, top_logprobs: int = 0) -> list[str]:
        """What the protocol does not take: seeds, penalties, log-probabilities, temperatures above 1."""
        more = ["Anthropic's models give no log-probabilities"] if top_logprobs else []
        return [*sampling_problems(self.sent(sampling)), *more]

    def base_address(self) -> str:
        return base_address(self.url, paths=r"/messages/?$")

    def own_headers(self) -> dict[str, str]:
        return {"anthropic-version": VERSION}

    def credentials(self, key: str) -> dict[str, str]:
        return {"x-api-key": key}

    def capabilities(self) -> Mapping[str, bool]:
        return {"structured": self.structured != "none", "logprobs": False, "tools": True}

    def batches(self) -> AnthropicBatches:
        return AnthropicBatches()

    def wire(self) -> AnthropicWire:
        options = AnthropicOptions(**self.shared_options(), structured=self.structured, prefill=self.prefill)
        return AnthropicWire(options)

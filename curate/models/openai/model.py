"""``openai``: any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, Ollama, hosted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from curate.catalog.params import Runtime
from curate.models.endpoint.http import base_address
from curate.models.endpoint.params import EndpointModel
from curate.models.loading.secret import Secret
from curate.models.openai.batches import OpenAIBatches
from curate.models.openai.wire import EXTENSIONS, OpenAIWire, RequestOptions, reserved_keys, unknown_to_openai
from curate.steps.models import Sampling


class OpenAI(EndpointModel):
    """A text-generation model behind an OpenAI-compatible server."""

    use: ClassVar[str] = "openai"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "text generation over HTTP: vLLM, llama.cpp, hosted"

    url: Runtime[Annotated[str, Field(min_length=1)]]
    """Address of the server, with or without ``/v1``: ``http://localhost:8000``."""
    model: Annotated[str, Field(min_length=1)]
    """Name of the model, under which its answers are cached: ``Qwen/Qwen3-8B``."""
    api_key: Runtime[Secret | None] = None
    """Sent as ``Authorization: Bearer``; write ``${SOME_VARIABLE}``."""
    endpoint: Literal["chat", "completions"] = "chat"
    """``completions`` is for base models: turns are joined with blank lines, without a chat template."""
    dialect: Literal["vllm", "llamacpp", "openai"] = "vllm"
    """Whose extensions of the protocol the server supports: ``top_k``, ``min_p``, repetition penalties and continued
    assistant turns have other names or are not supported. ``vllm`` also fits SGLang."""
    structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema"
    """How a JSON Schema is sent: as ``response_format`` with or without the schema, in the prompt, or not at all.
    Answers are validated against it in any case."""
    system_role: bool = True
    """Whether the chat template has a system role; if not, system turns are prepended to the next user turn."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the field with the maximum length; OpenAI's reasoning models require the second."""
    seeds: bool = True
    """Whether the server accepts a ``seed``; without it sampled answers cannot be reproduced."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Additional fields of the JSON body, such as ``{chat_template_kwargs: {enable_thinking: false}}``."""
    logprobs: Runtime[bool] = False
    """Whether the server returns log-probabilities of its answers (vLLM and llama.cpp do)."""
    prompt_logprobs: Runtime[bool] = False
    """Whether its completions endpoint returns the prompt with log-probabilities (``echo``; vLLM does, llama.cpp does
    not)."""

    @model_validator(mode="after")
    def _batch_gives_answers(self) -> OpenAI:
        if self.batch and self.prompt_logprobs:
            raise ValueError("'batch' and 'prompt_logprobs' exclude each other: a batch has no /tokenize and no 'echo'")
        return self

    def reserved_keys(self) -> list[str]:
        return reserved_keys(self.extra_body)

    def request_problems(self, sampling: Sampling, *, top_logprobs: int = 0) -> list[str]:
        """Sampling parameters that the dialect does not know."""
        if self.dialect != "openai":
            return []
        return [unknown_to_openai(name) for name in EXTENSIONS if getattr(sampling, name) is not None]

    def base_address(self) -> str:
        return base_address(self.url)

    def credentials(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    def capabilities(self) -> Mapping[str, bool]:
        """The capabilities that the catalog declares."""
        return {
            "structured": self.structured != "none",
            "logprobs": self.logprobs,
            "prompt_logprobs": self.prompt_logprobs,
            "tools": self.endpoint == "chat",
        }

    def batches(self) -> OpenAIBatches:
        return OpenAIBatches("/chat/completions" if self.endpoint == "chat" else "/completions")

    def wire(self) -> OpenAIWire:
        return OpenAIWire(self.request_options())

    def request_options(self) -> RequestOptions:
        """The parameters that shape the request body."""
        return RequestOptions(
            **self.shared_options(),
            endpoint=self.endpoint,
            dialect=self.dialect,
            structured=self.structured,
            system_role=self.system_role,
            seeds=self.seeds,
            max_tokens_field=self.max_tokens_field,
        )

"""``openai``: any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, Ollama, hosted ones.

Parameters that shape the request body are part of the cache key. Runtime parameters (address, concurrency, deadlines)
are not, so that moving a model to another server changes no row and repeats no request.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import Field, model_validator

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.models.loading.secret import Secret
from curate.models.loading.supported import Supported
from curate.models.openai.generator import OpenAIGenerator
from curate.models.openai.http import Endpoint, base_address
from curate.models.openai.pricing import Price
from curate.models.openai.wire import RequestOptions, reserved_keys
from curate.steps.models import Model


class OpenAI(Model):
    """A text-generation model behind an OpenAI-compatible server."""

    use: ClassVar[str] = "openai"
    role: ClassVar[Role | None] = Role.GENERATOR
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "text generation over HTTP: vLLM, llama.cpp, hosted"

    url: Runtime[Annotated[str, Field(min_length=1)]]
    """Address of the server, with or without ``/v1``: ``http://localhost:8000``."""
    model: Annotated[str, Field(min_length=1)]
    """Name of the model, under which its answers are cached: ``Qwen/Qwen3-8B``."""
    revision: str = ""
    """Version that the server runs (a commit, a date), for lineage and cache keys; the protocol cannot report it."""
    served_as: Runtime[str | None] = None
    """The server's own name for the model, if it differs (``--served-model-name``, a deployment)."""
    api_key: Runtime[Secret | None] = None
    """Sent as ``Authorization: Bearer``; write ``${SOME_VARIABLE}``."""
    headers: Runtime[dict[str, Secret]] = Field(default_factory=dict)
    """Additional HTTP headers, such as ``api-key`` for Azure; printed nowhere."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages the model supports; by default unspecified, and all are allowed."""
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
    reasoning: Literal["split", "keep"] = "split"
    """``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere) from the answer;
    ``keep`` leaves it in."""
    temperature: Annotated[float, Field(ge=0, le=5)] | Literal["sampling"] | None = "sampling"
    """Overrides the temperature of a step's ``sampling``: ``null`` sends none, for models that reject it; a number is
    always sent, for models that accept one value only."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the field with the maximum length; OpenAI's reasoning models require the second."""
    seeds: bool = True
    """Whether the server accepts a ``seed``; without it sampled answers cannot be reproduced."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Additional fields of the JSON body, such as ``{chat_template_kwargs: {enable_thinking: false}}``."""
    context_length: Runtime[Annotated[int, Field(ge=16)] | None] = None
    """Context window in tokens (prompt and answer), for estimates of the maximum cost of a call."""
    logprobs: Runtime[bool] = False
    """Whether the server returns log-probabilities of its answers (vLLM and llama.cpp do)."""
    prompt_logprobs: Runtime[bool] = False
    """Whether its completions endpoint returns the prompt with log-probabilities (``echo``; vLLM does, llama.cpp does
    not)."""
    price: Runtime[Price | None] = None
    """Price of its tokens."""
    concurrency: Runtime[Annotated[int, Field(ge=1, le=4096)]] = 64
    """Maximum number of requests in flight; shared by all models at the same address."""
    start_concurrency: Runtime[Annotated[int, Field(ge=1, le=4096)]] = 16
    """Initial number of requests in flight."""
    timeout: Runtime[Annotated[float, Field(gt=0, le=86_400)]] = 300.0
    """Seconds for one attempt, up to the last byte."""
    retries: Runtime[Annotated[int, Field(ge=0, le=100)]] = 6
    """Maximum number of retries after a transient error; rate limits (429) do not count."""
    deadline: Runtime[Annotated[float, Field(gt=0, le=604_800)]] = 1800.0
    """Seconds for all attempts of one request."""
    max_failed: Runtime[Annotated[float, Field(ge=0, le=1)]] = 0.5
    """Maximum share of the last 50 requests that may fail for good; above it the build stops."""

    @model_validator(mode="after")
    def _sound(self) -> OpenAI:
        reserved = reserved_keys(self.extra_body)
        if reserved:
            raise ValueError(f"'extra_body' may not set {', '.join(reserved)}: curate sets these itself")
        try:
            orjson.dumps(self.extra_body)
        except TypeError as error:
            raise ValueError(f"'extra_body' is not JSON: {error}") from None
        if self.api_key is not None and not self.api_key.get_secret_value().strip().isprintable():
            raise ValueError("'api_key' holds line breaks or other control characters")
        for name, value in self.headers.items():
            text = value.get_secret_value()
            if not name.isascii() or not name.strip() or any(mark in name + text for mark in "\r\n\0"):
                raise ValueError(f"'headers': '{name}' is not a valid header")
        return self

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without the name, which :meth:`name_and_revision` returns."""
        parameters = super().identity(decisions=decisions)
        return {name: value for name, value in parameters.items() if name not in ("model", "revision")}

    def knows_language(self, language: str) -> bool | None:
        return None if self.languages is None else language in Supported(self.languages)

    def name_and_revision(self) -> str:
        """``model@revision``; ``model@unknown`` if the catalog has no revision."""
        return f"{self.model}@{self.revision or 'unknown'}"

    @property
    def exclusive(self) -> bool:
        """True: one process sends all requests, so that they share rate limit, concurrency limit and budget."""
        return True

    def load(self, *, cache: Path | None, threads: int) -> OpenAIGenerator:
        """The generator; sends nothing yet.

        Raises:
            ModelError: ``url`` is not a valid address.
        """
        name = self.name_and_revision()
        return OpenAIGenerator(
            name,
            self.request_options(),
            self.server(),
            cache=cache,
            identity={"use": self.use, "model": name},
            price=self.price,
            languages=self.languages,
            context_length=self.context_length,
            capabilities=self.capabilities(),
            max_failed=self.max_failed,
        )

    def capabilities(self) -> Mapping[str, bool]:
        """The capabilities that the catalog declares."""
        return {
            "structured": self.structured != "none",
            "logprobs": self.logprobs,
            "prompt_logprobs": self.prompt_logprobs,
        }

    def request_options(self) -> RequestOptions:
        """The parameters that shape the request body."""
        return RequestOptions(
            model=self.served_as or self.model,
            endpoint=self.endpoint,
            dialect=self.dialect,
            structured=self.structured,
            system_role=self.system_role,
            seeds=self.seeds,
            max_tokens_field=self.max_tokens_field,
            reasoning=self.reasoning,
            extra_body=self.extra_body,
            temperature=self.temperature,
            names=tuple(dict.fromkeys((self.model, *([self.served_as] if self.served_as else ())))),
        )

    def server(self) -> Endpoint:
        """The endpoint with its limits.

        Raises:
            ModelError: ``url`` is not a valid address.
        """
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        if self.api_key is not None and self.api_key.get_secret_value():
            headers = {"Authorization": f"Bearer {self.api_key.get_secret_value().strip()}", **headers}
        return Endpoint(
            base=base_address(self.url),
            headers=headers,
            concurrency=self.concurrency,
            start_concurrency=min(self.start_concurrency, self.concurrency),
            timeout=self.timeout,
            retries=self.retries,
            deadline=self.deadline,
        )

"""``openai``: any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, Ollama, hosted ones.

What is asked is in the question, how it is asked in these parameters, and where in those marked as runtime: moving a
model to another server, or asking it with more deadline, changes no row and pays for nothing twice.
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
from curate.models.openai.wire import Manner, unknown_keys
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
    """The model's name, by which its answers are kept: ``Qwen/Qwen3-8B``."""
    revision: str = ""
    """Which version of it the server runs (a commit, a date), for lineage and keys; the server cannot be asked."""
    served_as: Runtime[str | None] = None
    """What the server calls the model, where that is another name (``--served-model-name``, a deployment)."""
    api_key: Runtime[Secret | None] = None
    """Sent as ``Authorization: Bearer``; write ``${SOME_VARIABLE}``."""
    headers: Runtime[dict[str, Secret]] = Field(default_factory=dict)
    """More HTTP headers, such as ``api-key`` for Azure; shown nowhere."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages it knows well enough; by default nothing is said, and any may be asked for."""
    endpoint: Literal["chat", "completions"] = "chat"
    """``completions`` for base models: turns are put together with blank lines and no chat template."""
    dialect: Literal["vllm", "llamacpp", "openai"] = "vllm"
    """Whose additions to the protocol the server knows: ``top_k``, ``min_p``, repetition penalties and continued
    assistant turns go by other names or not at all. ``vllm`` also suits SGLang."""
    structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema"
    """How a JSON Schema is asked for: as ``response_format`` with or without the schema, by words in the prompt, or
    not. Answers are checked against it in any case."""
    system_role: bool = True
    """Whether the chat template knows a system role; if not, system turns go before the next user turn."""
    reasoning: Literal["split", "keep"] = "split"
    """``split`` takes thoughts (``<think>…</think>``, harmony channels and the like, wherever they stand) out of the
    answer; ``keep`` leaves them in."""
    temperature: Annotated[float, Field(ge=0, le=5)] | Literal["sampling"] | None = "sampling"
    """In place of the temperature that a step's ``sampling`` says: ``null`` sends none, for models that refuse it; a
    number is sent always, for models that take one only."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the longest answer is called; OpenAI's reasoning models want the second."""
    seeds: bool = True
    """Whether the server takes a ``seed``; without it sampled answers come out otherwise when asked again."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More of the JSON body, such as ``{chat_template_kwargs: {enable_thinking: false}}``."""
    context_length: Runtime[Annotated[int, Field(ge=16)] | None] = None
    """Tokens that fit into one question with its answer, for estimates of what a call may cost."""
    logprobs: Runtime[bool] = False
    """Whether the server gives log-probabilities of its answers (vLLM and llama.cpp do)."""
    prompt_logprobs: Runtime[bool] = False
    """Whether its completions endpoint repeats the prompt with log-probabilities (``echo``: vLLM does, llama.cpp does
    not).
    """
    price: Runtime[Price | None] = None
    """What its tokens cost."""
    concurrency: Runtime[Annotated[int, Field(ge=1, le=4096)]] = 64
    """The most questions under way at once; all models at the same address share it."""
    start_concurrency: Runtime[Annotated[int, Field(ge=1, le=4096)]] = 16
    """How many to begin with."""
    timeout: Runtime[Annotated[float, Field(gt=0, le=86_400)]] = 300.0
    """Seconds for one attempt, until the last byte."""
    retries: Runtime[Annotated[int, Field(ge=0, le=100)]] = 6
    """How often a question is asked again after trouble that may pass; being told to come later (429) does not count.
    """
    deadline: Runtime[Annotated[float, Field(gt=0, le=604_800)]] = 1800.0
    """Seconds for all attempts at one question."""
    max_failed: Runtime[Annotated[float, Field(ge=0, le=1)]] = 0.5
    """The share of the last 50 questions that may fail for good; above it nothing more is asked."""

    @model_validator(mode="after")
    def _sound(self) -> OpenAI:
        mine = unknown_keys(self.extra_body)
        if mine:
            raise ValueError(f"'extra_body' may not set {', '.join(mine)}: that is what curate asks by itself")
        try:
            orjson.dumps(self.extra_body)
        except TypeError as error:
            raise ValueError(f"'extra_body' is not JSON: {error}") from None
        if self.api_key is not None and not self.api_key.get_secret_value().strip().isprintable():
            raise ValueError("'api_key' holds line breaks or other control characters")
        for name, value in self.headers.items():
            text = value.get_secret_value()
            if not name.isascii() or not name.strip() or any(mark in name + text for mark in "\r\n\0"):
                raise ValueError(f"'headers': '{name}' is no header")
        return self

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters but for the name, which :meth:`name_and_revision` tells."""
        given = super().identity(decisions=decisions)
        return {name: value for name, value in given.items() if name not in ("model", "revision")}

    def knows_language(self, language: str) -> bool | None:
        return None if self.languages is None else language in Supported(self.languages)

    def name_and_revision(self) -> str:
        """``model@revision``; ``model@unknown`` where the catalog names none."""
        return f"{self.model}@{self.revision or 'unknown'}"

    @property
    def exclusive(self) -> bool:
        """One process asks, so that rate limits, pace and budget are everybody's."""
        return True

    def load(self, *, cache: Path | None, threads: int) -> OpenAIGenerator:
        """The generator; nothing is asked yet.

        Raises:
            ModelError: ``url`` is no address.
        """
        name = self.name_and_revision()
        return OpenAIGenerator(
            name,
            self.manner(),
            self.where(),
            cache=cache,
            identity={"use": self.use, "model": name},
            price=self.price,
            languages=self.languages,
            context_length=self.context_length,
            claims=self.claims(),
            max_failed=self.max_failed,
        )

    def claims(self) -> Mapping[str, bool]:
        """What the catalog says that the server can do."""
        return {
            "structured": self.structured != "none",
            "logprobs": self.logprobs,
            "prompt_logprobs": self.prompt_logprobs,
        }

    def manner(self) -> Manner:
        """All that shapes the body."""
        return Manner(
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

    def where(self) -> Endpoint:
        """Where to ask.

        Raises:
            ModelError: ``url`` is no address.
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

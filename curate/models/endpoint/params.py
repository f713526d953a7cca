"""The parameters that all models behind HTTP endpoints have, whatever their protocol.

Parameters that shape the request body are part of the cache key. Runtime parameters (address, concurrency, deadlines)
are not, so that moving a model to another server changes no row and repeats no request.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import Field, model_validator

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.errors import AuthenticationError
from curate.models.endpoint.batches import BatchInterface
from curate.models.endpoint.generator import EndpointGenerator
from curate.models.endpoint.http import Endpoint
from curate.models.endpoint.pricing import Price
from curate.models.endpoint.wire import Wire, with_temperature
from curate.models.loading.secret import Secret
from curate.models.loading.supported import Supported
from curate.steps.models import Model, Sampling


class EndpointModel(Model):
    """A text-generation model behind an HTTP endpoint."""

    role: ClassVar[Role | None] = Role.GENERATOR

    url: Runtime[Annotated[str, Field(min_length=1)]]
    """Address of the server."""
    model: Annotated[str, Field(min_length=1)]
    """Name of the model, under which its answers are cached."""
    revision: str = ""
    """Version that the server runs (a commit, a date), for lineage and cache keys; the protocol cannot report it."""
    served_as: Runtime[str | None] = None
    """The server's own name for the model, if it differs (``--served-model-name``, a deployment)."""
    api_key: Runtime[Secret | None] = None
    """The key; write ``${SOME_VARIABLE}``."""
    api_key_env: Runtime[Annotated[str, Field(min_length=1)] | None] = None
    """Name of an environment variable with the key, in place of ``api_key``: it is read when the model is loaded."""
    headers: Runtime[dict[str, Secret]] = Field(default_factory=dict)
    """Additional HTTP headers, such as ``api-key`` for Azure; printed nowhere."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages the model supports; by default unspecified, and all are allowed."""
    reasoning: Literal["split", "keep"] = "split"
    """``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere) from the answer;
    ``keep`` leaves it in."""
    temperature: Annotated[float, Field(ge=0, le=5)] | Literal["sampling"] | None = "sampling"
    """Overrides the temperature of a step's ``sampling``: ``null`` sends none, for models that reject it; a number is
    always sent, for models that accept one value only."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Additional fields of the JSON body."""
    context_length: Runtime[Annotated[int, Field(ge=16)] | None] = None
    """Context window in tokens (prompt and answer), for estimates of the maximum cost of a call."""
    price: Runtime[Price | None] = None
    """Price of its tokens."""
    batch: Runtime[bool] = False
    """Whether to send requests through the provider's batch interface, for half the price. Answers come within 24
    hours; a build that was killed meanwhile collects them later."""
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
    def _sound(self) -> EndpointModel:
        reserved = self.reserved_keys()
        if reserved:
            raise ValueError(f"'extra_body' may not set {', '.join(reserved)}: curate sets these itself")
        try:
            orjson.dumps(self.extra_body)
        except TypeError as error:
            raise ValueError(f"'extra_body' is not JSON: {error}") from None
        if isinstance(self.temperature, float):
            problems = self.request_problems(Sampling(temperature=self.temperature))
            if problems:
                raise ValueError("; ".join(problems))
        if self.api_key is not None and not self.api_key.get_secret_value().strip().isprintable():
            raise ValueError("'api_key' holds line breaks or other control characters")
        if self.api_key is not None and self.api_key_env is not None:
            raise ValueError("'api_key' and 'api_key_env' are two places for one key: give one of them")
        for name, value in self.headers.items():
            text = value.get_secret_value()
            if not name.isascii() or not name.strip() or any(mark in name + text for mark in "\r\n\0"):
                raise ValueError(f"'headers': '{name}' is not a valid header")
        return self

    # ------------------------------------------------------------------------------------------------- of each protocol
    @abstractmethod
    def wire(self) -> Wire:
        """The protocol, with the parameters that shape its requests."""

    @abstractmethod
    def batches(self) -> BatchInterface:
        """The protocol's batch interface."""

    @abstractmethod
    def reserved_keys(self) -> list[str]:
        """Keys of ``extra_body`` that would override the request or the form of the response."""

    @abstractmethod
    def base_address(self) -> str:
        """The address below which the protocol's paths are.

        Raises:
            ModelError: ``url`` is not a valid address.
        """

    @abstractmethod
    def credentials(self, key: str) -> dict[str, str]:
        """The headers that carry the key."""

    @abstractmethod
    def capabilities(self) -> Mapping[str, bool]:
        """What the server can do: what the catalog declares, and whether the protocol passes tools on."""

    def own_headers(self) -> dict[str, str]:
        """The headers that the protocol needs with every request."""
        return {}

    # ------------------------------------------------------------------------------------------------ of all protocols
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
    def batched(self) -> bool:
        return self.batch

    @property
    def exclusive(self) -> bool:
        """True: one process sends all requests, so that they share rate limit, concurrency limit and budget."""
        return True

    def sent(self, sampling: Sampling) -> Sampling:
        """The sampling with the model's own temperature."""
        return with_temperature(sampling, self.temperature)

    def names(self) -> tuple[str, ...]:
        """Names that responses may give for the model."""
        return tuple(dict.fromkeys((self.model, *([self.served_as] if self.served_as else ()))))

    def shared_options(self) -> dict[str, Any]:
        """The arguments of :class:`curate.models.endpoint.wire.WireOptions`."""
        return {
            "model": self.served_as or self.model,
            "extra_body": self.extra_body,
            "temperature": self.temperature,
            "reasoning": self.reasoning,
            "names": self.names(),
        }

    def load(self, *, cache: Path | None, threads: int) -> EndpointGenerator:
        """The generator; sends nothing yet.

        Raises:
            ModelError: ``url`` is not a valid address, or the variable with the key is not set.
        """
        name = self.name_and_revision()
        return EndpointGenerator(
            name,
            self.wire(),
            self.server(),
            cache=cache,
            identity={"use": self.use, "model": name},
            price=self.price,
            languages=self.languages,
            context_length=self.context_length,
            capabilities=self.capabilities(),
            max_failed=self.max_failed,
            batches=self.batches() if self.batch else None,
        )

    def server(self) -> Endpoint:
        """The endpoint with its limits.

        Raises:
            ModelError: ``url`` is not a valid address, or the variable with the key is not set.
        """
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        key = self._key()
        return Endpoint(
            base=self.base_address(),
            headers={**self.own_headers(), **(self.credentials(key) if key else {}), **headers},
            concurrency=self.concurrency,
            start_concurrency=min(self.start_concurrency, self.concurrency),
            timeout=self.timeout,
            retries=self.retries,
            deadline=self.deadline,
        )

    def _key(self) -> str:
        if self.api_key_env is None:
            return "" if self.api_key is None else self.api_key.get_secret_value().strip()
        key = os.environ.get(self.api_key_env, "").strip()
        if not key or not key.isprintable():
            raise AuthenticationError(
                f"{self.name_and_revision()}: the environment variable '{self.api_key_env}' ('api_key_env') is"
                f" {'no key' if key else 'not set'}"
            )
        return key

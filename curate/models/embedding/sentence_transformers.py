"""``sentence-transformers``: an encoder of that library, LaBSE by default, from the Hub at one commit or from a local
folder.

LaBSE (Feng et al. 2022, Apache-2.0): 109 languages, 768 dimensions, cosines with the same meaning in all of them. Needs
the extra ``torch``. Code from the Hub is never run (``trust_remote_code`` stays off).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import regex
from pydantic import Field

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.models.cache.embeddings import Vectors, cached
from curate.models.embedding.preprocess import encode_in_pieces, make_fit
from curate.models.loading.devices import OnDevice
from curate.models.loading.hub import digest_folder, resolve_commit
from curate.models.loading.supported import Supported
from curate.steps import Encoder, Model, StepError

_LOG = logging.getLogger("curate.models")

LABSE = "sentence-transformers/LaBSE"
# The languages of LaBSE's model card.
LABSE_LANGUAGES = (
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "bo", "bs", "ca", "ceb", "co", "cs", "cy", "da", "de", "el", "en",
    "eo", "es", "et", "eu", "fa", "fi", "fil", "fr", "fy", "ga", "gd", "gl", "gu", "ha", "haw", "he", "hi", "hmn", "hr",
    "ht", "hu", "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kk", "km", "kn", "ko", "ku", "ky", "la", "lb", "lo",
    "lt", "lv", "mg", "mi", "mk", "ml", "mn", "mr", "ms", "mt", "my", "nb", "ne", "nl", "nn", "ny", "or", "pa", "pl",
    "pt", "ro", "ru", "rw", "sh", "si", "sk", "sl", "sm", "sn", "so", "sq", "sr", "sr-Latn", "st", "su", "sv", "sw",
    "ta", "te", "tg", "th", "tk", "tr", "tt", "ug", "uk", "ur", "uz", "vi", "wo", "xh", "yi", "yo", "zh", "zh-Hant",
    "zu",
)  # fmt: skip


class SentenceTransformers(OnDevice, Model):
    """A sentence encoder of the sentence-transformers library."""

    use: ClassVar[str] = "sentence-transformers"
    role: ClassVar[Role | None] = Role.ENCODER

    model: Annotated[str, Field(min_length=1)] = LABSE
    """``organisation/name`` on the Hub, or the path of a local folder (identified by its files' contents)."""
    revision: str | None = None
    """Commit of the Hub repository. A branch, tag or abbreviated commit, or none (``main``), is resolved by the local
    Hub cache, else by the Hub."""
    prompt: str = ""
    """Prefix of every text, such as ``"query: "``, for models trained with one."""
    max_length: Annotated[int, Field(ge=8)] | None = None
    """Maximum number of tokens per segment; longer ones are truncated. By default the model's own (LaBSE: 256)."""
    max_chars: Annotated[int, Field(ge=64)] | None = 512
    """Longer texts are split at ends of sentences into segments of at most this many characters, whose vectors are
    averaged by length. ``null`` does not split, so that ``max_length`` truncates."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Number format for computing; by default that of the weights."""
    languages: tuple[LanguageTag, ...] | None = None
    """The supported languages. By default LaBSE's own for LaBSE; for any other model all, with a warning."""
    absolute: bool | None = None
    """Whether a cosine means the same in every language; by default yes, but not for models of the E5 family."""
    device: Runtime[str | None] = None
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``; by default the fastest available."""
    batch_size: Runtime[Annotated[int, Field(ge=1)]] = 64
    """Texts per forward pass."""

    def _folder(self) -> Path | None:
        folder = Path(self.model).expanduser()
        here = any((folder / name).is_file() for name in ("modules.json", "config.json"))
        if here:
            return folder
        if folder.is_dir() or folder.is_absolute() or self.model.startswith((".", "~")) or self.model.count("/") != 1:
            raise StepError(
                f"'{self.model}' is neither a folder with a model (modules.json or config.json) nor organisation/name"
                " on the Hub"
            )
        return None

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without ``model`` and ``revision``, which :meth:`name_and_revision` covers (a path it does
        not)."""
        given = super().identity(decisions=decisions)
        given = {name: value for name, value in given.items() if name not in ("model", "revision")}
        # What the name lets us assume (see ``languages`` and ``absolute``) is part of what the model does.
        if self.languages is None and self._is_labse():
            given["languages"] = "LaBSE"
        if self.absolute is None and not self._is_absolute():
            given["absolute"] = False
        return given

    def _is_labse(self) -> bool:
        return self.model.rstrip("/").rpartition("/")[2].lower() == "labse"

    def _is_absolute(self) -> bool:
        if self.absolute is not None:
            return self.absolute
        return "e5" not in regex.split(r"[^a-z0-9]+", self.model.lower())

    def name_and_revision(self) -> str:
        """``organisation/name@commit``, or ``local@digest`` for a folder."""
        folder = self._folder()
        if folder is not None:
            return f"local@{digest_folder(folder)[:32]}"
        return f"{self.model}@{resolve_commit(self.model, self.revision)}"

    def knows_language(self, language: str) -> bool | None:
        return (
            language in Supported(self.languages or LABSE_LANGUAGES)
            if self.languages is not None or self._is_labse()
            else None
        )

    def load(self, *, cache: Path | None, threads: int) -> Encoder:
        """Loads the encoder. Equal texts have equal vectors within 1e-6 before rounding, depending on batch and device.

        Raises:
            StepError: the library is not installed, or the model cannot be loaded.
        """
        name = self.name_and_revision()
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise StepError(
                f"the model sentence-transformers needs packages: pip install torch sentence-transformers ({error})"
            ) from error
        torch.set_num_threads(threads)
        folder = self._folder()
        try:
            network = SentenceTransformer(
                str(folder) if folder else self.model,
                revision=None if folder else name.rpartition("@")[2],
                device=self.device,
                trust_remote_code=False,
                local_files_only=folder is not None,
                model_kwargs={"dtype": getattr(torch, self.dtype)} if self.dtype else None,
            )
        except (OSError, ValueError) as error:
            raise StepError(f"the model {self.model} cannot be loaded: {error}") from error
        if self.max_length is not None:
            network.max_seq_length = self.max_length
        # Renamed in version 6.
        size = getattr(network, "get_embedding_dimension", None) or network.get_sentence_embedding_dimension
        dimensions = int(size())

        def encode_pieces(pieces: list[str]) -> Vectors:
            return network.encode(  # type: ignore[no-any-return]
                [self.prompt + piece for piece in pieces],
                batch_size=self.batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            ).astype("float32", copy=False)

        def encode(texts: list[str]) -> Vectors:
            fit = [make_fit(text) for text in texts]
            return encode_in_pieces(fit, self.max_chars or max(map(len, fit), default=1), dimensions, encode_pieces)

        vectors_depend_on = ("prompt", "max_length", "max_chars", "dtype")
        return cached(
            encode,
            folder=cache,
            identity={
                "use": self.use,
                "version": self.version,
                "model": name,
                **{field: getattr(self, field) for field in vectors_depend_on},
            },
            dimensions=dimensions,
            supports=self._supports(),
            absolute=self._is_absolute(),
            batch_size=self.batch_size * 16,
        )

    def _supports(self) -> Callable[[str], bool]:
        if self.languages is not None:
            return Supported(self.languages).__contains__
        if self._is_labse():
            return Supported(LABSE_LANGUAGES).__contains__
        _LOG.warning(
            f"the model {self.model} does not say which languages it is good for; every language is assessed. Give"
            " 'languages:'"
        )
        return lambda language: True

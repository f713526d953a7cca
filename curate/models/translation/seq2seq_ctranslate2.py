"""Runs encoder-decoder translators with CTranslate2, the faster engine, above all on a CPU (int8)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import ModelError
from curate.models.translation.seq2seq_families import END, Family, PieceWords, Words
from curate.models.translation.vocabulary_fallback import OovNormalizer

if TYPE_CHECKING:
    from curate.models.translation.seq2seq_params import Seq2SeqParams

INSTALL = "pip install 'polycurate[seq2seq]'"


class CTranslate2Engine:
    """A converted network."""

    def __init__(self, model: Seq2SeqParams, family: Family, folder: Path, words: Path, threads: int) -> None:
        from curate.models.loading.devices import device_and_index

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the packages that it tries out
                import ctranslate2
        except ImportError as error:
            raise ModelError(
                f"the model seq2seq with 'engine: ctranslate2' needs a package: {INSTALL} ({error})"
            ) from error
        kind, index = device_and_index(model.device)
        if kind == "mps":
            raise ModelError("CTranslate2 knows no device 'mps'; use cpu or cuda")
        self._model = model
        self._family = family
        self._words = _words(words, folder)
        self._normalizer = OovNormalizer(self._words.covers)
        try:
            self._network: Any = ctranslate2.Translator(
                str(folder),
                device=kind,
                device_index=index,
                compute_type=model.compute,
                inter_threads=1,
                intra_threads=threads,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the model {model.model} cannot be loaded by CTranslate2: {error}") from error

    positions = 1_000_000
    """The network's maximum number of tokens; the library does not report it, so ``max_source_tokens`` must."""

    def encode(self, text: str, source: str, target: str) -> list[str]:
        """The tokens that stand for a piece."""
        return self._family.encode(self._words, text, source, target)

    def normalizer(self, source: str, target: str) -> OovNormalizer:
        """What the vocabulary covers."""
        return self._normalizer

    def translate(self, encoded: list[list[str]], source: str, target: str) -> list[tuple[str, bool]]:
        """For each piece the translation and whether it is whole."""
        model = self._model
        if not encoded:
            return []
        try:
            results = self._network.translate_batch(
                encoded,
                target_prefix=[[target]] * len(encoded) if self._family.prefix else None,
                max_batch_size=model.batch_tokens,
                batch_type="tokens",
                beam_size=model.beam_size,
                length_penalty=model.length_penalty,
                repetition_penalty=model.repetition_penalty,
                no_repeat_ngram_size=model.no_repeat_ngram,
                # Pieces are never longer than what was allowed; the library's own limit would cut them in silence.
                max_input_length=0,
                max_decoding_length=model.max_tokens,
                return_end_token=True,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"CTranslate2 failed with {model.model}: {error}") from error
        found = []
        for result in results:
            tokens = list(result.hypotheses[0])
            whole = bool(tokens) and tokens[-1] == END
            tokens = tokens[:-1] if whole else tokens
            tokens = tokens[1:] if self._family.prefix and tokens[:1] == [target] else tokens
            found.append((self._words.text(tokens).strip(), whole))
        return found


def _words(words: Path, folder: Path) -> Words:
    for place in (words, folder):
        pieces = PieceWords.of(place)
        if pieces is not None:
            return pieces
    for place in (words, folder):
        if (place / "tokenizer_config.json").is_file() or (place / "tokenizer.json").is_file():
            from curate.models.translation.seq2seq_transformers import TokenizerWords

            return TokenizerWords(place)
    raise ModelError(
        f"{folder} has no vocabulary (sentencepiece.bpe.model, source.spm and target.spm, …); convert again with"
        " --copy_files, or say where it is with 'tokenizer:'"
    )

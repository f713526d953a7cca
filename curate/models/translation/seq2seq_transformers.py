"""Runs encoder-decoder translators with transformers' ``generate``, and uses its tokenizers as vocabularies."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import ModelError
from curate.models.translation.seq2seq_families import END, Family
from curate.models.translation.vocabulary_fallback import OovNormalizer

if TYPE_CHECKING:
    from curate.models.translation.seq2seq_params import Seq2SeqParams

INSTALL = "pip install 'polycurate[torch]'"


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indexes in batches of about equal lengths, each of at most ``budget`` tokens with padding, the longest first."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    found: list[list[int]] = []
    for index in order:
        if found and (len(found[-1]) + 1) * lengths[found[-1][0]] <= budget:
            found[-1].append(index)
        else:
            found.append([index])
    return found


class TokenizerWords:
    """A tokeniser of transformers."""

    def __init__(self, folder: Path) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise ModelError(f"the vocabulary in {folder} needs packages: {INSTALL} ({error})") from error
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
            raise ModelError(f"the tokeniser in {folder} cannot be loaded: {error}") from error
        self._lock = threading.Lock()
        self._control = sorted({*self.tokenizer.all_special_tokens, END}, key=len, reverse=True)

    def tokens(self, text: str) -> list[str]:
        with self._lock:
            # A Marian tokeniser reads >>xxx<< at the start as an order; a space before makes it text.
            text = f" {text}" if text.startswith(">>") else text
            # Some tokenisers read </s> in a text as the control token whatever they are told.
            for token in self._control:
                if token in text:
                    text = text.replace(token, f"{token[0]} {token[1:]}")
            return list(self.tokenizer.tokenize(text, split_special_tokens=True, add_special_tokens=False))

    def text(self, tokens: list[str]) -> str:
        return self.decode(self.ids(tokens))

    def decode(self, ids: list[int]) -> str:
        """The text of ids of the target side, control tokens left out."""
        with self._lock:
            return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def ids(self, tokens: list[str]) -> list[int]:
        """The numbers of tokens."""
        return list(self.tokenizer.convert_tokens_to_ids(tokens))

    def covers(self, char: str) -> bool:
        unknown = self.tokenizer.unk_token_id
        return unknown is None or unknown not in self.ids(self.tokens(char))


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turns what a network or device refuses into an error that names the model."""
    try:
        yield
    except (IndexError, RuntimeError) as error:
        raise ModelError(
            f"{name} failed: {str(error)[:300]} (memory: lower 'batch_tokens'; an index: its vocabulary is of another"
            " model)"
        ) from error


class TransformersEngine:
    """A network of transformers; one batch at a time."""

    def __init__(self, model: Seq2SeqParams, family: Family, folder: Path, words: Path, threads: int) -> None:
        from curate.models.loading.devices import device_and_index

        try:
            import torch
            from transformers import AutoModelForSeq2SeqLM
        except ImportError as error:
            raise ModelError(
                f"the model seq2seq with 'engine: transformers' needs packages: {INSTALL} ({error})"
            ) from error
        kind, index = device_and_index(model.device)
        if kind == "auto":
            kind = "cuda" if torch.cuda.is_available() else "cpu"
        if model.compute.startswith("int8"):
            raise ModelError(
                "'compute: int8' is for CTranslate2: convert the model, or use float32, float16 or bfloat16"
            )
        torch.set_num_threads(threads)
        self._torch = torch
        self._model = model
        self._family = family
        self._words = TokenizerWords(words)
        self._device = f"{kind}:{index}" if kind == "cuda" else kind
        self._lock = threading.Lock()
        self._normalizer = OovNormalizer(self._words.covers)
        dtype = getattr(torch, model.compute) if model.compute != "default" else "auto"
        try:
            network = AutoModelForSeq2SeqLM.from_pretrained(
                str(folder), dtype=dtype, local_files_only=True, trust_remote_code=False
            )
            self._network: Any = network.to(self._device).eval()
        except (OSError, ValueError, RuntimeError, AssertionError) as error:
            raise ModelError(f"the model {model.model} cannot be loaded: {error}") from error

        self.positions = int(getattr(self._network.config, "max_position_embeddings", None) or 1_000_000)
        """Tokens that the network has places for, on either side."""

    def encode(self, text: str, source: str, target: str) -> list[str]:
        """The tokens that stand for a piece."""
        return self._family.encode(self._words, text, source, target)

    def normalizer(self, source: str, target: str) -> OovNormalizer:
        """What the vocabulary covers."""
        return self._normalizer

    def translate(self, encoded: list[list[str]], source: str, target: str) -> list[tuple[str, bool]]:
        """For each piece the translation and whether it is whole."""
        ids = [self._words.ids(tokens) for tokens in encoded]
        found: dict[int, tuple[str, bool]] = {}
        for batch in batches([len(one) for one in ids], self._model.batch_tokens):
            with self._lock:
                for index, answer in zip(batch, self._generate([ids[index] for index in batch], target), strict=True):
                    found[index] = answer
        return [found[index] for index in range(len(encoded))]

    def _generate(self, ids: list[list[int]], target: str) -> list[tuple[str, bool]]:
        torch, model, tokenizer = self._torch, self._model, self._words.tokenizer
        longest = max(map(len, ids))
        rows = [one + [tokenizer.pad_token_id] * (longest - len(one)) for one in ids]
        mask = [[1] * len(one) + [0] * (longest - len(one)) for one in ids]
        more: dict[str, Any] = {}
        if self._family.prefix:
            more["forced_bos_token_id"] = self._words.ids([target])[0]
        with torch.inference_mode(), _told(model.model):
            answers = self._network.generate(
                input_ids=torch.tensor(rows, device=self._device),
                attention_mask=torch.tensor(mask, device=self._device),
                num_beams=model.beam_size,
                do_sample=False,
                early_stopping=False,
                max_new_tokens=min(model.max_tokens, self.positions - 2),
                max_length=None,
                length_penalty=model.length_penalty,
                repetition_penalty=model.repetition_penalty,
                no_repeat_ngram_size=model.no_repeat_ngram,
                # Otherwise the last token of a cut answer is forced to be its end, and nobody sees the cut.
                forced_eos_token_id=None,
                **more,
            ).tolist()
        end = self._network.generation_config.eos_token_id
        ends = set(end) if isinstance(end, list) else {end if end is not None else tokenizer.eos_token_id}
        # The first token only starts the decoder, and often is the very end token.
        return [(self._words.decode(answer).strip(), any(token in ends for token in answer[1:])) for answer in answers]

"""``seq2seq``: NLLB, M2M-100, MADLAD-400, OPUS-MT (Marian) and mBART-50, through CTranslate2 or transformers.

A model's family and languages are read from its files. The family determines how a sentence and the two languages
become tokens; the engine translates tokens to tokens. Code from the Hub is never run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from curate.errors import ModelError
from curate.models.loading.hub import digest_folder, resolve_commit
from curate.models.translation.base import SentenceTranslator, Translated, glue, halve, open_cache
from curate.models.translation.language_pairs import Pairs
from curate.models.translation.seq2seq_families import FAMILIES, Codes, Family, detect_family, read_codes
from curate.models.translation.seq2seq_params import Seq2SeqParams

INSTALL = {
    "ctranslate2": "pip install 'polycurate[seq2seq]'",
    "transformers": "pip install 'polycurate[torch]'",
}
_HALVINGS = 3
# What the Hub holds of a model besides what is needed here.
_WANTED = ("*.json", "*.model", "*.spm", "*.txt", "model.bin", "*.safetensors", "pytorch_model*.bin")


class Seq2Seq(Seq2SeqParams):
    """A neural encoder-decoder translator, from a folder or the Hub."""

    def _local(self, name: str) -> Path | None:
        folder = Path(name).expanduser()
        if any(
            (folder / file).is_file() for file in ("config.json", "model.bin", "tokenizer_config.json", "source.spm")
        ) or list(folder.glob("*.model") if folder.is_dir() else ()):
            return folder
        if folder.is_dir() or folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
            raise ModelError(
                f"'{name}' is neither a folder with a model (config.json; model.bin or model.safetensors) nor"
                " organisation/name on the Hub"
            )
        return None

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without paths, which :meth:`name_and_revision` covers."""
        given = super().identity(decisions=decisions)
        return {name: value for name, value in given.items() if name not in ("model", "revision", "tokenizer")}

    def name_and_revision(self) -> str:
        """``organisation/name@commit``, or ``local@digest`` for a folder; a tokenizer of its own is added."""
        name = _revision(self.model, self._local(self.model), self.revision)
        if self.tokenizer is not None:
            other, _, commit = self.tokenizer.partition("@")
            name += "+" + _revision(other, self._local(other), commit or None)
        return name

    # ----------------------------------------------------------------------------------------------------------- load
    def load(self, *, cache: Path | None, threads: int) -> SentenceTranslator:
        """The translator. Equal segments have equal translations up to rounding, which may depend on the batch; the
        first answer is cached.

        Raises:
            ModelError: a package is missing, the model cannot be loaded, or its family is unknown.
        """
        name = self.name_and_revision()
        folder = self._local(self.model) or _download(self.model, name.partition("+")[0].rpartition("@")[2])
        words = folder
        if self.tokenizer is not None:
            other, _, _ = self.tokenizer.partition("@")
            words = self._local(other) or _download(other, name.rpartition("@")[2])
        converted = (folder / "model.bin").is_file() and not list(folder.glob("*.safetensors"))
        engine = self.engine if self.engine != "auto" else "ctranslate2" if converted else "transformers"
        if engine == "ctranslate2" and not converted:
            raise ModelError(
                f"{self.model} is not converted for CTranslate2: ct2-transformers-converter --model {self.model}"
                " --output_dir FOLDER --copy_files tokenizer_config.json sentencepiece.bpe.model (or leave 'engine'"
                " out)"
            )
        if engine == "transformers" and converted:
            raise ModelError(
                f"{self.model} is made for CTranslate2; leave 'engine' out, or give the model it was made from"
            )
        family = FAMILIES[self.family if self.family != "auto" else detect_family(folder, words, self.model)]
        codes = read_codes(family, folder, words, self.model, self.codes)
        pairs = self._pairs(family, codes)
        if engine == "ctranslate2":
            from curate.models.translation.seq2seq_ctranslate2 import CTranslate2Engine as Engine
        else:
            from curate.models.translation.seq2seq_transformers import TransformersEngine as Engine  # type: ignore[assignment]
        network = Engine(self, family, folder, words, threads)
        asker = _Asker(self, codes, network)
        depends = self.identity()
        short = hashlib.blake2b(repr(sorted(depends.items())).encode(), digest_size=4).hexdigest()
        revision = f"{name}+{engine}" + (f"+{short}" if depends else "")
        return SentenceTranslator(
            asker.ask,
            name=self.model if self._local(self.model) is None else "seq2seq",
            pairs=pairs,
            revision=lambda source, target: revision,
            longest=self.longest,
            cache=open_cache(cache, self, {"model": name, "engine": engine, **depends}),
            normalizer=network.normalizer,
            chunk=max(16, self.batch_tokens // 16),
        )

    def language_pairs(self) -> Pairs | None:
        """For a folder, the languages in its files; for a model on the Hub, those in the catalog only."""
        folder = self._local(self.model)
        if folder is None:
            known = self.sources is not None and self.targets is not None
            return Pairs(sources=self.sources or (), targets=self.targets or ()) if known else None
        words = folder if self.tokenizer is None else self._local(self.tokenizer.partition("@")[0])
        if words is None:
            return None
        family = FAMILIES[self.family if self.family != "auto" else detect_family(folder, words, self.model)]
        return self._pairs(family, read_codes(family, folder, words, self.model, self.codes))

    def _pairs(self, family: Family, codes: Codes) -> Pairs:
        sources = set(self.sources if self.sources is not None else codes.sources)
        targets = set(self.targets if self.targets is not None else codes.targets)
        for side, wanted, known in (("sources", sources, codes.source_words), ("targets", targets, codes.target_words)):
            # Models for one pair need no word for it.
            absent = sorted(tag for tag in wanted if known and codes.find(tag, known) is None)
            if absent and getattr(self, side) is not None:
                raise ModelError(
                    f"{self.model} has no word for {', '.join(absent)} ({side}); give it in 'codes:', or leave it out"
                )
        if not sources or not targets:
            missing = " and ".join(
                f"'{side}:'" for side, found in (("sources", sources), ("targets", targets)) if not found
            )
            raise ModelError(f"{self.model} does not say which languages it translates; give {missing}")
        return Pairs(sources=sources, targets=targets)


class _Asker:
    """Translates with an engine and splits segments that do not fit."""

    def __init__(self, model: Seq2Seq, codes: Codes, network: Any) -> None:
        self._model = model
        self._codes = codes
        self._network = network

    def ask(self, pieces: list[str], source: str, target: str) -> list[Translated]:
        words = (self._codes.source(source), self._codes.target(target))
        return self._ask(pieces, source, target, words, _HALVINGS)

    def _ask(
        self, pieces: list[str], source: str, target: str, words: tuple[str, str], halvings: int
    ) -> list[Translated]:
        most = min(self._model.max_source_tokens, self._network.positions)
        encoded = [self._network.encode(piece, *words) for piece in pieces]
        fits = [index for index, tokens in enumerate(encoded) if len(tokens) <= most or not halve(pieces[index])]
        answers: dict[int, Translated] = {}
        # Too many tokens and not to be halved: nothing of the kind is ever asked in silence.
        for index, (text, whole) in zip(
            fits, self._network.translate([encoded[index] for index in fits], *words), strict=True
        ):
            answers[index] = Translated(text, "" if whole else f"cut off after {self._model.max_tokens} tokens")
        again = [index for index in range(len(pieces)) if index not in answers or (answers[index].problem and halvings)]
        halves = {index: cut for index in again if (cut := halve(pieces[index])) is not None}
        flat = [half.strip() for cut in halves.values() for half in cut]
        if flat:
            parts = iter(self._ask(flat, source, target, words, max(0, halvings - 1)))
            for index in halves:
                left, right = next(parts), next(parts)
                text = glue(left.text, right.text, source, target)
                # Saying the same over and over is no length that halving mends, but then the whole is no better.
                problem = "; ".join(dict.fromkeys(one.problem for one in (left, right) if one.problem))
                answers[index] = Translated(text, problem)
        return [answers[index] for index in range(len(pieces))]


def _revision(name: str, folder: Path | None, revision: str | None) -> str:
    if folder is not None:
        return f"local@{digest_folder(folder)[:32]}"
    return f"{name}@{resolve_commit(name, revision)}"


def _download(name: str, commit: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=list(_WANTED)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(f"the model {name} at {commit} cannot be loaded: {error}") from error

"""Parameters of ``seq2seq``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from curate.catalog.params import Amount, LanguageTag, Role, Runtime
from curate.models.loading.devices import OnDevice
from curate.steps import Model


class Seq2SeqParams(OnDevice, Model):
    """A neural encoder-decoder translator, from a folder or the Hub."""

    use: ClassVar[str] = "seq2seq"
    role: ClassVar[Role | None] = Role.TRANSLATOR
    summary: ClassVar[str] = "NLLB, M2M-100, MADLAD-400, OPUS-MT, mBART-50 by CTranslate2 or transformers"

    model: Annotated[str, Field(min_length=1)]
    """``organisation/name`` on the Hub, or the path of a local folder (identified by its files' contents): a model
    as saved by transformers or by ``ct2-transformers-converter``."""
    revision: str | None = None
    """Commit of the Hub repository; a branch or tag is resolved, as for ``sentence-transformers``."""
    engine: Literal["auto", "ctranslate2", "transformers"] = "auto"
    """``auto``: by the format of the folder. The same weights give slightly different translations in the two
    engines."""
    family: Literal["auto", "nllb", "m2m100", "madlad", "opus", "mbart50"] = "auto"
    """How languages are encoded; ``auto``: as the model's files say."""
    tokenizer: str | None = None
    """Folder or Hub name of the vocabulary, for a converted model without one; ``name@commit`` pins one on the Hub."""
    sources: tuple[LanguageTag, ...] | None = None
    """Source languages; by default all in its vocabulary. OPUS-MT models rarely list theirs: set them here."""
    targets: tuple[LanguageTag, ...] | None = None
    """Target languages."""
    codes: dict[LanguageTag, str] = Field(default_factory=dict)
    """Overrides of the model's language codes: ``{ar: ary_Arab}``."""
    beam_size: Annotated[int, Field(ge=1, le=64)] = 4
    """Beam size; 1 is greedy and fastest."""
    max_tokens: Annotated[int, Field(ge=8, le=4096)] = 256
    """Maximum length of a segment's translation in tokens. Segments with longer ones are split; if that fails, the
    translation counts as truncated."""
    max_source_tokens: Annotated[int, Field(ge=8, le=4096)] = 400
    """Maximum length of a segment in tokens; longer ones are split. Models skip sentences in long segments."""
    longest: Annotated[int, Field(ge=40, le=20_000)] = 800
    """Maximum number of characters per segment; longer sentences are split at a clause or space."""
    length_penalty: Amount = 1.0
    """Length penalty: above 1 favours longer translations, below 1 shorter ones."""
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    """Repetition penalty: above 1 discourages repeated tokens."""
    no_repeat_ngram: Annotated[int, Field(ge=0)] = 0
    """Forbids repeated n-grams of this length; 0 allows all."""
    compute: Literal[
        "default", "float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16"
    ] = "default"
    """Number format for computing; the ``int8`` forms are CTranslate2's. By default that of the weights."""
    device: Runtime[str | None] = None
    """``cpu``, ``cuda``, ``cuda:1``; by default the fastest available."""
    batch_tokens: Runtime[Annotated[int, Field(ge=1)]] = 4096
    """Tokens per forward pass, including padding."""

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
    """``organisation/name`` on the Hub, or the path of a local folder (which counts by its files' contents): a model as
    transformers saves it, or as ``ct2-transformers-converter`` made it."""
    revision: str | None = None
    """Commit of the Hub repository; a branch or tag is resolved, as for ``sentence-transformers``."""
    engine: Literal["auto", "ctranslate2", "transformers"] = "auto"
    """``auto``: as the folder is made. The same weights give slightly different translations in the two."""
    family: Literal["auto", "nllb", "m2m100", "madlad", "opus", "mbart50"] = "auto"
    """How languages are told to the model; ``auto``: as its files say."""
    tokenizer: str | None = None
    """Folder or Hub name of the vocabulary, where a converted model came without it; ``name@commit`` pins one on the
    Hub.
    """
    sources: tuple[LanguageTag, ...] | None = None
    """Languages it translates from; by default all that its vocabulary names. OPUS-MT models name theirs seldom: say it
    here if so.
    """
    targets: tuple[LanguageTag, ...] | None = None
    """Languages it translates into."""
    codes: dict[LanguageTag, str] = Field(default_factory=dict)
    """The model's own word for a language, where the usual one is not wanted: ``{ar: ary_Arab}``."""
    beam_size: Annotated[int, Field(ge=1, le=64)] = 4
    """How many translations are followed at once; 1 takes the likeliest token each time and is fastest."""
    max_tokens: Annotated[int, Field(ge=8, le=4096)] = 256
    """Longest translation of a piece. What would be longer is translated in halves; what still is counts as cut off."""
    max_source_tokens: Annotated[int, Field(ge=8, le=4096)] = 400
    """Longest piece that is asked; longer ones are halved. Models skip sentences in long pieces."""
    longest: Annotated[int, Field(ge=40, le=20_000)] = 800
    """Characters of a piece; longer sentences are cut at a clause or blank."""
    length_penalty: Amount = 1.0
    """Above 1 longer translations win, below 1 shorter ones."""
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    """Above 1 discourages saying a token again."""
    no_repeat_ngram: Annotated[int, Field(ge=0)] = 0
    """No n tokens in a row come twice; 0: they may."""
    compute: Literal[
        "default", "float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16"
    ] = "default"
    """Number format to compute in; ``int8`` forms are CTranslate2's. By default that of the weights."""
    device: Runtime[str | None] = None
    """``cpu``, ``cuda``, ``cuda:1``; by default the best there is."""
    batch_tokens: Runtime[Annotated[int, Field(ge=1)]] = 4096
    """Tokens in one forward pass, padding included."""

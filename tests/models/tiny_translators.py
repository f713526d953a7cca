"""Tiny random encoder-decoder models, as transformers saves them and as CTranslate2 reads them, made without any
download.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

DIMENSIONS, INNER, HEADS = 16, 32, 2
TEXT = [
    "the house is red and the river is long",
    "nyumba ni nyekundu na mto ni mrefu",
    "das haus ist rot und der fluss ist lang",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,!?<>_/",
]
NLLB = ("eng_Latn", "swh_Latn", "zho_Hant", "arb_Arab", "ary_Arab")


def pieces(folder: Path, name: str, *, family: str, symbols: tuple[str, ...] = ()) -> list[str]:
    """A SentencePiece vocabulary, and its pieces."""
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(TEXT * 30))
    ids = {"unk_id": 1, "eos_id": 0, "bos_id": -1} if family == "opus" else {"unk_id": 0, "bos_id": 1, "eos_id": 2}
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "made"),
        vocab_size=130,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=-1,
        user_defined_symbols=list(symbols),
        character_coverage=1.0,
        **ids,
    )
    (folder / "made.model").rename(folder / name)
    (folder / "made.vocab").unlink()
    corpus.unlink()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / name))
    return [processor.id_to_piece(number) for number in range(processor.vocab_size())]


def vocabulary_of(folder: Path, family: str) -> list[str]:
    """The family's vocabulary files in a folder, and all tokens in order."""
    if family == "opus":
        own = pieces(folder, "source.spm", family=family)
        shutil.copy(folder / "source.spm", folder / "target.spm")
        tokens = [*own, ">>deu<<", ">>swh<<", "<pad>"]
        (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
        told = {"tokenizer_class": "MarianTokenizer", "source_lang": "eng", "target_lang": "mul"}
    elif family == "madlad":
        tokens = pieces(folder, "spiece.model", family=family, symbols=("<2en>", "<2sw>", "<2zh_Hant>"))
        told = {"tokenizer_class": "T5Tokenizer"}
    else:
        own = pieces(folder, "sentencepiece.bpe.model", family=family)
        tokens = ["<s>", "<pad>", "</s>", "<unk>", *own[3:]]
        if family == "nllb":
            tokens += [*NLLB, "<mask>"]
            told = {"tokenizer_class": "NllbTokenizer", "additional_special_tokens": list(NLLB)}
        else:
            (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
            tokens += ["__en__", "__sw__", "__no__"]
            told = {"tokenizer_class": "M2M100Tokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return tokens


# --------------------------------------------------------------------------------------------------------- CTranslate2
def converted(folder: Path, family: str, *, ends: bool = True, seed: int = 3) -> Path:
    """A random model as CTranslate2 reads it.

    Args:
        ends: whether it likes to end soon; else every answer runs on until it is cut.
    """
    from ctranslate2.specs import TransformerSpec
    from ctranslate2.specs.common_spec import Activation

    folder.mkdir()
    tokens = vocabulary_of(folder, family)
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> Any:
        return (random.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)

    def linear(spec: Any, rows: int, columns: int) -> None:
        spec.weight = matrix(rows, columns)
        spec.bias = np.zeros(rows, np.float32)

    def norm(spec: Any) -> None:
        spec.gamma, spec.beta = np.ones(DIMENSIONS, np.float32), np.zeros(DIMENSIONS, np.float32)

    spec = TransformerSpec.from_config((1, 1), HEADS, activation=Activation.RELU, pre_norm=True)
    for side in (spec.encoder, spec.decoder):
        embeddings = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        embeddings.weight = matrix(len(tokens), DIMENSIONS)
        norm(side.layer_norm)
        for layer in side.layer:
            linear(layer.self_attention.linear[0], 3 * DIMENSIONS, DIMENSIONS)
            linear(layer.self_attention.linear[1], DIMENSIONS, DIMENSIONS)
            norm(layer.self_attention.layer_norm)
            linear(layer.ffn.linear_0, INNER, DIMENSIONS)
            linear(layer.ffn.linear_1, DIMENSIONS, INNER)
            norm(layer.ffn.layer_norm)
            if side is spec.decoder:
                linear(layer.attention.linear[0], DIMENSIONS, DIMENSIONS)
                linear(layer.attention.linear[1], 2 * DIMENSIONS, DIMENSIONS)
                linear(layer.attention.linear[2], DIMENSIONS, DIMENSIONS)
                norm(layer.attention.layer_norm)
    linear(spec.decoder.projection, len(tokens), DIMENSIONS)
    bias = spec.decoder.projection.bias
    bias[tokens.index("</s>")] = 1.0 if ends else -50.0
    bias[[number for number, token in enumerate(tokens) if not token.strip("▁").isalpha()]] -= 2.0
    bias[tokens.index("</s>")] += 2.0 if ends else 0.0
    spec.config.decoder_start_token = "</s>"
    spec.config.add_source_eos = False
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization=None)
    # The converter's folder has no configuration of transformers; only the vocabulary files go along.
    made = folder / "made"
    made.mkdir()
    spec.save(str(made))
    for file in made.iterdir():
        file.rename(folder / file.name)
    made.rmdir()
    return folder


# -------------------------------------------------------------------------------------------------------- transformers
def saved(folder: Path, family: str) -> Path:
    """A random model as transformers saves it."""
    import torch
    from transformers import (
        AutoTokenizer,
        M2M100Config,
        M2M100ForConditionalGeneration,
        MarianConfig,
        MarianMTModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    folder.mkdir()
    vocabulary_of(folder, family)
    common: dict[str, Any] = {
        "d_model": DIMENSIONS,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": HEADS,
        "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": INNER,
        "decoder_ffn_dim": INNER,
        "max_position_embeddings": 128,
        "forced_eos_token_id": None,
    }
    config: Any
    if family == "opus":
        config, network = MarianConfig(**common), MarianMTModel
    elif family == "madlad":
        config = T5Config(
            d_model=DIMENSIONS, d_kv=8, d_ff=INNER, num_layers=1, num_heads=HEADS, tie_word_embeddings=False
        )
        network = T5ForConditionalGeneration
    else:
        config, network = M2M100Config(**common), M2M100ForConditionalGeneration
    (folder / "config.json").write_text(json.dumps({"model_type": config.model_type}))
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    config.vocab_size = len(tokenizer) + (108 if family == "m2m100" else 0)
    config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    config.decoder_start_token_id = tokenizer.pad_token_id if family in ("opus", "madlad") else tokenizer.eos_token_id
    torch.manual_seed(1)
    network(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

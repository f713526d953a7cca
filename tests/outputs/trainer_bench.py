"""A tokeniser of bytes, a model of a few hundred weights, and rows that trainers' own code reads: all made here, no
download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from version_bench import HOSTILE, preference_rows, sft_rows, turns, unpaired_rows

CHATML = ("{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")  # fmt: skip
# Texts with letters and marks of all kinds; what LLaMA-Factory's placeholders would be is another test's matter.
ODD = [text for text in HOSTILE if "<image>" not in text]


def more_pairs() -> list[dict[str, Any]]:
    return [
        {
            "prompt": turns(f"user: {number}?"),
            "chosen": [{"role": "assistant", "content": text}],
            "rejected": turns("assistant: no"),
        }
        for number, text in enumerate(ODD)
    ]


SFT = [
    *sft_rows(),
    *({"messages": row["prompt"] + row["chosen"]} for row in more_pairs()),
    {"language": "th", "messages": turns("user: หนึ่ง", "assistant: สอง", "user: สาม", "assistant: สี่")},
]
PAIRS = [*preference_rows(), *more_pairs()]
LABELLED = [
    *unpaired_rows(),
    *(
        {"prompt": row["prompt"], "completion": row["chosen"], "label": bool(place % 2)}
        for place, row in enumerate(more_pairs())
    ),
]


def chatml(messages: list[dict[str, str]], *, answer: bool = False) -> str:
    text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
    return text + "<|im_start|>assistant\n" if answer else text


@pytest.fixture(scope="session")
def tokenizer():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(
        [AddedToken(mark, special=True, normalized=False) for mark in ("<|pad|>", "<|im_start|>", "<|im_end|>")]
    )
    found = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|pad|>", clean_up_tokenization_spaces=False
    )
    found.chat_template = CHATML
    return found


def text_of(tokenizer: Any, ids: Any) -> str:
    return str(tokenizer.decode([int(one) for one in ids], skip_special_tokens=False))


def trained(tokenizer: Any, labels: Any) -> str:
    return text_of(tokenizer, [one for one in labels if one != -100])


@pytest.fixture(scope="session")
def model(tokenizer, tmp_path_factory) -> Path:
    """A folder with a tiny model and the tokeniser."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("model")
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

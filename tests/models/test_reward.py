"""Reward models: what stands for one, what it says without its packages, and the real library with a tiny random
network.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from curate.errors import ModelError
from curate.models.loading import hub
from curate.models.reward import Reward
from curate.steps.models import RewardModel

pytestmark = pytest.mark.heavy(env="common")
COMMIT = "836121a0533e5664b21c7aacc5d22951f2b8b25b"
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "<|{{ m.role }}|> {{ m.content }} </s> {% endfor %}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"weights")
    return made


def test_a_folder_counts_by_its_content_and_a_hub_model_by_its_commit(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    one = Reward(model=str(folder)).model_identity()
    assert one == Reward(model=str(other), device="cpu", batch_size=3).model_identity() and str(tmp_path) not in str(
        one
    )
    assert Reward(model=str(folder), form="pair").model_identity() != one
    (other / "model.safetensors").write_bytes(b"other weights")
    assert Reward(model=str(other)).model_identity() != one
    assert Reward(model="some/rm", revision=COMMIT).name_and_revision() == f"some/rm@{COMMIT}"


def test_a_path_that_holds_no_model_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="neither a folder with a model"):
        Reward(model=str(tmp_path)).name_and_revision()
    monkeypatch.setattr(hub, "resolve_commit", lambda *_: COMMIT)


def test_without_the_packages_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'polycurate\[torch\]'"):
        Reward(model=str(folder)).load(cache=None, threads=1)


def test_only_on_the_cpu_every_worker_has_its_own(folder: Path) -> None:
    assert (
        Reward(model=str(folder), device="cuda:1").exclusive and not Reward(model=str(folder), device="cpu").exclusive
    )


# ------------------------------------------------------------------------------------------------ with the real library
WORDS = ["good", "bad", "fine", "cat", "dog", "नमस्ते", "水", "سلام", "the", "is", "hello", "one", "two", "three"]


def save(
    folder: Path, *, labels: int = 1, template: str | None = TEMPLATE, pad: bool = True, kind: str = "bert"
) -> Path:
    """A random network of that kind with a tokenizer of a few words."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "</s>", "<|user|>", "<|assistant|>", "<|system|>", *WORDS]
    raw = Tokenizer(models.WordLevel({name: at for at, name in enumerate(names)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        **({"pad_token": "[PAD]"} if pad else {}),
        model_max_length=64,
        padding_side="left",
    )
    tokenizer.chat_template = template
    torch.manual_seed(3)
    size = {
        "vocab_size": len(names),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "num_labels": labels,
        "pad_token_id": None,
    }
    if kind == "bert":
        network = transformers.BertForSequenceClassification(transformers.BertConfig(**{**size, "pad_token_id": 0}))
    else:
        network = transformers.LlamaForSequenceClassification(transformers.LlamaConfig(**size, num_key_value_heads=2))
    with torch.no_grad():  # so that scores of a fresh network are apart
        for parameter in network.parameters():
            parameter.normal_(0, 0.5)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def talk(*turns: str) -> list[tuple[str, str]]:
    return [tuple(turn.split(": ", 1)) for turn in turns]  # type: ignore[misc]


TALKS = [
    talk("user: hello", "assistant: good cat"),
    talk("user: the cat is one", "assistant: the dog is two three one two three"),
    talk("user: hello", "assistant: bad"),
    talk("user: नमस्ते", "assistant: 水 سلام", "user: is two", "assistant: fine"),
    talk("user: hello", "assistant: good cat"),
]


def load(folder: Path, **given) -> RewardModel:
    loaded = Reward(model=str(folder), device="cpu", **{"languages": ("en",), **given}).load(cache=None, threads=1)
    assert isinstance(loaded, RewardModel)
    return loaded


@pytest.mark.parametrize(("kind", "pad"), [("bert", True), ("llama", True), ("llama", False)])
@pytest.mark.parametrize("form", ["chat", "pair"])
def test_scores_are_the_networks_whatever_is_in_the_batch(tmp_path, kind, pad, form):
    folder = save(tmp_path / "model", kind=kind, pad=pad)
    loaded = load(folder, form=form)
    scores = loaded.score(TALKS)
    assert (
        scores.shape == (5,)
        and scores.dtype == np.float32
        and scores[0] == scores[4]
        and len(set(scores.round(4))) == 4
    )
    alone = np.concatenate([loaded.score([one]) for one in TALKS])
    np.testing.assert_allclose(scores, alone, atol=1e-5)
    np.testing.assert_allclose(load(folder, form=form, batch_size=2).score(TALKS), scores, atol=1e-5)
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    if form == "chat":
        given = tokenizer(
            "<|user|> hello </s> <|assistant|> bad </s>",
            add_special_tokens=False,
            return_tensors="pt",
            return_token_type_ids=kind == "bert",
        )
    else:
        given = tokenizer("hello", "bad", return_tensors="pt")
    with torch.no_grad():
        by_hand = (
            network.eval()(
                **{name: value for name, value in given.items() if kind == "bert" or name != "token_type_ids"}
            )
            .logits[0, 0]
            .item()
        )
    assert scores[2] == pytest.approx(by_hand, abs=1e-5)


def test_what_is_too_long_has_no_score_or_loses_its_first_turns_never_its_answer(tmp_path):
    folder = save(tmp_path / "model")
    long = talk("user: " + "cat " * 70, "assistant: dog", "user: hello", "assistant: good cat")
    endless = talk("user: hello", "assistant: " + "cat " * 80)
    told: list[int] = []
    scores = load(folder).score([long, TALKS[0], endless], told.append)
    assert np.isnan(scores[[0, 2]]).all() and not np.isnan(scores[1]) and sum(told) == 3
    cut = load(folder, too_long="cut").score([long, TALKS[0], endless])
    assert cut[0] == pytest.approx(float(cut[1]), abs=1e-5) and np.isnan(cut[2])
    pair = load(folder, too_long="cut", form="pair").score([talk("user: " + "cat " * 90, "assistant: dog"), endless])
    assert not np.isnan(pair[0]) and np.isnan(pair[1])
    assert np.isnan(load(folder, max_length=8).score([TALKS[1]])).all()


def test_a_template_without_a_place_for_a_system_turn_says_what_to_do(tmp_path):
    folder = save(tmp_path / "model")
    given = talk("system: is fine", "user: hello", "assistant: good")
    with pytest.raises(ModelError, match=r"turns system user assistant: no system turn; set 'system: merge'"):
        load(folder).score([given])
    merged = load(folder, system="merge").score([given])
    dropped = load(folder, system="drop").score([given])
    assert merged[0] == pytest.approx(
        float(load(folder).score([talk("user: is fine hello", "assistant: good")])[0]), abs=1e-5
    )
    assert dropped[0] == pytest.approx(float(load(folder).score([given[1:]])[0]), abs=1e-5) and merged[0] != dropped[0]


def test_of_several_outputs_one_must_be_named(tmp_path):
    folder = save(tmp_path / "model", labels=3)
    message = r"has 3 outputs \(LABEL_0, LABEL_1, LABEL_2\); select the score with 'label:'"
    with pytest.raises(ModelError, match=message):
        load(folder)
    with pytest.raises(ModelError, match=r"no output 'LABEL_3'.*LABEL_"):
        load(folder, label="LABEL_3")
    with pytest.raises(ModelError, match="outputs 0 to 2"):
        load(folder, label=3)
    shares = np.stack([load(folder, label=at, output="softmax").score(TALKS) for at in range(3)])
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)
    logits = load(folder, label="LABEL_1").score(TALKS)
    np.testing.assert_allclose(
        load(folder, label=1, output="sigmoid").score(TALKS), 1 / (1 + np.exp(-logits)), atol=1e-5
    )


def test_a_model_without_a_trained_head_is_refused(tmp_path):
    folder = save(tmp_path / "model")
    from transformers import BertModel

    bare = tmp_path / "bare"
    BertModel.from_pretrained(folder).save_pretrained(bare)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, bare)
    with pytest.raises(ModelError, match=r"is not a reward model: it has no weights for classifier"):
        load(bare)


def test_a_model_that_names_no_languages_warns_and_one_without_a_template_takes_pairs(tmp_path, caplog):
    folder = save(tmp_path / "model", template=None)
    loaded = load(folder, languages=None)
    assert re.search("does not declare its languages.*'languages:'", caplog.text)
    assert loaded.supports("sw") and not load(folder).supports("sw") and load(folder).supports("en-GB")
    np.testing.assert_allclose(loaded.score(TALKS), load(folder, form="pair").score(TALKS), atol=1e-6)
    with pytest.raises(ModelError, match="no chat template"):
        load(folder, form="chat")
    assert loaded.score([]).shape == (0,)
    with pytest.raises(ModelError, match="must end with an answer"):
        loaded.score([talk("user: hello")])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-thing"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(folder)

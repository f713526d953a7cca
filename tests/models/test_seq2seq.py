"""Tiny random models through both engines: what is asked, what comes back, what is kept apart when it was cut."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from curate.errors import ModelError
from curate.models.loading.devices import device_and_index
from curate.models.translation.seq2seq import Seq2Seq
from curate.models.translation.seq2seq_families import FAMILIES, detect_family, read_codes
from curate.models.translation.seq2seq_transformers import batches
from curate.rows import languages

sys.path.insert(0, str(Path(__file__).parent))
from tiny_translators import NLLB, converted, saved, vocabulary_of

pytestmark = pytest.mark.heavy(env="common")
HOSTILE = [
    "",
    "  ",
    "12",
    "\x00",
    "\ud83d",
    "a\x00b",
    "🎉",
    "नमस्ते",
    "x" * 2000,
    "</s> <unk> eng_Latn <2sw> >>swh<< __sw__",
    ">>deu<< house",
    "a\nb",
]


# ------------------------------------------------------------------------------------------------ families and codes
@pytest.mark.parametrize(
    ("token", "tag"),
    [
        ("swh_Latn", "sw"),
        ("zho_Hant", "zh-Hant"),
        ("ary_Arab", "ary"),
        ("kas_Deva", "ks-Deva"),
        ("__sw__", "sw"),
        ("__no__", "nb"),
        ("__tl__", "fil"),
        ("__ns__", "nso"),
        ("<2sw>", "sw"),
        ("<2zh_Latn>", "zh-Latn"),
        (">>swh<<", "sw"),
        (">>cmn_Hans<<", "zh"),
        (">>pob<<", "pt-BR"),
        ("sw_KE", "sw"),
        ("zh_CN", "zh"),
        ("es_XX", "es"),
        ("</s>", None),
        ("▁house", None),
        ("<2qx>", None),
        ("madeupword1", None),
    ],
)
def test_a_language_token_of_any_family_is_read(token: str, tag: str | None) -> None:
    assert languages.from_translator(token) == tag


@pytest.mark.parametrize("family", ["nllb", "m2m100", "madlad", "opus"])
def test_the_family_and_its_languages_are_read_from_the_files(family: str, tmp_path: Path) -> None:
    vocabulary_of(tmp_path, family)
    assert detect_family(tmp_path, tmp_path, "model") == family
    codes = read_codes(FAMILIES[family], tmp_path, tmp_path, "model", {})
    if family == "nllb":
        assert codes.sources == {"en", "sw", "zh-Hant", "ar", "ary"}
        assert (codes.source("en-GB"), codes.target("zh-TW"), codes.target("ar")) == (
            "eng_Latn",
            "zho_Hant",
            "arb_Arab",
        )
        assert codes.target("yo") == "yor_Latn"
    elif family == "m2m100":
        # Its tokeniser knows the hundred languages by heart.
        assert len(codes.targets) == 100
        assert codes.target("nb") == "__no__"
        assert codes.target("fil") == "__tl__"
    elif family == "madlad":
        assert codes.targets == {"en", "sw", "zh-Hant"}
        assert (codes.source("en"), codes.target("sw")) == ("", "<2sw>")
    else:
        assert (codes.sources, codes.targets) == ({"en"}, {"de", "sw"})
        assert (codes.source("en"), codes.target("sw")) == ("", ">>swh<<")


def test_the_languages_of_an_opus_model_are_in_its_name_too(tmp_path: Path) -> None:
    for name, pair in {
        "Helsinki-NLP/opus-mt-en-de": ({"en"}, {"de"}),
        "Helsinki-NLP/opus-mt-tc-big-en-pt": ({"en"}, {"pt"}),
        "Helsinki-NLP/opus-mt-ROMANCE-en": (set(), {"en"}),
    }.items():
        codes = read_codes(FAMILIES["opus"], tmp_path, tmp_path, name, {})
        assert (codes.sources, codes.targets) == pair


def test_files_that_say_nothing_are_an_error_that_tells_what_to_say(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match=r"type 'bert'; known families are nllb.*'family:'"):
        detect_family(tmp_path, tmp_path, "mine")
    with pytest.raises(ModelError, match="neither a folder with a model"):
        Seq2Seq(model=str(tmp_path / "nothing")).name_and_revision()


def test_batches_are_of_like_lengths_and_within_the_budget() -> None:
    lengths = [3, 50, 4, 3, 49, 900]
    found = batches(lengths, 100)
    assert sorted(index for batch in found for index in batch) == list(range(6))
    assert found[0] == [5]
    assert found[1] == [1, 4]
    assert all(len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= 100 for batch in found)


def test_devices_are_read_and_a_gpu_is_used_by_one_process() -> None:
    assert device_and_index("cuda:1") == ("cuda", 1)
    assert device_and_index(None) == ("auto", 0)
    with pytest.raises(ModelError, match="no device"):
        device_and_index("gpu")
    assert Seq2Seq(model="a/b", device="cuda").exclusive
    assert not Seq2Seq(model="a/b", device="cpu").exclusive


def test_parameters_are_checked() -> None:
    with pytest.raises(ValidationError):
        Seq2Seq(model="a/b", codes={"no such language": "x"})
    with pytest.raises(ValidationError):
        Seq2Seq(model="a/b", beam_size=0)


# --------------------------------------------------------------------------------------------------------- CTranslate2
@pytest.fixture(scope="module")
def ct2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("ctranslate2")
    folder = tmp_path_factory.mktemp("ct2")
    made = {family: converted(folder / family, family) for family in ("nllb", "m2m100", "madlad", "opus")}
    made["endless"] = converted(folder / "endless", "nllb", ends=False)
    return made


def load(path: Path, cache: Path | None = None, **more: Any) -> Any:
    return Seq2Seq(model=str(path), device="cpu", **{"max_tokens": 24, "beam_size": 2, **more}).load(
        cache=cache, threads=1
    )


@pytest.mark.parametrize("family", ["nllb", "m2m100", "madlad", "opus"])
def test_every_family_translates_in_order_whatever_it_is_given(ct2: dict[str, Path], family: str) -> None:
    translator = load(ct2[family])
    texts = [text for hostile in HOSTILE for text in (hostile, "77")]
    found = translator.translate(texts, "en", "sw")
    assert found[1::2] == ["77"] * len(HOSTILE)
    assert found[0:6:2] == ["", "  ", "12"]
    assert "🎉" in found[2 * HOSTILE.index("🎉")]
    assert "नमस्ते" in found[2 * HOSTILE.index("नमस्ते")]
    assert translator.translate(["the house is red"], "en", "sw") == [
        load(ct2[family]).translate(["the river", "the house is red"], "en", "sw")[1]
    ]


@pytest.mark.parametrize(
    ("family", "first", "last"),
    [
        ("nllb", "eng_Latn", "</s>"),
        ("m2m100", "__en__", "</s>"),
        ("madlad", "<2sw>", "</s>"),
        ("opus", ">>swh<<", "</s>"),
    ],
)
def test_a_sentence_is_written_as_its_family_wants_it_and_cannot_give_orders(
    ct2: dict[str, Path], family: str, first: str, last: str
) -> None:
    network = load(ct2[family])._ask.__self__._network
    codes = load(ct2[family])._ask.__self__._codes
    words = codes.source("en"), codes.target("sw")
    tokens = [token for token in network.encode("the </s> <2en> >>deu<< swh_Latn", *words) if token != "▁"]
    assert tokens[0] == first
    assert tokens[-1] == last
    assert not {"</s>", "<2en>", ">>deu<<", "swh_Latn"} & set(tokens[1:-1])
    assert network.translate([], *words) == []


def test_the_target_decides_and_an_own_code_is_obeyed(ct2: dict[str, Path]) -> None:
    texts = ["the house is red", "the river is long", "the mountain stands"]
    swahili, arabic = (load(ct2["nllb"]).translate(texts, "en", tag) for tag in ("sw", "ar"))
    assert swahili != arabic
    assert load(ct2["nllb"], codes={"sw": "arb_Arab"}).translate(texts, "en", "sw") == arabic


def test_what_is_cut_off_is_tried_in_halves_and_then_told_and_not_kept(ct2: dict[str, Path], tmp_path: Path) -> None:
    translator = load(ct2["endless"], cache=tmp_path)
    (found,) = translator.translate_checked(["the house is red and the river is long"], "en", "sw")
    assert found.problem == "cut off after 24 tokens"
    assert len(translator._cache) == 0
    whole = load(ct2["nllb"], cache=tmp_path)
    assert whole.translate_checked(["the house is red"], "en", "sw")[0].problem == ""
    assert len(whole._cache) == 1


def test_a_piece_of_too_many_tokens_is_asked_in_parts_and_nothing_is_cut_in_silence(ct2: dict[str, Path]) -> None:
    translator = load(ct2["nllb"], max_source_tokens=12, longest=800)
    asker = translator._ask.__self__
    asked: list[int] = []
    real = asker._network.translate
    asker._network.translate = lambda encoded, *words: (asked.extend(map(len, encoded)), real(encoded, *words))[1]
    translator.translate(["the house is red and the river is long, " * 12], "en", "sw")
    assert len(asked) > 12
    # Pieces of fewer than 16 characters cannot be halved any more.
    assert max(asked) <= 20


def test_languages_are_refused_or_restricted_as_said(ct2: dict[str, Path]) -> None:
    translator = load(ct2["nllb"], sources=("en",), targets=("sw",))
    assert translator.supports("en-US", "sw-KE")
    assert not translator.supports("sw", "en")
    with pytest.raises(
        ModelError, match=r"does not translate en→de: de is no language it translates into \(it has en, sw\)"
    ):
        translator.translate(["x"], "en", "de")
    with pytest.raises(ModelError, match=r"has no word for de \(targets\); give it in 'codes:'"):
        load(ct2["nllb"], targets=("de",))
    assert load(ct2["nllb"], targets=("de",), codes={"de": "eng_Latn"}).supports("en", "de")


def test_a_folder_counts_by_content_and_settings_that_change_words_count(ct2: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(ct2["nllb"], tmp_path / "copy")
    first = Seq2Seq(model=str(ct2["nllb"])).model_identity()
    assert Seq2Seq(model=str(tmp_path / "copy"), device="cpu", batch_tokens=7).model_identity() == first
    assert str(tmp_path) not in str(first)
    for change in ({"beam_size": 1}, {"compute": "int8"}, {"codes": {"ar": "ary_Arab"}}, {"max_tokens": 99}):
        assert Seq2Seq(model=str(ct2["nllb"]), **change).model_identity() != first
    one, two = (load(ct2["nllb"], beam_size=beams).maker("en", "sw") for beams in (1, 3))
    assert one != two


def test_a_second_load_asks_nothing_again(ct2: dict[str, Path], tmp_path: Path) -> None:
    texts = ["the house is red", "the river is long"]
    first = load(ct2["nllb"], cache=tmp_path).translate(texts, "en", "sw")
    again = load(ct2["nllb"], cache=tmp_path)
    again._ask.__self__._network.translate = None
    assert again.translate(texts, "en", "sw") == first


def test_batch_size_changes_nothing(ct2: dict[str, Path]) -> None:
    texts = [f"the house {number} is red and long {'very ' * number}" for number in range(9)]
    one, two = (load(ct2["nllb"], batch_tokens=tokens).translate(texts, "en", "sw") for tokens in (16, 4096))
    assert one == two


def test_a_converted_folder_is_not_for_transformers_nor_the_other_way_round(
    ct2: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="made for CTranslate2"):
        load(ct2["nllb"], engine="transformers")
    (tmp_path / "config.json").write_text('{"model_type": "marian"}')
    with pytest.raises(ModelError, match="ct2-transformers-converter"):
        load(tmp_path, engine="ctranslate2")


def test_a_folder_without_vocabulary_says_where_to_give_one(ct2: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    bare, words = tmp_path / "bare", tmp_path / "words"
    shutil.copytree(ct2["nllb"], bare, ignore=shutil.ignore_patterns("sentencepiece*", "tokenizer*"))
    words.mkdir()
    for name in ("sentencepiece.bpe.model", "tokenizer_config.json"):
        shutil.copy(ct2["nllb"] / name, words)
    with pytest.raises(ModelError, match="'tokenizer:'"):
        load(bare)
    texts = ["the house is red"]
    assert load(bare, tokenizer=str(words)).translate(texts, "en", "sw") == load(ct2["nllb"]).translate(
        texts, "en", "sw"
    )


# -------------------------------------------------------------------------------------------------------- transformers
@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("hf")
    return {family: saved(folder / family, family) for family in ("nllb", "m2m100", "madlad", "opus")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["nllb", "m2m100", "madlad", "opus"])
def test_transformers_translates_every_family_whatever_it_is_given(hf: dict[str, Path], family: str) -> None:
    translator = load(hf[family])
    texts = [text for hostile in HOSTILE for text in (hostile, "77")]
    found = translator.translate_checked(texts, "en", "sw")
    assert [one.text for one in found[1::2]] == ["77"] * len(HOSTILE)
    # These random networks do not end (the one of nllb does): what was cut is said to be.
    assert any("cut off after 24 tokens" in one.problem for one in found) == (family != "nllb")
    network, codes = translator._ask.__self__._network, translator._ask.__self__._codes
    tokens = network.encode("the </s> swh_Latn", codes.source("en"), codes.target("sw"))
    assert tokens.count("</s>") == 1
    assert "swh_Latn" not in tokens[1:]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["nllb", "opus"])
def test_both_engines_say_the_same_with_the_same_weights(hf: dict[str, Path], family: str, tmp_path: Path) -> None:
    converters = pytest.importorskip("ctranslate2.converters")
    files = [
        name
        for name in ("sentencepiece.bpe.model", "source.spm", "target.spm", "tokenizer_config.json", "tokenizer.json")
        if (hf[family] / name).is_file()
    ]
    converters.TransformersConverter(str(hf[family]), copy_files=files).convert(str(tmp_path / "ct2"))
    texts = ["the house is red", "the river is long and red", "haus"]
    ours, theirs = (
        load(path, beam_size=1).translate_checked(texts, "en", "sw") for path in (hf[family], tmp_path / "ct2")
    )
    assert ours == theirs


@pytest.mark.filterwarnings("ignore")
def test_the_first_word_is_the_target_s(hf: dict[str, Path]) -> None:
    translator = load(hf["nllb"])
    engine = translator._ask.__self__._network
    begun: list[list[int]] = []
    real = engine._network.generate

    def generate(**asked: Any) -> Any:
        answers = real(**asked)
        begun.extend(answers[:, :2].tolist())
        return answers

    engine._network.generate = generate
    translator.translate(["the house is red"], "en", "sw")
    translator.translate(["the house is red"], "en", "ar")
    ids = engine._words.ids(["</s>", *NLLB])
    assert begun[0] == [ids[0], ids[1 + NLLB.index("swh_Latn")]]
    assert begun[-1] == [ids[0], ids[1 + NLLB.index("arb_Arab")]]
    with pytest.raises(ModelError, match="int8"):
        load(hf["nllb"], compute="int8")


def test_without_a_library_the_command_that_gets_it_is_named(
    ct2: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ModelError, match=r"pip install 'polycurate\[seq2seq\]'"):
        load(ct2["nllb"])
    monkeypatch.setitem(sys.modules, "torch", None)
    vocabulary_of(tmp_path, "nllb")
    (tmp_path / "config.json").write_text('{"model_type": "m2m_100"}')
    with pytest.raises(ModelError, match=r"pip install 'polycurate\[torch\]'"):
        load(tmp_path)

"""Near duplicates: copies are found in every script, what means something else is not, and nothing depends on how rows
are cut."""

from __future__ import annotations

import unicodedata
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import regex
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from settling import settle

from curate.rows import Kind
from curate.steps import Rows, StepError
from filters.duplicates import edits, minhash
from filters.duplicates.shingles import SIZES, jaccard, shingles
from filters.duplicates.step import Duplicates

# A sentence in each of 30 languages, without numbers.
SENTENCES = {
    "en": "The ferry to the island leaves from the small harbour behind the market.",
    "de": "Die Fähre zur Insel legt am kleinen Hafen hinter dem Marktplatz ab.",
    "fr": "Le bac pour l'île part du petit port derrière la place du marché.",
    "es": "El transbordador a la isla sale del pequeño puerto detrás del mercado.",
    "vi": "Chuyến phà ra đảo khởi hành từ bến cảng nhỏ phía sau khu chợ.",
    "tr": "Adaya giden feribot pazarın arkasındaki küçük limandan kalkıyor.",
    "sw": "Kivuko cha kwenda kisiwani huondoka katika bandari ndogo nyuma ya soko.",
    "yo": "Ọkọ̀ ojú omi tó ń lọ sí erékùṣù náà máa ń gbéra láti èbúté kékeré.",
    "pl": "Prom na wyspę odpływa z małego portu za targowiskiem każdego ranka.",
    "ru": "Паром на остров отходит из маленькой гавани за рыночной площадью.",
    "uk": "Пором на острів відходить із маленької гавані за ринковою площею.",
    "el": "Το φέρι για το νησί φεύγει από το μικρό λιμάνι πίσω από την αγορά.",
    "ka": "ბორანი კუნძულისკენ პატარა ნავსადგურიდან გადის ბაზრის უკან.",
    "hy": "Լաստանավը դեպի կղզի մեկնում է շուկայի հետևի փոքր նավահանգստից։",
    "he": "המעבורת אל האי יוצאת מהנמל הקטן שמאחורי השוק בכל בוקר.",
    "ar": "تغادر العبارة إلى الجزيرة من الميناء الصغير خلف السوق كل صباح.",
    "fa": "کشتی جزیره هر روز صبح از بندر کوچک پشت بازار حرکت می‌کند.",
    "ur": "جزیرے کی کشتی ہر صبح بازار کے پیچھے چھوٹی بندرگاہ سے روانہ ہوتی ہے۔",
    "hi": "द्वीप की नौका हर सुबह बाज़ार के पीछे के छोटे बंदरगाह से चलती है।",
    "bn": "দ্বীপের ফেরি প্রতিদিন সকালে বাজারের পেছনের ছোট বন্দর থেকে ছাড়ে।",
    "ta": "தீவுக்குச் செல்லும் படகு சந்தைக்குப் பின்னால் உள்ள சிறிய துறைமுகத்திலிருந்து புறப்படுகிறது.",
    "te": "దీవికి వెళ్ళే పడవ మార్కెట్ వెనుక ఉన్న చిన్న రేవు నుండి బయలుదేరుతుంది.",
    "si": "දූපතට යන පාරුව වෙළඳපොළ පිටුපස ඇති කුඩා වරායෙන් පිටත් වේ.",
    "th": "เรือข้ามฟากไปเกาะออกจากท่าเรือเล็กหลังตลาดทุกเช้าตรู่",
    "lo": "ເຮືອຂ້າມຟາກໄປເກາະອອກຈາກທ່າເຮືອນ້ອຍຫຼັງຕະຫຼາດທຸກເຊົ້າ",
    "km": "សាឡាងទៅកោះចេញពីកំពង់ផែតូចនៅខាងក្រោយផ្សាររៀងរាល់ព្រឹក",
    "my": "ကျွန်းသို့သွားသောကူးတို့သင်္ဘောသည်ဈေးနောက်ဘက်ရှိဆိပ်ကမ်းငယ်မှထွက်ခွာသည်",
    "am": "ወደ ደሴቱ የሚሄደው ጀልባ ከገበያው ጀርባ ካለው ትንሽ ወደብ ይነሳል።",
    "zh": "去岛上的渡轮每天清晨从市场后面的小码头出发。",
    "ja": "島へ渡る船は市場の裏にある小さな港から毎朝出ています。",
    "ko": "섬으로 가는 배는 시장 뒤편의 작은 항구에서 매일 아침 떠난다.",
}


def documents(make: Any, texts: list[tuple[str, str]]) -> Rows:
    rows: Rows = make(
        Kind.DOCUMENT, [{"language": tag, "text": text, "group_id": f"g:{n}"} for n, (tag, text) in enumerate(texts)]
    )
    return rows


def signs(text: str) -> list[str]:
    found: list[str] = regex.findall(r"\X", text)
    return found


# --------------------------------------------------------------------------------------------------------- every script
@pytest.mark.parametrize("language", SENTENCES)
def test_a_copy_with_another_surface_or_a_few_changed_signs_is_found_in_every_script(
    make: Any, context: Any, tmp_path: Path, language: str
) -> None:
    sentence = SENTENCES[language]
    units = signs(sentence)
    mistyped = units[:]
    mistyped[len(units) // 2] = "x" if units[0].isascii() else units[2]
    others = [(tag, text) for tag, text in SENTENCES.items() if tag != language]
    copies = [
        (sentence.replace("i", "İ") if language == "tr" else sentence).upper(),
        f" {sentence}\u200b\r\n",
        f"“{sentence.rstrip('.。।։።')}” …",
        f"<p>{sentence}</p>",
        "  ".join(sentence.split(" ")),
    ]
    rows = documents(make, [(language, sentence), *others, *((language, copy) for copy in copies)])
    found = settle(Duplicates(method="minhash"), [rows], context, tmp_path / "surface")
    assert [one["keep"] for one in found] == [True] * len(SENTENCES) + [False] * len(copies)
    assert {one["duplicate_of"] for one in found[len(SENTENCES) :]} == {rows.ids[0]}
    rows = documents(make, [(language, sentence), *others, (language, "".join(mistyped))])
    step = Duplicates(method="minhash", measure="edits", similarity=0.85, words="ignore")
    found = settle(step, [rows], context, tmp_path / "edits")
    assert [one["keep"] for one in found] == [True] * len(SENTENCES) + [False]
    assert found[-1]["similarity"] >= 0.9


@pytest.mark.parametrize(
    ("language", "left", "right"),
    [
        (
            "en",
            "What is the sum of 318 apples and 44 pears in the basket?",
            "What is the sum of 318 apples and 45 pears in the basket?",
        ),
        ("hi", "टोकरी में १२ सेब और ७ नाशपाती हैं, कुल कितने फल हुए?", "टोकरी में १२ सेब और ८ नाशपाती हैं, कुल कितने फल हुए?"),
        (
            "ar",
            "في السلة ٣٣ تفاحة و١٢ برتقالة، فكم عدد الفواكه كلها؟",
            "في السلة ٣٣ تفاحة و١٣ برتقالة، فكم عدد الفواكه كلها؟",
        ),
        ("zh", "篮子里有三十二个苹果和七个梨，一共有多少个水果？", "篮子里有三十三个苹果和七个梨，一共有多少个水果？"),
        (
            "en",
            "The shop on the corner is open on Sunday afternoons.",
            "The shop on the corner is not open on Sunday afternoons.",
        ),
        (
            "de",
            "Der Laden an der Ecke hat am Sonntag geöffnet, sagt sie.",
            "Der Laden an der Ecke hat am Sonntag nicht geöffnet, sagt sie.",
        ),
        ("th", "ร้านตรงหัวมุมเปิดตอนบ่ายวันอาทิตย์ของทุกสัปดาห์", "ร้านตรงหัวมุมไม่เปิดตอนบ่ายวันอาทิตย์ของทุกสัปดาห์"),
        (
            "en",
            "Write a function in C++ that reverses a linked list.",
            "Write a function in C# that reverses a linked list.",
        ),
        ("en", "Compute 17 + 25 and explain each step you take.", "Compute 17 - 25 and explain each step you take."),
    ],
)
def test_other_numbers_negations_and_operators_are_no_copies(
    make: Any, context: Any, tmp_path: Path, language: str, left: str, right: str
) -> None:
    rows = documents(make, [(language, left), (language, right)])
    for number, params in enumerate(({"similarity": 0.5}, {"measure": "edits", "similarity": 0.7})):
        found = settle(Duplicates(method="minhash", **params), [rows], context, tmp_path / str(number))
        assert [one["keep"] for one in found] == [True, True], params
    loose = Duplicates(method="minhash", similarity=0.5, **GUARDS_OFF)
    found = settle(loose, [rows], context, tmp_path / "loose")
    assert found[0]["keep"] and not found[1]["keep"]


def test_another_word_is_another_text_for_edits(make: Any, context: Any, tmp_path: Path) -> None:
    rows = documents(
        make,
        [("en", "Describe the life of a dog in the country."), ("en", "Describe the life of a cat in the country.")],
    )
    strict, loose = (
        Duplicates(method="minhash", measure="edits", similarity=0.85, words=how) for how in ("distinct", "ignore")
    )
    assert [one["keep"] for one in settle(strict, [rows], context, tmp_path / "a")] == [True, True]
    assert [one["keep"] for one in settle(loose, [rows], context, tmp_path / "b")] == [True, False]


def test_short_texts_are_compared_and_empty_ones_are_duplicates_of_none(
    make: Any, context: Any, tmp_path: Path
) -> None:
    texts = ["好", "好。", "不", "Ja", "ja!", "Nein", "", " ", "🙂", "🙂", "🙃"]
    found = settle(Duplicates(method="minhash"), [documents(make, [("zh", text) for text in texts])], context, tmp_path)
    assert [one["keep"] for one in found] == [True, False, True, True, False, True, True, True, True, False, True]


def test_other_languages_sources_and_items_stay_unless_asked(make: Any, context: Any, tmp_path: Path) -> None:
    text = "taxi hotel radio internet bus film"
    rows = make(
        Kind.DOCUMENT,
        [
            {"language": tag, "text": text, "source_name": source, "group_id": group}
            for tag, source, group in (("en", "a", "i:1"), ("de", "a", "i:1"), ("en", "b", "i:2"), ("en", "a", "i:1"))
        ],
    )
    for number, (params, kept) in enumerate(
        (
            ({}, [1, 1, 0, 0]),
            ({"across": "all"}, [1, 0, 0, 0]),
            ({"scope": "source"}, [1, 1, 1, 0]),
            ({"scope": "group"}, [1, 1, 1, 0]),
        )
    ):
        found = settle(Duplicates(method="minhash", **params), [rows], context, tmp_path / str(number))
        assert [one["keep"] for one in found] == [bool(one) for one in kept], params


@pytest.mark.parametrize("measure", ["jaccard", "edits"])
def test_nothing_left_is_decided_as_nothing(make: Any, context: Any, tmp_path: Path, measure: Any) -> None:
    step = Duplicates(method="minhash", measure=measure)
    assert settle(step, [make(Kind.DOCUMENT, []), make(Kind.DOCUMENT, [])], context, tmp_path / measure) == []


# -------------------------------------------------------------------------------------------------- against brute force
GUARDS_OFF: dict[str, Any] = {"numbers": "ignore", "negation": "ignore", "words": "ignore"}
WORDS = ["river", "stone", "lamp", "bread", "cloud", "river", "road", "मौसम", "天气", "水", "дорога", "سوق", "น้ำ"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14), min_size=2, max_size=24),
    st.lists(st.integers(0, 24), max_size=3),
)
@example([["river"], ["river", "น้ำ", "river"]], [1])
def test_every_pair_above_the_threshold_is_in_one_cluster_and_no_other_whatever_the_shards(
    make: Any, context: Any, tmp_path: Path, given_words: list[list[str]], given_cuts: list[int]
) -> None:
    rows = documents(make, [("en", " ".join(words)) for words in given_words])
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    # Two numbers a band: who is alike meets for certain, so that what is tested is exact.
    step = Duplicates(
        method="minhash", similarity=0.5, bands=(128, 1), linkage="connected", measure="jaccard", **GUARDS_OFF
    )
    whole = settle(step, [rows], context, folder / "whole")
    bare = [unicodedata.normalize("NFKC", "".join(words)) for words in given_words]  # it parts the vowel of น้ำ in two
    sets = [set(_shingles(one)) for one in bare]
    parent = list(range(len(bare)))
    for a, b in combinations(range(len(bare)), 2):
        if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= 0.5:
            low, high = sorted((parent[a], parent[b]))
            parent = [low if one == high else one for one in parent]
    assert [one["keep"] for one in whole] == [parent[n] == n for n in range(len(bare))]
    cuts = sorted(min(cut, len(rows)) for cut in given_cuts)
    shards = [
        rows.take([a <= n < b for n in range(len(rows))]) for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)
    ]
    assert settle(step, shards, context, folder / "cut") == whole


def _shingles(text: str) -> list[int]:
    found: list[int] = shingles(pl.Series([text])).hashes.tolist()
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("abcde éèक्षमि天地あいกขำ้안녕שׁ🇩🇪👩‍👧 "), max_size=30), min_size=1, max_size=6))
def test_shingles_are_runs_of_graphemes_and_jaccard_is_that_of_sets(texts: list[str]) -> None:
    flat = shingles(pl.Series(texts))
    sets = []
    for number, text in enumerate(texts):
        # A letter with its marks; conjuncts of Indic scripts count by their letters.
        units = regex.findall(
            r"(?s).(?:[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]|(?<=\u200d)\p{Extended_Pictographic})*",
            "".join(text.split()),
        )
        mine = flat.hashes[flat.offsets[number] : flat.offsets[number + 1]].tolist()
        assert len(mine) == len(units)
        spelled = []
        for at in range(len(units)):
            script = regex.match(
                r"(?:\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana})|(\p{Script=Thai}|\p{Script=Devanagari})|",
                units[at],
            )
            size = 5 if not script or not script[0] else 4 if script[1] else 3
            spelled.append(tuple(units[at : at + size]))
        assert [a == b for a, b in combinations(mine, 2)] == [a == b for a, b in combinations(spelled, 2)]
        sets.append(set(spelled))
    left, right = (
        (np.array(side) for side in zip(*combinations(range(len(texts)), 2), strict=True))
        if len(texts) > 1
        else (np.zeros(0, int),) * 2
    )
    exact = [
        len(sets[a] & sets[b]) / len(sets[a] | sets[b]) if sets[a] | sets[b] else None
        for a, b in zip(left, right, strict=True)
    ]
    measured = jaccard(flat, left.astype(np.int64), right.astype(np.int64))
    for wanted, got in zip(exact, measured.tolist(), strict=True):
        assert wanted is None or got == pytest.approx(wanted)
    assert SIZES["Han"] == 3


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("abcक्षि天地กำ "), max_size=14), st.text(st.sampled_from("abcक्षि天地กำ "), max_size=14))
def test_the_distance_is_that_of_graphemes(a: str, b: str) -> None:
    left, right = signs("".join(a.split())), signs("".join(b.split()))
    table = [[max(i, j) if not min(i, j) else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)]
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            table[i][j] = min(
                table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (left[i - 1] != right[j - 1])
            )
            if i > 1 and j > 1 and left[i - 1] == right[j - 2] and left[i - 2] == right[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    longest = max(len(left) + a.count(" "), len(right) + b.count(" "), 1)
    found = edits.similarity(pl.Series([a, b]), np.array([0]), np.array([1]))[0]
    assert found == pytest.approx(1 - table[-1][-1] / longest)


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
def test_bands_let_nearly_all_pairs_at_the_threshold_meet(similarity: float) -> None:
    count, width = minhash.bands(similarity, 128)
    assert count * width <= 128 and 1 - (1 - similarity**width) ** count >= 0.94
    # One number more a band would be too many.
    assert width == 64 or 1 - (1 - similarity ** (width + 1)) ** (128 // (width + 1)) < 0.94


# ------------------------------------------------------------------------------------------------------------ who stays
def test_an_existing_version_stays_and_only_new_rows_go(make: Any, context: Any, tmp_path: Path) -> None:
    old = documents(make, [("en", SENTENCES["en"]), ("en", SENTENCES["en"] + "!"), ("th", SENTENCES["th"])])
    new = documents(make, [("th", SENTENCES["th"] + " "), ("ja", SENTENCES["ja"]), ("en", SENTENCES["en"].upper())])
    context.rows = lambda name: iter([old])
    found = settle(Duplicates(method="minhash", against="before"), [new], context, tmp_path)
    assert [one["keep"] for one in found] == [False, True, False]
    assert [one["duplicate_of"] for one in found] == [old.ids[2], None, old.ids[0]]


def test_star_drops_only_what_is_like_the_row_that_stays(make: Any, context: Any, tmp_path: Path) -> None:
    words = [f"word{chr(97 + n)}" for n in range(26)]
    chain = [" ".join(words[start : start + 12]) for start in range(0, 12, 2)]
    rows = documents(make, [("en", text) for text in chain])
    by_star = settle(Duplicates(method="minhash", similarity=0.6), [rows], context, tmp_path / "star")
    connected = settle(
        Duplicates(method="minhash", similarity=0.6, linkage="connected"), [rows], context, tmp_path / "all"
    )
    assert [one["keep"] for one in connected] == [True] + [False] * 5
    assert 1 < sum(one["keep"] for one in by_star) < 6
    marked = settle(Duplicates(method="minhash", similarity=0.6, action="mark"), [rows], context, tmp_path / "mark")
    assert all(one["keep"] for one in marked) and [one["duplicate_of"] for one in marked] == [
        one["duplicate_of"] for one in by_star
    ]


def test_another_threshold_needs_no_new_signatures(make: Any, context: Any) -> None:
    rows = documents(make, [("en", SENTENCES["en"])])
    usual = Duplicates(method="minhash").summarize(rows, context)
    for params in (
        {"similarity": 0.6},
        {"measure": "jaccard"},
        {"linkage": "connected"},
        {"keep": "longest"},
        {"bands": (16, 4)},
        {"numbers": "ignore"},
    ):
        step = Duplicates(method="minhash", **params)
        assert step.summarize(rows, context).equals(usual)
        assert step.identity(decisions=False) == Duplicates(method="minhash").identity(decisions=False)
    assert Duplicates(method="minhash", shingle=3).identity(decisions=False) != Duplicates(method="minhash").identity(
        decisions=False
    )


# -------------------------------------------------------------------------------------------------------------- meaning
PAIRS = [
    ("How can I save water at home?", "Wie kann ich zu Hause Wasser sparen?", "¿Cómo puedo ahorrar agua en casa?"),
    (
        "Write a short poem about the sea.",
        "Schreibe ein kurzes Gedicht über das Meer.",
        "Escribe un poema corto sobre el mar.",
    ),
    (
        "Why do leaves turn red in autumn?",
        "Warum werden die Blätter im Herbst rot?",
        "¿Por qué las hojas se ponen rojas en otoño?",
    ),
    (
        "What is the capital of Australia?",
        "Was ist die Hauptstadt von Australien?",
        "¿Cuál es la capital de Australia?",
    ),
    (
        "Explain how a bicycle stays upright.",
        "Erkläre, wie ein Fahrrad aufrecht bleibt.",
        "Explica cómo una bicicleta se mantiene en pie.",
    ),
    (
        "Give me a recipe for lentil soup.",
        "Gib mir ein Rezept für Linsensuppe.",
        "Dame una receta de sopa de lentejas.",
    ),
    (
        "How do vaccines protect people?",
        "Wie schützen Impfungen die Menschen?",
        "¿Cómo protegen las vacunas a las personas?",
    ),
    (
        "Translate this sentence into French.",
        "Übersetze diesen Satz ins Französische.",
        "Traduce esta frase al francés.",
    ),
]


def test_translations_are_found_across_languages_and_items_are_left_alone(
    make: Any, context: Any, tmp_path: Path
) -> None:
    texts = [(tag, text) for one in PAIRS for tag, text in zip(("en", "de", "es"), one, strict=True)]
    rows = documents(make, texts)
    found = settle(Duplicates(method="cross_lingual", margin=0), [rows], context, tmp_path / "a")
    # Rows go for the English one of their own three; none goes for another sentence.
    ids = {rows.ids[n]: n // 3 for n in range(len(rows))}
    assert all(ids[one["duplicate_of"]] == n // 3 for n, one in enumerate(found) if one["duplicate_of"])
    assert sum(not one["keep"] for one in found) >= 13 and all(found[n]["keep"] for n in range(0, 24, 3))
    # What is one item on purpose is no duplicate.
    items = make(
        Kind.DOCUMENT,
        [{"language": tag, "text": text, "group_id": f"i:{n // 3}"} for n, (tag, text) in enumerate(texts)],
    )
    assert all(
        one["keep"] for one in settle(Duplicates(method="cross_lingual", margin=0), [items], context, tmp_path / "b")
    )
    both = Duplicates(method="cross_lingual", margin=0, groups="include")
    assert sum(not one["keep"] for one in settle(both, [items], context, tmp_path / "c")) >= 13


def test_paraphrases_are_found_and_other_numbers_and_languages_are_not(make: Any, context: Any, tmp_path: Path) -> None:
    rows = documents(
        make,
        [
            ("en", "How can I save water at home?"),
            ("en", "How could I save water in my house?"),
            ("en", "How can I save 5 litres of water at home?"),
            ("de", "Wie kann ich zu Hause Wasser sparen?"),
            ("sw", "Ninawezaje kuokoa maji nyumbani?"),
            ("sw", "Ninawezaje kuokoa maji nyumbani kwangu?"),
        ],
    )
    found = settle(Duplicates(method="semantic", similarity=0.85), [rows], context, tmp_path / "a")
    assert [one["keep"] for one in found] == [True, False, True, True, True, True]
    assert [one["unassessed"] for one in found] == [None] * 4 + ["language"] * 2
    assert any("does not support 'sw': its rows are not assessed" in message for message in context.warnings)
    with pytest.raises(StepError, match="does not support 'sw'"):
        settle(Duplicates(method="semantic", strict=True), [rows], context, tmp_path / "b")

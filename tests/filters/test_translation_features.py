"""What the checks of pairs find, one by one: names, negations, markup, broken characters, commentary, ends, lengths,
copies and loops."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.text import boilerplate as commentary
from filters.translation_quality import features as pair_findings
from filters.translation_quality import names as pair_names
from filters.translation_quality.features import CHECKS

CHECK_OF = {
    "damage": "encoding",
    "deviation": "length",
    "left": "copied",
    "loop": "repetition",
    "missing_sentence": "sentences",
    "turned": "negation",
    **{f"{check}_{what}": check for check in ("names", "numbers") for what in ("lost", "added", "foreign")},
    **{f"sentences_{side}": "sentences" for side in ("source", "target")},
}
"""The check that gives a value, where it is not called like it."""


class Found:
    """What the checks say of one pair; each is made when it is asked for: all of them take a tenth of a second."""

    def __init__(self, source: str, target: str, one: str, other: str) -> None:
        self.pair = pl.Series([source]), pl.Series([target]), (pl.Series([one]), pl.Series([other]))

    def all(self, *checks: str) -> dict[str, float]:
        found = pair_findings.find(*self.pair, checks or CHECKS, {})
        return {name: float(column[0]) for name, column in found.values.items()}

    def __getitem__(self, name: str) -> float:
        return self.all(CHECK_OF.get(name, name))[name]


def find(source: str, target: str, one: str, other: str) -> Found:
    return Found(source, target, one, other)


def test_a_check_by_itself_says_what_it_says_among_all() -> None:
    for pair in (
        ("The 3 shops of Miriam are not open. Go!", "Die 4 Läden sind offen Ã¼ber {x}. The shops.", "en", "de"),
        ("没有 3 个", "Zorvex a a a a a a a a a a a a", "zh", "en"),
    ):
        found = find(*pair)
        every = found.all()
        assert len(every) == 21
        for name, value in every.items():
            assert found[name] == value or (np.isnan(found[name]) and np.isnan(value)), name


# ------------------------------------------------------------------------------------------------------------ negations
AFFIRMED = {
    "de": ("Der Laden ist heute nicht geöffnet.", "Der Laden ist heute geöffnet."),
    "es": ("La tienda no abre hoy.", "La tienda abre hoy."),
    "fr": ("Le magasin n’est pas ouvert aujourd’hui.", "Le magasin est ouvert aujourd’hui."),
    "ru": ("Магазин сегодня не работает.", "Магазин сегодня работает."),
    "pl": ("Sklep dzisiaj nie jest otwarty.", "Sklep dzisiaj jest otwarty."),
    "tr": ("Dükkan bugün açık değil.", "Dükkan bugün açık."),
    "ar": ("المتجر لا يفتح اليوم.", "المتجر يفتح اليوم."),
    "he": ("החנות לא פתוחה היום.", "החנות פתוחה היום."),
    "hi": ("दुकान आज नहीं खुली है।", "दुकान आज खुली है।"),
    "id": ("Toko itu tidak buka hari ini.", "Toko itu buka hari ini."),
    "vi": ("Hôm nay cửa hàng không mở cửa.", "Hôm nay cửa hàng mở cửa."),
    "zh": ("商店今天不开门。", "商店今天开门。"),
    "ja": ("店は今日は開いていません。", "店は今日は開いています。"),
    "ko": ("가게는 오늘 열지 않습니다.", "가게는 오늘 엽니다."),
    "th": ("วันนี้ร้านไม่เปิด", "วันนี้ร้านเปิด"),
    "fi": ("Kauppa ei ole tänään auki.", "Kauppa on tänään auki."),
    "el": ("Το μαγαζί δεν είναι ανοιχτό σήμερα.", "Το μαγαζί είναι ανοιχτό σήμερα."),
    "fa": ("مغازه امروز باز نیست.", "مغازه امروز باز است."),
    "sv": ("Affären är inte öppen idag.", "Affären är öppen idag."),
    "it": ("Il negozio oggi non è aperto.", "Il negozio oggi è aperto."),
}


@pytest.mark.parametrize("tag", AFFIRMED)
def test_a_sentence_that_is_turned_round_is_found_in_every_language_with_a_list(tag: str) -> None:
    negated, affirmed = AFFIRMED[tag]
    source = "The shop is not open today."
    assert find(source, negated, "en", tag)["negation"] == 0
    assert find(source, affirmed, "en", tag)["negation"] == 1
    assert find(negated, "The shop is open today.", tag, "en")["negation"] == 1
    assert find("The shop is open today.", affirmed, "en", tag)["negation"] == 0


def test_what_another_language_says_without_a_negation_is_no_flip() -> None:
    assert find("He left without a word.", "Er sagte kein Wort und ging.", "en", "de")["negation"] == 0
    assert find("She is unable to swim.", "Sie kann nicht schwimmen.", "en", "de")["negation"] == 0
    assert find("Not only children play here.", "这里不仅孩子玩，大人也玩。", "en", "zh")["negation"] == 0
    assert find("That is different.", "那是不同的。", "en", "zh")["negation"] == 0


def test_one_sentence_of_several_is_enough_and_an_unlisted_language_is_not_assessed() -> None:
    source = "The river is wide. The bridge is not safe. The road is long."
    assert find(source, "Der Fluss ist breit. Die Brücke ist sicher. Die Straße ist lang.", "en", "de")[
        "negation"
    ] == pytest.approx(1 / 3)
    assert (
        find(source, "Der Fluss ist breit. Die Brücke ist nicht sicher. Die Straße ist lang.", "en", "de")["negation"]
        == 0
    )
    assert np.isnan(find(source, "Mto ni mpana.", "en", "sw")["negation"])


# ---------------------------------------------------------------------------------------------------------------- names
def test_a_name_that_was_swapped_is_lost_and_added() -> None:
    kept = find(
        "Yesterday Miriam Halvorsen met the mayor of Tarnby.",
        "Gisteren ontmoette Miriam Halvorsen de burgemeester van Tarnby.",
        "en",
        "nl",
    )
    assert (kept["names_lost"], kept["names_added"]) == (0, 0)
    swapped = find(
        "Yesterday Miriam Halvorsen met the mayor.", "Ayer se reunió Teresa Quintana con la alcaldesa.", "en", "es"
    )
    assert swapped["names_lost"] >= 1 and swapped["names_added"] >= 1


def test_names_may_be_inflected_spelt_alike_or_turned_round() -> None:
    for source, target, one, other in [
        ("the letters of Johannes Kepler in Prague", "list, který napsal Johannesovi Keplerovi", "en", "cs"),
        ("the NATO summit", "el resumen de la OTAN", "en", "es"),
        ("we flew to Germany and Japan", "nous sommes allés en Allemagne et au Japon", "en", "fr"),
    ]:
        found = find(source, target, one, other)
        assert found["names_lost"] <= 1 and found["names_added"] == 0, (source, found)


def test_a_latin_name_in_another_script_must_come_from_the_source() -> None:
    assert find("The Zorvex 300 is a camera.", "Zorvex 300是一款相机。", "en", "zh")["names_added"] == 0
    assert find("The Zorvex 300 is a camera.", "Mintara 300是一款相机。", "en", "zh")["names_added"] == 1
    assert np.isnan(find("The man saw a camera.", "那个人看见了一台相机。", "en", "zh")["names_added"])


# --------------------------------------------------------------------------------------------------------- placeholders
@pytest.mark.parametrize(
    "mark",
    [
        "{name}",
        "{{user}}",
        "%s",
        "%(count)d",
        "${total}",
        "<b>",
        "</b>",
        "&nbsp;",
        "`ls -l`",
        "https://example.org/a?b=1",
        "a.b@example.org",
        "<USER_1>",
        "[NAME_1]",
        "{0}",
        "\\alpha",
        "$x^2$",
    ],
)
def test_every_kind_of_placeholder_must_stay(mark: str) -> None:
    assert find(f"Click {mark} to go on.", f"点击{mark}继续。", "en", "zh")["placeholders"] == 1
    assert find(f"Click {mark} to go on.", "点击继续。", "en", "zh")["placeholders"] == 0
    assert find("Click to go on.", f"点击 {mark} 继续。", "en", "zh")["placeholders"] == 0


def test_a_per_cent_sign_is_no_placeholder() -> None:
    assert np.isnan(find("About 50 % of it", "Etwa 50 % davon", "en", "de")["placeholders"])
    assert np.isnan(find("100% sure", "zu 100 % sicher", "en", "de")["placeholders"])


# ------------------------------------------------------------------------------------------------------------- encoding
GOOD = {
    "de": "Die Größe der Bücher überrascht König Jürgen.",
    "fr": "L’été dernier, le garçon a dîné près du château.",
    "ru": "Мальчик читает книгу у окна.",
    "zh": "男孩在窗边看书。",
    "ar": "الولد يقرأ كتابا.",
    "tr": "Şişli'de çocuğun kitabı ışığın altında.",
    "vi": "Cậu bé đọc sách bên cửa sổ.",
    "pt": "Não há ação sem emoção, irmã.",
    "el": "Το αγόρι διαβάζει.",
    "th": "เด็กชายอ่านหนังสือ",
    "hi": "लड़का किताब पढ़ता है।",
    "ko": "소년이 책을 읽는다.",
    "ja": "少年が本を読む。",
    "pl": "Zażółć gęślą jaźń.",
    "sv": "Åke köpte ägg på ön.",
    "ro": "Băiatul citește în grădină.",
}


@pytest.mark.parametrize("tag", GOOD)
def test_text_in_every_script_is_sound_until_its_bytes_are_read_wrongly(tag: str) -> None:
    text = GOOD[tag]
    assert find("The boy reads a book.", text, "en", tag)["damage"] == 0
    for how in ("latin-1", "cp1252", "cp1251"):
        broken = text.encode().decode(how, "replace")
        if tag in ("ru",) and how == "cp1251":
            assert "Р" in broken
        assert find("The boy reads a book.", broken, "en", tag)["damage"] >= 1, (how, broken)
    twice = text.encode().decode("latin-1").encode().decode("latin-1")
    assert find("The boy reads a book.", twice, "en", tag)["damage"] >= 1


def test_debris_of_all_kinds_is_damage() -> None:
    for broken in (
        "Das ist g\ufffdt.",
        "Das ist \\u00fcber",
        "Das &amp;quot;Haus&amp;quot;",
        "Das <br/> Haus",
        "Das&nbsp;Haus",
        "\x93Haus\x94",
        "锟斤拷",
        "Erg盲nzung und L枚sung",
    ):
        assert find("This is the house.", broken, "en", "de")["damage"] >= 1, broken
    assert find("A <br/> and &nbsp;", "Ein <br/> und &nbsp;", "en", "de")["damage"] == 0
    assert find("He uses an app.", "他用app和web端看书。", "en", "zh")["damage"] == 0


# ----------------------------------------------------------------------------------------------------------- commentary
@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("de", "Hier ist die Übersetzung:\nDer Hund schläft."),
        ("de", "Sure! Here is the German translation: Der Hund schläft."),
        ("fr", "Voici la traduction : Le chien dort."),
        ("es", "Lo siento, no puedo traducir esto."),
        ("ru", "Вот перевод: Собака спит."),
        ("zh", "以下是翻译：狗在睡觉。"),
        ("zh", "抱歉，我无法翻译这段文字。"),
        ("ja", "申し訳ありませんが、翻訳できません。"),
        ("ko", "다음은 번역입니다: 개가 잔다."),
        ("ar", "إليك الترجمة: الكلب نائم."),
        ("hi", "यहाँ अनुवाद है: कुत्ता सो रहा है।"),
        ("th", "นี่คือคำแปล: หมานอน"),
        ("tr", "İşte çeviri: Köpek uyuyor."),
        ("vi", "Đây là bản dịch: Con chó đang ngủ."),
        ("sw", "Hii hapa tafsiri: Mbwa amelala."),
        ("id", "Berikut terjemahannya: Anjing itu tidur."),
        ("uk", "Ось переклад: Собака спить."),
        ("pl", "Oto tłumaczenie: Pies śpi."),
        ("el", "Ορίστε η μετάφραση: Ο σκύλος κοιμάται."),
        ("bn", "দুঃখিত, আমি এটি অনুবাদ করতে পারছি না।"),
        ("fa", "متأسفم، اما نمی‌توانم ترجمه کنم."),
        ("he", "הנה התרגום: הכלב ישן."),
        ("nl", "Hier is de vertaling: De hond slaapt."),
        ("it", "Ecco la traduzione: Il cane dorme."),
        ("zu", "Here's what you asked for:\nInja ilele."),
    ],
)
def test_talk_about_a_translation_is_found_in_many_languages(tag: str, said: str) -> None:
    assert find("The dog sleeps.", said, "en", tag)["commentary"] == 1


def test_an_apology_that_is_translated_is_no_chatter() -> None:
    assert (
        find(
            "I'm sorry, but I can't help you with that.",
            "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
            "en",
            "de",
        )["commentary"]
        == 0
    )
    assert find("Translation: a history", "Übersetzung: eine Geschichte", "en", "de")["commentary"] == 0
    assert find("Shopping list:\nmilk", "Einkaufsliste:\nMilch", "en", "de")["commentary"] == 0
    assert find("Sorry, I am late.", "对不起，我迟到了。", "en", "zh")["commentary"] == 0


# ------------------------------------------------------------------------------------------- length, end, copies, loops
def test_lengths_are_compared_in_every_script_and_half_a_text_is_short() -> None:
    source = (
        "The old woman who lives behind the mill goes down to the river every morning to fetch fresh water "
        "for her garden."
    )
    for tag, target in {
        "de": "Die alte Frau, die hinter der Mühle wohnt, geht jeden Morgen zum Fluss hinunter, um frisches Wasser "
        "für ihren Garten zu holen.",
        "zh": "住在磨坊后面的老妇人每天早上都到河边去，为她的花园打新鲜的水。",
        "ja": "水車小屋の裏に住んでいる老婦人は、庭の新鮮な水をくむために毎朝川へ下りて行く。",
        "th": "หญิงชราที่อาศัยอยู่หลังโรงสีลงไปที่แม่น้ำทุกเช้าเพื่อตักน้ำสะอาดมารดสวนของเธอ",
        "ar": "المرأة العجوز التي تسكن خلف الطاحونة تنزل كل صباح إلى النهر لتجلب الماء العذب لحديقتها.",
        "hi": "चक्की के पीछे रहने वाली बूढ़ी औरत अपने बगीचे के लिए ताज़ा पानी लाने हर सुबह नदी पर जाती है।",
        "ko": "방앗간 뒤에 사는 할머니는 정원에 줄 신선한 물을 길으러 매일 아침 강으로 내려간다.",
    }.items():
        whole, half = find(source, target, "en", tag), find(source, target[: len(target) // 2], "en", tag)
        assert 0.7 < whole["length"] < 1.4, (tag, whole["length"])
        assert abs(whole["deviation"]) < 2
        assert half["length"] < 0.7 and half["deviation"] < -1.5, tag


def test_a_target_that_ends_in_the_air_is_told_where_the_language_writes_marks() -> None:
    assert find("It is late. We go.", "Es ist spät. Wir", "en", "de")["ending"] == 0
    assert find("It is late. We go.", "Es ist spät. Wir gehen.", "en", "de")["ending"] == 1
    assert find("It is late (very late).", "Es ist spät (sehr", "en", "de")["ending"] == 0
    assert find("It is late.", "夜も更けた。", "en", "ja")["ending"] == 1
    assert np.isnan(find("It is late. We go.", "ดึกแล้ว เราไป", "en", "th")["ending"])
    assert find("Where does he live?", "Πού μένει;", "en", "el")["ending"] == 1


def test_copies_are_told_whole_half_and_per_sentence() -> None:
    source = "The children play in the garden behind the house. Their mother calls them for supper."
    german = "Die Kinder spielen im Garten hinter dem Haus. Ihre Mutter ruft sie zum Abendessen."
    assert find(source, german, "en", "de")["copied"] == 0
    assert find(source, source, "en", "de")["copied"] == 1
    half = find(source, "Die Kinder spielen im Garten hinter dem Haus. Their mother calls them for supper.", "en", "de")
    assert 0.3 < half["copied"] < 0.7 and 0.3 < half["left"] < 0.7
    both = find(source, f"{german}\n{source}", "en", "de")
    assert both["left"] == 1 and 0.3 < both["copied"] < 0.7
    assert np.isnan(find(source, source, "en", "en-GB")["copied"])
    assert np.isnan(find("[3, 7, 8] 146", "[3, 7, 8] 146", "en", "de")["copied"])
    assert np.isnan(find("Miriam Halvorsen Lindqvist", "Miriam Halvorsen Lindqvist", "en", "de")["copied"])
    assert find("孩子们在屋后的花园里玩耍。", "孩子们在屋后的花园里玩耍。", "zh", "ja")["copied"] == 1


COMMANDS = [
    'git commit -m "mend the door"', "sudo apt install htop", "ls -lh /srv/data", "find . -name '*.csv'",
    "cat names.txt | sort", "export EDITOR=/usr/bin/vim", "$ uptime", '{"name": "Asha", "age": 31}',
    "frame.groupby('town').sum()", "./start.sh --now", "kill -9 4321",
]  # fmt: skip


@pytest.mark.parametrize("tag", ["de", "hi", "zh", "ar", "th"])
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_no_language_and_rightly_copied(line: str, tag: str) -> None:
    found = find(line, line, "en", tag)
    assert all(np.isnan(found[name]) for name in ("copied", "left", "script"))


def test_what_begins_like_a_command_is_a_sentence() -> None:
    for line in (
        "The cat sleeps on the old red sofa", "Find the book and give it to me", "Make a list of three cities",
        "Git is a program that keeps versions.", "Sort the words by their length", "Time flies like an arrow",
        "Which of these towns is by the sea?", "Go to the market and buy rice", "Zip codes have five digits here.",
    ):  # fmt: skip
        assert find(line, line, "en", "de")["copied"] == 1, line
    beside = find("Now write this:\ngit add names.txt", "Schreib jetzt dies:\ngit add names.txt", "en", "de")
    assert beside["copied"] == beside["left"] == 0


def test_a_loop_of_the_target_is_told_and_one_of_both_sides_is_none() -> None:
    assert find("I like it.", "Ich mag es mag es mag es mag es mag es mag es.", "en", "de")["loop"] >= 4
    assert find("ha ha ha ha ha ha ha ha", "ha ha ha ha ha ha ha ha", "en", "de")["loop"] == 1
    assert find("I like it.", "我喜欢它它它它它它它它它它它。", "en", "zh")["loop"] >= 4


def test_script_is_checked_where_there_are_letters_enough() -> None:
    assert find("The dog sleeps in the sun.", "Собака спит на солнце.", "en", "ru")["script"] == 1
    assert find("The dog sleeps in the sun.", "The dog sleeps in the sun.", "en", "ru")["script"] == 0
    assert find("The dog sleeps in the sun.", "狗在太陽下睡覺。", "en", "zh")["script"] == 1
    assert np.isnan(find("C3PO", "C3PO", "en", "ru")["script"])


# ------------------------------------------------------------------------------------------ negations beside each other
@pytest.mark.parametrize(
    ("one", "other", "source", "target", "turned"),
    [
        ("en", "de", "He came. He was not tired. He sat down.", "Er kam. Er war müde. Er setzte sich.", 1),
        # Two sentences in one are still compared with the one that says them.
        (
            "en",
            "de",
            "The shop is old and dark. It is not open today. Come tomorrow.",
            "Der Laden ist alt und dunkel, und er ist heute offen. Kommen Sie morgen.",
            1,
        ),
        # What may be a negation goes with its like, and excuses nothing beyond that.
        ("en", "fr", "I couldn't have done it without you.", "J’aurais pu le faire sans toi.", 0.5),
        ("en", "fr", "He did it without you.", "Il l’a fait sans toi.", 0),
        ("en", "fr", "He did it without you.", "Tu n’as pas aidé.", 0),
        # What only looks like one is none.
        ("en", "tr", "The Amazon is a river.", "Amazon bir nehirdir.", 0),
        ("en", "th", "Like a bird", "อย่างนก", 0),
        ("en", "vi", "Such as rice", "Chẳng hạn như gạo", 0),
        ("en", "ar", "What is the name of the river?", "ما اسم النهر؟", 0),
        ("en", "ar", "What is not the name of the river?", "ما اسم النهر؟", 1),
        ("en", "de", "Shall we go, isn't it?", "Wollen wir gehen?", 0),
        # Tokenised contractions.
        ("en", "de", "The shop is n't open.", "Der Laden ist nicht offen.", 0),
        ("en", "hi", "The shop is n’t open.", "दुकान खुली नहीं है।", 0),
        ("en", "zh", "I do n't know him.", "我认识他。", 1),
        ("en", "de", "Shall we go, is n't it ?", "Wollen wir gehen?", 0),
    ],
)
def test_negations_are_compared_sentence_by_sentence(
    one: str, other: str, source: str, target: str, turned: float
) -> None:
    assert find(source, target, one, other)["turned"] == turned


# --------------------------------------------------------------------------------------------------------- names, again
class Meanings:
    """An encoder of words: those of one list mean the same."""

    def __init__(self, *same: str) -> None:
        self._places = {word: place for place, words in enumerate(same) for word in words.split()}

    def encode(self, texts: list[str]) -> np.ndarray:
        found = np.zeros((len(texts), 64), np.float32)
        for row, one in enumerate(texts):
            found[row, self._places.get(one, 32 + len(one) % 32)] = 1
        return found


def test_a_name_that_is_another_and_not_the_same_in_another_language_is_told_by_an_encoder() -> None:
    encoder = Meanings("Venice Venedig", "Genghis", "Nixon")
    rows = [
        ("He went to Venice by train.", "Er fuhr mit dem Zug nach Venedig.", "en", "de"),
        ("He went to Venice by train.", "Il est allé à Genghis en train.", "en", "fr"),
        ("Er fuhr mit Nixon im Zug.", "He went with Genghis by train.", "de", "en"),
        ("He went home by train.", "Il est rentré en train.", "en", "fr"),
    ]
    source, target, one, other = (pl.Series([row[column] for row in rows]) for column in range(4))
    unmatched = pair_names.names(source, target, (one.to_list(), other.to_list()))
    found = pair_names.name_similarity(unmatched, source, target, np.arange(4), encoder)
    assert np.isnan(found[0]) or found[0] == 1
    assert (found[1], found[2]) == (0, 0)
    assert np.isnan(found[3])


def test_what_stands_in_latin_letters_in_another_script_must_come_from_the_other_side() -> None:
    assert find("What does BSkyB sell?", "DECnet卖什么？", "en", "zh")["names_foreign"] == 1
    assert find("DECnet卖什么？", "What does BSkyB sell?", "zh", "en")["names_foreign"] == 1
    assert find("What does BSkyB sell?", "BSkyB卖什么？", "en", "zh")["names_foreign"] == 0


# ------------------------------------------------------------------------------------------------------------- anything
TAGS = ["en", "de", "zh", "ja", "th", "ar", "hi", "ko", "tr", "sw", "und", "zu"]


@given(
    st.lists(
        st.tuples(st.text(max_size=80), st.text(max_size=80), st.sampled_from(TAGS), st.sampled_from(TAGS)),
        min_size=2,
        max_size=4,
    )
)
@settings(max_examples=12, deadline=None)
def test_no_finding_depends_on_the_rows_beside_it(rows: list[tuple[str, str, str, str]]) -> None:
    def series(which: list[tuple[str, str, str, str]]) -> list[pl.Series]:
        return [pl.Series([row[column] for row in which], dtype=pl.String) for column in range(4)]

    source, target, one, other = series(rows)
    before = (source.to_list(), target.to_list())
    together = pair_findings.find(source, target, (one, other), CHECKS, {}).values
    assert (source.to_list(), target.to_list()) == before
    for at, row in enumerate(rows):
        first, second, third, fourth = series([row])
        alone = pair_findings.find(first, second, (third, fourth), CHECKS, {}).values
        for name, column in alone.items():
            assert column[0] == together[name][at] or (np.isnan(column[0]) and np.isnan(together[name][at])), name


def test_hostile_texts_cost_no_more_than_their_length() -> None:
    for text in (
        "<" * 50_000,
        "{{" * 30_000,
        "`" * 50_001,
        "Ã" * 50_000,
        "a " * 50_000,
        "(" * 50_000,
        "不" * 50_000,
        "Ab" * 40_000,
        "1,1." * 20_000,
    ):
        find(text, text[::-1], "en", "de").all()


def test_talk_of_no_rows_is_none() -> None:
    assert commentary.commentary(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.String))[1] == []

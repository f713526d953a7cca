"""The vote over the identifiers that are installed with it, and over some that say what the test tells them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import ModelError
from curate.models.langid import language_data as data
from curate.models.langid.ensemble import LanguageIdEnsemble, LoadedEnsemble
from curate.rows import languages
from curate.steps.models import Identified, LanguageIdentifier, Model

pytest.importorskip("eldc")
pytest.importorskip("pycld2")

GOLDEN = {
    "af": "Die kinders het gister by die rivier gespeel en nou is hulle moeg.",
    "am": "ልጆቹ ትናንት በወንዙ አጠገብ ተጫወቱ።",
    "ar": "لعب الأطفال أمس قرب النهر ثم عادوا إلى البيت.",
    "az": "Uşaqlar dünən çayın yanında oynadılar və evə qayıtdılar.",
    "be": "Учора дзеці гулялі каля ракі, а потым вярнуліся дадому.",
    "bg": "Вчера децата играха край реката и после се прибраха вкъщи.",
    "bn": "শিশুরা গতকাল নদীর ধারে খেলেছিল।",
    "ca": "Ahir els nens van jugar a la vora del riu i després van tornar a casa.",
    "cs": "Děti si včera hrály u řeky a pak se vrátily domů.",
    "cy": "Roedd y plant yn chwarae wrth yr afon ddoe cyn mynd adref.",
    "da": "Børnene legede ved floden i går, og bagefter gik de hjem.",
    "de": "Die Kinder haben gestern am Fluss gespielt und sind dann nach Hause gegangen.",
    "el": "Τα παιδιά έπαιξαν χθες δίπλα στο ποτάμι.",
    "en": "The children played beside the river yesterday and then walked home.",
    "es": "Los niños jugaron ayer junto al río y luego volvieron a casa.",
    "et": "Lapsed mängisid eile jõe ääres ja läksid siis koju.",
    "eu": "Haurrek ibai ondoan jolastu zuten atzo, eta gero etxera joan ziren.",
    "fa": "بچه‌ها دیروز کنار رودخانه بازی کردند و بعد به خانه برگشتند.",
    "fi": "Lapset leikkivät eilen joen rannalla ja menivät sitten kotiin.",
    "fr": "Les enfants ont joué hier au bord de la rivière, puis ils sont rentrés.",
    "ga": "Bhí na páistí ag súgradh cois abhann inné.",
    "gu": "બાળકો ગઈકાલે નદી કિનારે રમ્યા હતા.",
    "he": "הילדים שיחקו אתמול ליד הנהר ואחר כך חזרו הביתה.",
    "hi": "बच्चे कल नदी के किनारे खेले और फिर घर लौट आए।",
    "hu": "A gyerekek tegnap a folyónál játszottak, aztán hazamentek.",
    "hy": "Երեխաները երեկ խաղում էին գետի ափին։",
    "id": "Kemarin anak-anak bermain di tepi sungai karena cuaca bagus.",
    "is": "Börnin léku sér við ána í gær og fóru svo heim.",
    "it": "Ieri i bambini hanno giocato vicino al fiume e poi sono tornati a casa.",
    "ja": "子どもたちは昨日、川のそばで遊んだ。",
    "ka": "ბავშვები გუშინ მდინარესთან თამაშობდნენ.",
    "kk": "Балалар кеше өзен жағасында ойнап, кейін үйге қайтты.",
    "km": "ក្មេងៗបានលេងនៅក្បែរទន្លេកាលពីម្សិលមិញ។",
    "kn": "ಮಕ್ಕಳು ನಿನ್ನೆ ನದಿಯ ಬಳಿ ಆಡಿದರು.",
    "ko": "아이들은 어제 강가에서 놀았다.",
    "lo": "ເດັກນ້ອຍຫຼິ້ນຢູ່ແຄມແມ່ນ້ຳມື້ວານນີ້",
    "lt": "Vakar vaikai žaidė prie upės, o paskui grįžo namo.",
    "lv": "Vakar bērni spēlējās pie upes un pēc tam devās mājās.",
    "mk": "Децата вчера играа крај реката и потоа се вратија дома.",
    "ml": "കുട്ടികൾ ഇന്നലെ പുഴയുടെ അരികിൽ കളിച്ചു.",
    "mr": "मुले काल नदीच्या काठी खेळली आणि मग घरी परत आली.",
    "my": "ကလေးတွေ မနေ့က မြစ်နားမှာ ကစားခဲ့ကြတယ်။",
    "nb": "Barna lekte ved elven i går, og etterpå gikk de hjem fordi det var mye regn.",
    "nl": "De kinderen speelden gisteren bij de rivier en gingen daarna naar huis.",
    "or": "ପିଲାମାନେ କାଲି ନଦୀ କୂଳରେ ଖେଳୁଥିଲେ।",
    "pa": "ਬੱਚੇ ਕੱਲ੍ਹ ਨਦੀ ਦੇ ਕੰਢੇ ਖੇਡੇ ਸਨ।",
    "pl": "Dzieci bawiły się wczoraj nad rzeką, a potem wróciły do domu.",
    "pt": "As crianças brincaram ontem perto do rio e depois voltaram para casa.",
    "ro": "Copiii s-au jucat ieri lângă râu și apoi s-au întors acasă.",
    "ru": "Вчера дети играли у реки, а потом вернулись домой.",
    "si": "ළමයි ඊයේ ගඟ අසල සෙල්ලම් කළා.",
    "sk": "Deti sa včera hrali pri rieke a potom sa vrátili domov, pretože bol večer.",
    "sl": "Otroci so se včeraj igrali ob reki in nato odšli domov.",
    "sq": "Fëmijët luajtën dje pranë lumit dhe pastaj u kthyen në shtëpi.",
    "sr": "Деца су се јуче играла поред реке, а онда су отишла кући.",
    "sv": "Barnen lekte vid floden i går och gick sedan hem.",
    "sw": "Watoto walicheza kando ya mto jana kisha wakarudi nyumbani.",
    "ta": "குழந்தைகள் நேற்று ஆற்றின் அருகே விளையாடினார்கள்.",
    "te": "పిల్లలు నిన్న నది ఒడ్డున ఆడుకున్నారు.",
    "th": "เมื่อวานเด็กๆ เล่นกันริมแม่น้ำ",
    "tr": "Çocuklar dün nehir kenarında oynadılar ve sonra eve döndüler.",
    "uk": "Учора діти гралися біля річки, а потім повернулися додому.",
    "ur": "بچے کل دریا کے کنارے کھیل رہے تھے اور پھر گھر لوٹ آئے۔",
    "vi": "Hôm qua bọn trẻ chơi bên bờ sông rồi về nhà.",
    "yo": "Àwọn ọmọ náà ṣeré ní ẹ̀gbẹ́ odò lánàá.",
    "zh": "孩子们昨天在河边玩，后来就回家了。",
    "zh-Hant": "孩子們昨天在河邊玩，後來就回家了。",
}  # fmt: skip
"""One plain sentence each, written for this test."""


@pytest.fixture(scope="module")
def vote() -> LoadedEnsemble:
    return LanguageIdEnsemble().load(cache=None, threads=1)


class Scripted:
    """An identifier that knows some texts by heart."""

    def __init__(self, says: Mapping[str, Sequence[tuple[str, float]]], known: Sequence[str]) -> None:
        self._says, self._known = says, known

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        said = [self._says.get(text, ())[:k] for text in texts]
        return Identified([[tag for tag, _ in one] for one in said], [[value for _, value in one] for one in said])

    def supports(self, language: str) -> bool:
        return language in self._known


class Scripting(Model):
    """A model that becomes a :class:`Scripted`."""

    use: ClassVar[str] = "scripting"
    name: str
    says: dict[str, tuple[tuple[str, float], ...]]
    known: tuple[str, ...] = ("en", "da", "nb", "nn", "de", "id", "ms", "zh", "zh-Hant", "ru")
    revision: int = 1

    def name_and_revision(self) -> str:
        return f"{self.name}@{self.revision}"

    def load(self, *, cache: Path | None, threads: int) -> Scripted:
        return Scripted(self.says, self.known)


def voters(*says: dict[str, Any], known: Sequence[tuple[str, ...]] = (), **given: Any) -> LoadedEnsemble:
    more = [{"known": one} for one in known] or [{}] * len(says)
    models = {
        f"m{at}": Scripting(name=f"m{at}", says=one, **extra)
        for at, (one, extra) in enumerate(zip(says, more, strict=True))
    }
    return LanguageIdEnsemble(members=tuple(models), **given).with_models(models).load(cache=None, threads=1)


# ---------------------------------------------------------------------------------------------------------- the real
def test_it_names_languages_in_all_scripts(vote: LoadedEnsemble) -> None:
    assert isinstance(vote, LanguageIdentifier)
    found = vote.identify(list(GOLDEN.values()))
    wrong = {
        tag: tags
        for tag, tags in zip(GOLDEN, found.languages, strict=True)
        if not tags or not languages.accepts(tag, tags[0])
    }
    assert wrong == {}
    assert all(vote.supports(tag) for tag in GOLDEN)
    assert len(GOLDEN) >= 60
    assert min(values[0] for values in found.probabilities) > 0.4


def test_three_words_are_enough_for_most(vote: LoadedEnsemble) -> None:
    short = {tag: " ".join(text.split()[:3]) for tag, text in GOLDEN.items() if len(text.split()) > 5}
    found = vote.identify(list(short.values()))
    right = sum(
        bool(tags) and languages.accepts(tag, tags[0]) for tag, tags in zip(short, found.languages, strict=True)
    )
    assert right >= 0.85 * len(short)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "😀 🎉", "12 + 30 = 42", "\x00", "\ud800", "।", "-- ... !!", "\u0301"]
)
def test_a_text_without_letters_is_not_identified(vote: LoadedEnsemble, text: str) -> None:
    assert vote.identify([text]) == Identified([[]], [[]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=30), max_size=5), st.integers(1, 3))
def test_any_text_is_safe_and_does_not_touch_its_neighbours(vote: LoadedEnsemble, texts: list[str], k: int) -> None:
    found = vote.identify(texts, k)
    assert len(found.languages) == len(found.probabilities) == len(texts)
    for text, tags, values in zip(texts, found.languages, found.probabilities, strict=True):
        alone = vote.identify([text], k)
        assert alone.languages == [tags]
        assert alone.probabilities[0] == pytest.approx(values, abs=1e-5)
        assert len(tags) == len(values) <= k
        assert values == sorted(values, reverse=True)
        assert all(0 < value <= 1 for value in values)


def test_hindi_in_latin_letters_is_called_so(vote: LoadedEnsemble) -> None:
    found = vote.identify(["mera bhai kal dilli ja raha hai aur woh bahut khush hai"], k=2)
    assert found.languages[0][0] == "hi-Latn"
    assert vote.supports("hi-Latn")
    mixed = (
        "Remind me to call Priya aur usse pucho ki what time she is coming to the office tomorrow",
        "party ke songs bajaiye please",
        "Kal ka weather forecast for Pune kaisa hai",
        "timer ko band kardo",
    )
    assert [tags[:1] for tags in vote.identify(mixed).languages] == [["hi-Latn"]] * len(mixed)
    english = (
        "Do you see the main door of the bank?",
        "Ask me about the cost, or tell him no.",
        "Die in peace, dear Pe.",
    )
    assert all(tags[:1] != ["hi-Latn"] for tags in vote.identify(english).languages)
    assert vote.identify(["She said the bus was late again because of the rain."]).languages == [["en"]]


def test_the_spelling_of_chinese_is_told_by_its_characters(vote: LoadedEnsemble) -> None:
    assert vote.identify(["这个问题", "這個問題", "我們說過"]).languages == [["zh"], ["zh-Hant"], ["zh-Hant"]]


def test_with_a_choice_of_languages_two_words_do(vote: LoadedEnsemble) -> None:
    few = LanguageIdEnsemble(languages=("da", "de", "sw")).load(cache=None, threads=1)
    assert few.identify(["kwa sababu", "hvor mange", "noch nicht"]).languages == [["sw"], ["da"], ["de"]]
    assert not few.supports("en")
    assert few.identify([GOLDEN["th"]]).languages == [[]]


# ------------------------------------------------------------------------------------------------------------ weighing
def test_a_script_of_one_language_decides_without_asking() -> None:
    held = voters({}, {})
    assert held.identify([GOLDEN["th"], GOLDEN["ko"]]).languages == [["th"], ["ko"]]
    assert held.supports("th")
    asked = voters({}, {}, scripts=False)
    assert asked.identify([GOLDEN["th"]]).languages == [[]]
    # Half of it in other letters decides nothing.
    assert held.identify(["ภาษาไทย and much more in quite another language"]).languages == [[]]


def test_what_the_script_contradicts_is_left_out() -> None:
    held = voters({"привет мир": (("en", 0.9), ("ru", 0.1))}, {"привет мир": (("ru", 0.6), ("en", 0.3))})
    assert held.identify(["привет мир"], k=3).languages == [["ru"]]


def test_a_factor_of_nought_leaves_a_member_out() -> None:
    said = ({"abc def": (("de", 0.998), ("en", 0.002))}, {"abc def": (("en", 0.95), ("de", 0.05))})
    assert voters(*said).identify(["abc def"]).languages == [["de"]]
    assert voters(*said, weights={"m0": {"default": 0.0}}).identify(["abc def"]).languages == [["en"]]


def test_it_abstains_below_its_threshold() -> None:
    said = ({"abc def": (("de", 0.5), ("en", 0.5))}, {"abc def": (("en", 0.5), ("de", 0.5))})
    assert voters(*said, abstain=0.9).identify(["abc def"]) == Identified([[]], [[]])
    assert len(voters(*said, abstain=0.0).identify(["abc def"], k=2).languages[0]) == 2


def test_a_group_is_named_where_its_members_cannot_be_told_apart() -> None:
    said = {"en god dag": (("da", 0.49), ("nb", 0.48), ("de", 0.01)), "ein guter tag": (("de", 0.97),)}
    held = voters(said, said, groups="name", sure=0.95)
    found = held.identify(["en god dag", "ein guter tag"], k=2)
    assert found.languages[0][0] == "gmq"
    assert found.probabilities[0][0] > 0.8
    assert found.languages[1][0] == "de"
    assert voters(said, said).identify(["en god dag"]).languages[0][0] in {"da", "nb"}


def test_telling_words_speak_for_a_language() -> None:
    text = "ikkje eg noko"
    said = {text: (("nb", 0.5), ("nn", 0.5))}
    assert voters(said, said).identify([text]).languages == [["nn"]]


# ----------------------------------------------------------------------------------------------------------- agreement
def test_agreement_is_of_all_that_know_the_language() -> None:
    first = {"a b": (("de", 0.9), ("en", 0.1)), "c d": (("de", 0.9),), "e f": (("nn", 0.7),)}
    second = {"a b": (("de", 0.6), ("da", 0.4)), "c d": (("en", 0.9),), "e f": (("da", 0.9),)}
    third = {"a b": (("de", 0.9),), "c d": (("de", 0.9),), "e f": ()}
    held = voters(first, second, third, mode="agreement", abstain=0.0)
    found = held.identify(["a b", "c d", "e f"])
    assert found.languages == [["de"], [], []]
    assert found.probabilities[0] == pytest.approx([0.8], abs=1e-3)


def test_who_does_not_know_a_language_is_not_asked_about_it() -> None:
    said = ({"x y": (("sw", 0.9),)}, {"x y": (("sw", 0.8),)}, {"x y": (("en", 0.6),)})
    known = (("sw", "en"), ("sw", "en"), ("en",))
    assert voters(*said, known=known, mode="agreement").identify(["x y"]).languages == [["sw"]]
    assert voters(*said, known=known, mode="agreement", quorum=3).identify(["x y"]).languages == [["sw"]]


# ------------------------------------------------------------------------------------------------------------ identity
def test_it_is_its_members_and_its_data() -> None:
    one, two = Scripting(name="one", says={}), Scripting(name="two", says={})
    held = LanguageIdEnsemble(members=("a", "b")).with_models({"a": one, "b": two, "c": one})
    same = LanguageIdEnsemble(members=("x", "y")).with_models({"x": one, "y": two})
    other = LanguageIdEnsemble(members=("a", "b")).with_models(
        {"a": one, "b": Scripting(name="two", says={}, revision=2)}
    )
    heavier = LanguageIdEnsemble(members=("a", "b"), weights={"a": {"de": 2.0}}).with_models({"a": one, "b": two})
    assert held.model_identity() == same.model_identity()
    assert len({held.name_and_revision(), other.name_and_revision(), heavier.name_and_revision()}) == 3
    assert pickle.loads(pickle.dumps(held)).model_identity() == held.model_identity()


def test_weights_of_one_s_own_count_by_content(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(
        '{"weights": {"languages": ["de", "en"], "usual": {"w": 1.0, "s": 0, "c": 0}, "temperature": {"default": [0,'
        " 0]}}}",
        encoding="utf-8",
    )
    members = {"m": Scripting(name="m", says={"a b": (("de", 0.8), ("en", 0.2))})}
    mine = LanguageIdEnsemble(members=("m",), calibration=path).with_models(members)
    found = mine.load(cache=None, threads=1).identify(["a b"], k=2)
    assert found.languages == [["de", "en"]]
    assert found.probabilities[0] == pytest.approx([0.8, 0.2], abs=1e-3)
    assert str(tmp_path) not in str(mine.model_identity())
    assert mine.name_and_revision() != LanguageIdEnsemble(members=("m",)).with_models(members).name_and_revision()
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(ModelError, match="no file of weights"):
        mine.load(cache=None, threads=1)
    with pytest.raises(ModelError, match="there is no file of weights"):
        LanguageIdEnsemble(members=("m",), calibration=tmp_path / "none.json").with_models(members).load(
            cache=None, threads=1
        )


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ModelError, match=r"no model is called 'fastext'.*fasttext"):
        LanguageIdEnsemble(members=("fastext",)).load(cache=None, threads=1)
    with pytest.raises(ModelError, match="is no language identifier"):
        LanguageIdEnsemble(members=("use-multilingual",)).with_models({"use-multilingual": _NoIdentifier()}).load(
            cache=None, threads=1
        )
    with pytest.raises(ValidationError, match="twice"):
        LanguageIdEnsemble(members=("eld", "eld"))
    with pytest.raises(ValidationError, match="not in 'members'"):
        LanguageIdEnsemble(members=("eld",), weights={"edl": {"de": 1.0}})
    with pytest.raises(ValueError, match="at least 1"):
        voters({}).identify(["a"], k=0)


class _NoIdentifier(Scripting):
    name: str = "none"
    says: dict[str, tuple[tuple[str, float], ...]] = {}

    def load(self, *, cache: Path | None, threads: int) -> Any:
        return object()


# ---------------------------------------------------------------------------------------------------------------- data
def test_the_data_name_registered_languages() -> None:
    for group in data.groups():
        assert languages.normalize(group.tag) == group.tag
        assert all(languages.normalize(tag) == tag for tag in group.members)
        assert len(group.members) >= 2
    members = [tag for group in data.groups() for tag in group.members]
    assert len(members) == len(set(members))
    for tag in (*data.alphabets(), *data.other_scripts(), *data.romanised_words(), *data.deciding_scripts().values()):
        assert languages.normalize(tag) == tag
    for script, tag in data.deciding_scripts().items():
        assert script in languages.letters(tag)


def test_a_group_s_name_means_its_members() -> None:
    assert data.means("gmq", "nb-NO")
    assert data.means("zls", "sr-Latn")
    assert not data.means("zls", "sr")
    assert not data.means("gmq", "sv")
    assert not data.means("da", "nb")
    assert all(words for words in data.telling_words().values())

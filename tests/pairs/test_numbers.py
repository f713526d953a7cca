"""Numbers on two sides: what says the same in other digits, separators, scales and words, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.text.number_match import compare
from curate.text.numbers import han_value, mentions

SAME = [
    ("en", "zh", "1. Wash 15 apples.\n2. Cut them.\n3. Cook them.", "• 洗15个苹果。\n• 切开。\n• 煮熟。"),
    ("en", "de", "It is 5 miles away.", "Es ist 8 km entfernt."),
    ("en", "zh", "The city is 100 miles away.", "这座城市在160公里外。"),
    ("en", "es", "Heat the oven to 350 °F.", "Caliente el horno a 175 °C."),
    ("en", "zh", "It was 86 degrees Fahrenheit.", "当时是30摄氏度。"),
    ("en", "zh", "It was 86 degrees Fahrenheit.", "当时是摄氏30度。"),
    ("en", "ja", "She weighs 110 pounds.", "彼女の体重は50キロです。"),
    ("en", "ru", "He is 6 feet tall.", "Его рост 1,8 метра."),
    ("en", "ar", "It takes 10 gallons of water.", "يحتاج إلى ٣٨ لترا من الماء."),
    ("hi", "en", "गाँव २४ किलोमीटर दूर है।", "The village is 15 miles away."),
    ("en", "ar", "Bring (1) salt, (2) oil and (3) 25 eggs.", "أحضر الملح والزيت و٢٥ بيضة."),
    ("hi", "en", "१. नमक\n२. तेल\n\n१. १५ अंडे", "- salt\n- oil\n\n- 15 eggs"),
    ("en", "de", "It cost 1,234.50 dollars.", "Es kostete 1.234,50 Dollar."),
    ("en", "fr", "There are 1,250,000 trees.", "Il y a 1 250 000 arbres."),
    ("en", "ar", "The bridge was built in 1998.", "بني الجسر عام ١٩٩٨."),
    ("en", "fa", "He is 47 years old.", "او ۴۷ ساله است."),
    ("en", "hi", "The field is 365 metres long.", "खेत ३६५ मीटर लंबा है।"),
    ("en", "bn", "Bus 72 is late.", "৭২ নম্বর বাস দেরি করেছে।"),
    ("en", "my", "Room 84", "အခန်း ၈၄"),
    ("en", "zh", "120,000 people live here.", "这里住着12万人。"),
    ("en", "zh", "The firm is worth 3.5 billion.", "这家公司价值35亿。"),
    ("en", "zh", "She was born in 1985.", "她出生于一九八五年。"),
    ("en", "ja", "About 120 million people", "約1億2000万人"),
    ("en", "ko", "It sold 250,000 copies.", "25만 부가 팔렸다."),
    ("en", "hi", "About 2,500,000 rupees", "लगभग 25 लाख रुपये"),
    ("en", "en", "about 12,50,000 rupees", "about 12.5 lakh rupees"),
    ("en", "th", "In 2019 it rained.", "ในปี 2562 ฝนตก"),
    ("en", "de", "The shop opens at 3 p.m.", "Der Laden öffnet um 15 Uhr."),
    ("en", "de", "The bus comes at 9:30.", "Der Bus kommt um 9.30 Uhr."),
    ("en", "de", "In the 1980s", "In den 80er Jahren"),
    ("en", "ru", "in the 19th century", "в XIX веке"),
    ("en", "de", "I have 5 sisters.", "Ich habe fünf Schwestern."),
    ("de", "en", "Er hat 12 Kühe.", "He has twelve cows."),
    ("en", "sw", "The house has 3 doors.", "Nyumba ina milango mitatu na madirisha."),
    ("en", "zh", "We met on 12 May 2020.", "我们在2020年5月12日见面。"),
    ("de", "en", "am 07.03.2021", "on 7 March 2021"),
    ("en", "fr", "a share of 15%", "une part de 15 %"),
    ("en", "ru", "The value is 2.35.", "Значение равно 2,35."),
    ("en", "de", "It weighs .5 kg.", "Es wiegt 0,5 kg."),
    ("en", "zu", "The village has 8 wells.", "Umuzana unemithombo eyisishiyagalombili."),
]  # fmt: skip
OTHER = [
    ("en", "de", "1. Wash 13 apples.\n2. Cut them.", "1. Wasche 14 Äpfel.\n2. Schneide sie."),
    ("en", "de", "It cost 1,234.50 dollars.", "Es kostete 1.243,50 Dollar."),
    ("en", "zh", "He has 7 cats.", "他有8只猫。"),
    ("en", "zh", "120,000 people live here.", "这里住着120万人。"),
    ("en", "ar", "The bridge was built in 1998.", "بني الجسر عام ١٩٨٩."),
    ("en", "hi", "About 2,500,000 rupees", "लगभग 25 करोड़ रुपये"),
    ("en", "th", "In 2019 it rained.", "ในปี 2560 ฝนตก"),
    ("en", "ja", "About 120 million people", "約1億3000万人"),
    ("en", "ko", "It sold 250,000 copies.", "26만 부가 팔렸다."),
    ("en", "ru", "The train leaves at 10:45.", "Поезд отходит в 10:25."),
    ("en", "my", "Room 84", "အခန်း ၈၅"),
    ("en", "de", "It is 5 miles away.", "Es ist 9 km entfernt."),
    ("en", "de", "It is 5 miles away.", "Es ist 8 Meilen entfernt."),
    ("en", "fr", "It weighs 5 pounds.", "Il fait 8 km."),
    ("en", "es", "It was 86 °F.", "Hacía 36 °C."),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "source", "target"), SAME)
def test_the_same_number_is_known_however_it_is_written(one: str, other: str, source: str, target: str) -> None:
    for found in (compare(source, target, one, other), compare(target, source, other, one)):
        assert found is not None
        assert (found.lost, found.added) == ((), ())


@pytest.mark.parametrize(("one", "other", "source", "target"), OTHER)
def test_another_number_is_lost_and_added(one: str, other: str, source: str, target: str) -> None:
    found = compare(source, target, one, other)
    assert found is not None
    assert found.lost and found.added
    back = compare(target, source, other, one)
    assert back is not None
    assert (len(back.lost), len(back.added)) == (len(found.added), len(found.lost))


def test_a_number_that_is_missing_is_told_and_texts_without_any_are_not_assessed() -> None:
    found = compare(
        "Mix 250 g of flour with 3 eggs and bake for 45 minutes.",
        "Mehl mit drei Eiern mischen und 45 Minuten backen.",
        "en",
        "de",
    )
    assert found is not None
    assert (found.lost, found.added) == (("250",), ())
    assert compare("No number here.", "Keine Zahl hier.", "en", "de") is None


@pytest.mark.parametrize(
    ("one", "other", "source", "target", "lost", "added"),
    [
        # Of two that are there anyway one became another.
        (
            "en",
            "de",
            "Ann took 2 pears, Bob 4, then both took 2.",
            "Ann nahm 2 Birnen, Bob 4, dann nahmen beide 9.",
            ("2",),
            ("9",),
        ),
        ("en", "ru", "A pass of 7 yards in the fourth quarter", "Пас на 4 ярда в четвёртой четверти", ("7",), ("4",)),
        # Half a litre need not be said with digits, but 5.5 of them are no half.
        ("ru", "en", "Стакан стоит 0,50 $.", "A glass is $5.50.", ("0,50",), ("5.50",)),
        (
            "de",
            "en",
            "Ein Pfund kostet 1,50 Euro, und er nahm 4.",
            "A pound is 4.50 euros, and he took 4.",
            ("1,50",),
            ("4.50",),
        ),
        ("zh", "en", "周围1,000米", "within 1700 metres", ("1,000",), ("1700",)),
        ("de", "en", "Sie isst 1 Keks, er 6.", "She eats 1 cookie, he eats 1.", ("6",), ("1",)),
    ],
)
def test_a_number_that_stands_for_another_is_told_even_where_it_may_stand(
    one: str, other: str, source: str, target: str, lost: tuple[str, ...], added: tuple[str, ...]
) -> None:
    found = compare(source, target, one, other)
    assert found is not None
    assert (found.lost, found.added) == (lost, added)


def test_where_scales_are_not_known_a_number_may_be_counted_in_any() -> None:
    found = compare("Watu 50 milioni", "50,000,000 people", "xx", "en")
    assert found is not None and (found.lost, found.added) == ((), ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("二十五", 25),
        ("一百零三", 103),
        ("三万二千", 32000),
        ("十二亿", 1_200_000_000),
        ("两千零八", 2008),
        ("二〇一九", 2019),
        ("壹佰", 100),
        ("四十万", 400_000),
    ],
)
def test_han_numerals_have_their_values(text: str, value: float) -> None:
    assert han_value(text) == value


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["en", "de", "zh", "ar", "th", "und", "xx-yy"]))
@settings(max_examples=200, deadline=None)
def test_whatever_stands_there_is_compared_and_a_text_agrees_with_itself(one: str, other: str, tag: str) -> None:
    compare(one, other, tag, "en")
    itself = compare(one, one, tag, tag)
    assert itself is None or (itself.lost, itself.added) == ((), ())


@given(st.integers(13, 10**12))
@settings(max_examples=200, deadline=None)
def test_grouping_changes_no_number(value: int) -> None:
    forms = [
        f"{value}",
        f"{value:,}",
        f"{value:,}".replace(",", "."),
        f"{value:,}".replace(",", "\u202f"),
        f"{value:,}".replace(",", "'"),
    ]
    for form in forms:
        assert any(float(value) in one.values for one in mentions(f"x {form} y", "de")), form


def test_a_hostile_row_of_digits_costs_no_more_than_its_length() -> None:
    long = "1." * 50_000 + " " + "9" * 100_000 + "," * 50_000
    many = "; ".join(str(number) for number in range(20_000))
    found = compare(many, f"{many}; 77777", "en", "de")
    assert found is not None and found.added == ("77777",)
    found = compare(long, long, "en", "de")
    assert found is not None
    assert not found.lost
    far, heavy = (" | ".join(f"{number} {unit}" for number in range(4_000)) for unit in ("km", "kg"))
    found = compare(f"{far} | 77777 km", heavy, "en", "de")
    assert found is not None and found.lost == ("77777",)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("5 miles (8 km)", "5 Meilen (8,5 km)"),
        ("6 feet (183 cm)", "6 Fuß (193 cm)"),
        ("68 °F (20 °C)", "68 °F (21 °C)"),
    ],
)
def test_another_number_in_the_same_unit_is_no_conversion_of_the_one_beside_it(source: str, target: str) -> None:
    found = compare(source, target, "en", "de")
    assert found is not None and found.lost and found.added

"""What a text says in the end, whatever the language, the digits and the signs."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.catalog.params import PerLanguage
from curate.preferences.self_consistency.answer_phrases import load_words, phrases_of
from curate.preferences.self_consistency.choices import options_of
from curate.preferences.self_consistency.extract import Reader, last_box
from curate.preferences.self_consistency.numbers import numbers, parse, style_of, tidy, written

ENGLISH = "Which city is it?\nA) Paris\nB) New York\nC) York\nD) Oslo"


def answer(text: str, language: str, form: str = "number", prompt: str = "", **more) -> str | None:
    found = Reader(form, **more).find(text, language, prompt)
    return None if found is None else found.answer


@pytest.mark.parametrize(("language", "text", "value"), [
    ("am", "ስለዚህ መልሱ፦ ፲፰ ነው።", "18"),
    ("ar", "باعت 9 بيضات. الجواب هو ١٬٢٣٤٫٥ دينار.", "1234.5"),
    ("bn", "৯ × ২। সুতরাং উত্তর হল ১,২৩,৪৫৬ টাকা।", "123456"),
    ("cs", "Odpověď: 1 250,75 Kč", "1250.75"),
    ("de", "Die Antwort auf die Frage lautet 1.234,5 Euro, nicht 7.", "1234.5"),
    ("de-CH", "Antwort: 1’250.50 Franken", "1250.5"),
    ("el", "Η απάντηση είναι 1.250,5 ευρώ.", "1250.5"),
    ("en", "To answer, we add 4 and 5. The answer is 4 + 5 = 9 eggs.", "9"),
    ("es", "Respuesta final: 70 000 $", "70000"),
    ("es-MX", "La respuesta es $2,125.", "2125"),
    ("fa", "پاسخ نهایی: ۷۰٬۰۰۰ تومان", "70000"),
    ("fi", "Vastaus on −2,5 astetta.", "-2.5"),
    ("fr", "La réponse est 1 234,5 €.", "1234.5"),
    ("he", "התשובה היא 18 שקלים.", "18"),
    ("hi", "उत्तर १२,३४,५६७ है।", "1234567"),
    ("hi", "उत्तर: 2 लाख 50 हज़ार", "250000"),
    ("id", "Jawabannya adalah Rp1.250.000,00.", "1250000"),
    ("ja", "その結果、卵は１３個です。答えは約７万５千円です。", "75000"),
    ("ko", "정답은 3만 2천 원입니다.", "32000"),
    ("my", "အဖြေမှာ ၁၈ ဖြစ်သည်။", "18"),
    ("pl", "Odpowiedź brzmi 3½ godziny.", "3.5"),
    ("pt", "A resposta final é R$ 1.234,50.", "1234.5"),
    ("ru", "Итого 12. Ответ — 5 тысяч рублей", "5000"),
    ("sw", "Kwa hiyo jibu ni Sh 18,000/= kwa siku 7.", "18000"),
    ("ta", "எனவே விடை 18.", "18"),
    ("te", "కాబట్టి సమాధానం ౧౮.", "18"),
    ("th", "ดังนั้นคำตอบคือ ๑๘ บาท", "18"),
    ("tr", "Cevap 1.250,50 TL'dir.", "1250.5"),
    ("uk", "Відповідь: 1 250 грн", "1250"),
    ("vi", "Đáp số: 2 triệu 500 nghìn đồng", "2500000"),
    ("zh", "千万别急。答案是三万二千零五元。", "32005"),
    ("zh", "答案：百分之五十", "50"),
    ("zh-Hant", "答案是1億2000萬。", "120000000"),
])  # fmt: skip
def test_an_announced_number_is_read_as_the_language_writes_it(language, text, value):
    assert answer(text, language) == value


@pytest.mark.parametrize(("text", "value"), [
    ("First 3.\n\\boxed{\\frac{3}{4}} and $\\boxed{-1{,}250.5}$ of 9", "-1250.5"),
    ("9 * 2 = $18 for 3 days\n#### 1,018", "1018"),
    ("**Final Answer**\n\n$18$", "18"),
    ("Answer (in cups): 1 1/2 of 4", "1.5"),
    ("Answer: \\frac{1}{3}", "1/3"),
    ("Answer: 1.5 \\times 10^{3}", "1500"),
    ("Answer: 10^3", "1000"),
    ("So 18 is the correct answer, after 4 steps.", "18"),
    ("As a result, there are 13 eggs. She makes 18 dollars", "18"),
    ("1. Add 3.\n2. It comes to 40\n3. Done", "40"),
    ("<think>the answer is 5</think> 6, I'd say", "6"),
    ("The answer is Rs. 18.", "18"),
    ("It was minus 5 degrees", "-5"),
    ("It was 10 minus 5", "5"),
    ("It is 3-5", "5"),
    ("in H2O, x1", None),
    ("nothing to see", None),
    ("   ", None),
    ("9" * 5000, None),
])  # fmt: skip
def test_an_answer_is_what_is_boxed_or_announced_or_said_last(text, value):
    assert answer(text, "en") == value


def test_only_announced_answers_count_where_that_is_asked_for():
    assert answer("That makes 18.", "en", last=False) is None
    assert answer("The answer is 18.", "en", last=False) == "18"


def test_own_markers_stand_in_the_place_of_the_known_ones():
    markers = PerLanguage(None, {"de": ("Also bleibt:",)})
    assert answer("Antwort: 4\nAlso bleibt: 5 von 9", "de", markers=markers) == "5"
    assert answer("Answer: 4, or 9", "en", markers=markers) == "4"


def test_signs_that_leave_a_doubt_are_told_with_both_readings():
    assert Reader("number").find("Antwort: 1,234", "de") == Reader("number").find("Antwort: 1,234", "fr")
    found = Reader("number").find("Antwort: 1,234", "de")
    assert found is not None and (found.answer, found.other) == ("1.234", "1234")
    found = Reader("number").find("Answer: 1,234", "en")
    assert found is not None and (found.answer, found.other) == ("1234", "1.234")


def test_a_text_that_shows_its_own_signs_is_read_by_them():
    assert answer("Von 1,234.50 bleiben 1,125", "de") == "1125"
    assert answer("Bleibt 1,125", "de") == "1.125"
    assert answer("Bleibt 1,125", "de", decimal=PerLanguage(".")) == "1125"


def test_a_share_may_count_as_a_share():
    assert answer("Das sind 50 %", "de", percent="share") == "0.5"
    assert answer("答案是百分之五十", "zh", percent="share") == "0.5"
    assert answer("c'est 12,5 pour cent", "fr", percent="share") == "0.125"


def test_numbers_may_be_rounded_before_they_are_compared():
    assert answer("Answer: 3.33333", "en", digits=2) == answer("Answer: 10/3", "en", digits=2) == "3.33"


def test_a_date_or_a_version_is_no_number_with_decimals():
    assert [one.value for one in numbers("1.2.3 and 12/05/2020", style_of("en"))] == ["1", "2", "3", "12", "5", "2020"]


def test_a_short_text_is_a_number_whatever_stands_around_it():
    found = parse("70,000 USD", style_of("es"))
    assert found is not None and found.value == "70000"
    assert parse("3 or 4", style_of("en")) is None and parse("none", style_of("en")) is None


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_every_value_is_written_in_one_way_and_read_back(whole, places):
    value = Fraction(whole, 10**places)
    text = written(value)
    assert Fraction(text) == value
    number = parse(text, style_of("en"))
    assert number is not None and text in (number.value, number.other)


@given(st.integers(0, 10**9), st.sampled_from("٠۰०০௦౦๐၀០০༠０𝟎߀᠐"))
def test_digits_of_every_script_say_the_same(value, zero):
    shown = "".join(chr(ord(zero) + int(digit)) for digit in str(value))
    assert [one.value for one in numbers(tidy(f"= {shown}"), style_of("en"))] == [str(value)]


@given(st.integers(0, 10**8 - 1))
def test_han_numerals_say_what_digits_say(value):
    def said(number: int) -> str:
        text, zero = "", False
        for size, unit in ((10**4, "万"), (1000, "千"), (100, "百"), (10, "十"), (1, "")):
            digit, number = divmod(number, size)
            if digit:
                text += ("零" if zero else "") + (said(digit) if digit > 9 else "〇一二三四五六七八九"[digit]) + unit
                zero = False
            elif text and number:
                zero = True
        return text or "零"

    assert answer(f"答案是{said(value)}。", "zh") == str(value)


@given(
    st.text(max_size=300),
    st.sampled_from(["en", "zh", "ar", "th", "und"]),
    st.sampled_from(["number", "option", "boxed", "text", "json"]),
)
def test_no_text_is_too_strange(text, language, form):
    found = Reader(form).find(text, language, text)
    assert found is None or (found.answer and isinstance(found.answer, str))


@pytest.mark.parametrize(
    "text", ["{" * 50_000, "answer is " * 5_000, "1," * 30_000, "\\boxed{" * 10_000, "答案" * 30_000, "(B" * 30_000]
)
def test_hostile_texts_come_to_an_end(text):
    for form in ("number", "option", "boxed", "text", "json"):
        Reader(form).find(text, "zh", text[:3000])


# -------------------------------------------------------------------------------------------------------------- options
@pytest.mark.parametrize(("language", "text", "prompt", "name"), [
    ("en", "The correct answer is option **B**.", ENGLISH, "B"),
    ("en", "(c)", ENGLISH, "C"),
    ("en", "The answer is New York.", ENGLISH, "B"),
    ("en", "It must be York", ENGLISH, "C"),
    ("en", "A train leaves Oslo at five. I choose D.", ENGLISH, "D"),
    ("en", "\\boxed{\\text{A}}", ENGLISH, "A"),
    ("en", "I think it is hard.", ENGLISH, None),
    ("ar", "الإجابة: (ب)", "أ) نعم ب) لا ج) ربما", "B"),
    ("fa", "پاسخ: الف", "الف) بله ب) خیر", "A"),
    ("he", "התשובה: ג", "א. כן ב. לא ג. אולי", "C"),
    ("hi", "सही उत्तर: (ख)", "(क) नदी (ख) पहाड़ (ग) झील", "B"),
    ("ja", "答えはウです。", "ア. 犬 イ. 猫 ウ. 鳥", "C"),
    ("ja", "正解は②です", "①犬 ②猫 ③鳥", "B"),
    ("ko", "정답은 나입니다", "가. 개 나. 고양이 다. 새", "B"),
    ("ru", "Ответ: В", "А) раз Б) два В) три", "C"),
    ("ru", "Ответ: В", "A) раз B) два C) три", "B"),
    ("th", "คำตอบคือข้อ ข. แมว", "ก. หมา ข. แมว ค. ปลา", "B"),
    ("zh", "所以选C。答案是C。", "A. 猫 B. 狗 C. 鸟", "C"),
    ("zh", "答案：乙", "", "B"),
    ("en", "2", "Choose:\n1. a cat\n2. a dog\n3. a bird", "B"),
])  # fmt: skip
def test_an_option_is_its_place_in_the_prompts_own_labels(language, text, prompt, name):
    assert answer(text, language, "option", prompt) == name


def test_the_labels_of_a_prompt_are_all_there_are():
    assert answer("The answer is E.", "en", "option", ENGLISH) is None
    assert options_of(ENGLISH, "en").texts == ("paris", "new york", "york", "oslo")


# ------------------------------------------------------------------------------------------------------- other forms
def test_the_last_whole_box_counts_with_its_braces():
    assert (
        last_box("\\boxed{1} then \\boxed{x^{2}+\\sqrt{\\frac{1}{2}}} and \\boxed{never")
        == "x^{2}+\\sqrt{\\frac{1}{2}}"
    )
    assert last_box("\\boxed{a\\}b}") == "a\\}b" and last_box("\\boxed 5.") == "5" and last_box("none") is None


def test_formulas_that_differ_in_layout_only_are_one():
    one, other = ("so \\boxed{ x^2 + \\dfrac12 }", "\\boxed{x^2+\\frac{1}{2}}.")
    assert answer(one, "en", "boxed") == answer(other, "fr", "boxed") == "x^2+\\frac{1}{2}"
    assert answer("\\boxed{12\\text{ cm}}", "en", "boxed") == "12cm"
    assert answer("\\boxed{1{,}200}", "en", "boxed") == answer("\\boxed{1200}", "de", "boxed") == "1200"
    assert answer("no box, but 5", "en", "boxed") is None


@pytest.mark.parametrize(("language", "one", "other"), [
    ("en", "The answer is the Eiffel Tower.", "the  EIFFEL tower"),
    ("fr", "Réponse : « Café »", "café."),
    ("tr", "Cevap: İstanbul", "istanbul"),
    ("ar", "الجواب: مُحَمَّد", "محمد"),
    ("ja", "答えは「ＡＢＣ」", "abc"),
    ("hi", "उत्तर: दिल्ली।", "दिल्ली"),
    ("de", "Antwort: 12.000", "12 000"),
])  # fmt: skip
def test_short_texts_are_compared_in_their_normal_form(language, one, other):
    assert answer(one, language, "text") == answer(other, language, "text") is not None


def test_a_long_text_is_no_short_answer():
    assert answer("word " * 100, "en", "text") is None
    assert answer("word " * 100, "en", "text", max_chars=1000) is not None


def test_json_is_looked_for_anywhere_and_its_numbers_are_numbers():
    assert answer('Sure: {"answer": 18.50} done', "en", "json") == "18.5"
    assert answer('{"answer": 1} or rather ```json\n{"answer": "1,234"}\n```', "en", "json") == "1234"
    assert answer('{"result": {"value": [true, 2]}}', "en", "json", field="result.value.1") == "2"
    assert answer('{"answer": {"b": 1, "a": "}"}}', "en", "json") == '{"a":"}","b":1}'
    assert answer('{"other": 1}', "en", "json") is None and answer('{"answer": 1', "en", "json") is None


# ----------------------------------------------------------------------------------------------------------------- data
def test_every_language_of_the_data_is_compiled_and_written_as_text():
    known = load_words()["languages"]
    assert len(known) >= 25
    for language, one in known.items():
        assert all(
            isinstance(word, str) and word for given in one.values() if isinstance(given, list) for word in given
        ), language
        for noun in one["answer"]:
            assert answer(f"7 {noun}: 18 / 9 = 2", language) == "2", (language, noun)
        assert phrases_of(language).hints
    for name, labels in load_words()["labels"].items():
        assert len(set(labels)) == len(labels) and all(isinstance(label, str) for label in labels), name

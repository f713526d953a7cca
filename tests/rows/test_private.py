"""Private text: proved by sums and places, told apart from what only looks like it, in the digits of every script."""

from __future__ import annotations

import base64
import json
import string
import unicodedata
import zlib
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.pii import detect as private
from curate.pii import national_ids as private_ids
from curate.pii import secrets
from curate.pii.detect import find, find_all


def kinds(text: str) -> list[tuple[str, str]]:
    return [(hit.kind, text[hit.start : hit.end]) for hit in find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Write to ana.k+x@posteo.de.", "email", "ana.k+x@posteo.de"),
        ("写信到 ana@posteo.de，谢谢", "email", "ana@posteo.de"),
        ("почта иван@почта.рф", "email", "иван@почта.рф"),
        ("اكتب لana@posteo.de", "email", "ana@posteo.de"),
        ("ana (at) posteo (dot) de", "email", "ana (at) posteo (dot) de"),
        ("ｍａｉｌ：ａｎａ＠ｐｏｓｔｅｏ．ｄｅ", "email", "ａｎａ＠ｐｏｓｔｅｏ．ｄｅ"),
        ("Ring +49 30 9018 2034 today", "phone", "+49 30 9018 2034"),
        ("هاتف: ٠٧٩٨ ٤١٢ ٦٣٥٠", "phone", "٠٧٩٨ ٤١٢ ٦٣٥٠"),
        ("फ़ोन: ९८२०४ ७१३५६", "phone", "९८२०४ ७१३५६"),
        ("電話は０９０－４１８２－７７３５です", "phone", "０９０－４１８２－７７３５"),
        ("Call (415) 736-2204.", "phone", "(415) 736-2204"),
        ("тел. 8 (495) 736-22-04", "phone", "8 (495) 736-22-04"),
        ("我的手机号13671923745", "phone", "13671923745"),
        ("IBAN DE89 3704 0044 0532 0130 00 bitte", "iban", "DE89 3704 0044 0532 0130 00"),
        ("GB82WEST12345698765432", "iban", "GB82WEST12345698765432"),
        ("card 4539 5787 6362 1486", "card", "4539 5787 6362 1486"),
        ("from 81.2.69.142 at noon", "ip", "81.2.69.142"),
        ("2a00:1450:4009:80f::200e", "ip", "2a00:1450:4009:80f::200e"),
        ("CPF 529.982.247-25", "national_id", "529.982.247-25"),
        ("身份证11010519491231002X。", "national_id", "11010519491231002X"),
        ("PESEL 44051401359", "national_id", "44051401359"),
        ("NIR 1 85 05 78 006 084 91", "national_id", "1 85 05 78 006 084 91"),
        ("SSN 536-22-8726", "national_id", "536-22-8726"),
        ("DNI 12345678Z", "national_id", "12345678Z"),
        ("RRN 850510-1234564", "national_id", None),
        ("codice RSSMRA85T10A562S", "national_id", "RSSMRA85T10A562S"),
        ("СНИЛС 112-233-445 95", "national_id", "112-233-445 95"),
        ("henkilötunnus 131052-308T", "national_id", "131052-308T"),
        ("personnummer 811218-9876", "national_id", "811218-9876"),
    ],
)
def test_what_is_private_is_found_where_it_stands(text: str, kind: str, found: str | None) -> None:
    hits = [place for name, place in kinds(text) if name == kind]
    assert hits == ([found] if found else [])


@pytest.mark.parametrize(
    "text",
    [
        "DE88 3704 0044 0532 0130 00",
        "card 4539 5787 6362 1487",
        "4111 1111 1111 1111",
        "529.982.247-26",
        "110105194912310021",
        "ISBN 978-3-16-148410-0",
        "2026-11-21 13:45:00",
        "3.14159265358979",
        "1,234,567.89",
        "version 81.2.69.142",
        "release 2.1.3.1",
        "10.0.0.1 and 192.168.1.255",
        "192.0.2.7, 2001:db8::1, ::1",
        "name@example.org",
        "photo@2x.png",
        "git@github.com:a/b.git",
        "call 555-123-4567",
        "phone: 123-456-7890",
        "+1 202 555 0123",
        "000-12-3456",
        "12:34:56:78",
        "1990-2020",
        "10000000 20000000",
        "圆周率3.1415926535897932",
        "第 2024 年 1 月 15 日",
        "€ 1.234.567,00",
        "EAN 4006381333931",
        "3/1/2021 - 5/3/2021",
        "@handle and user@host",
        "Order 20240115-0042",
        "2^31 = 2147483648",
    ],
)
def test_what_only_looks_private_is_left_alone(text: str) -> None:
    assert kinds(text) == []


DIGITS = ["0٠۰०০੦૦୦௦౦೦൦๐໐༠၀០᠐０"]


@pytest.mark.parametrize("zero", DIGITS[0])
def test_digits_of_every_script_are_digits(zero: str) -> None:
    there = str.maketrans({str(value): chr(ord(zero) + value) for value in range(10)})
    for plain, kind in (
        ("+254 712 805 369", "phone"),
        ("4539 5787 6362 1486", "card"),
        ("81.2.69.142", "ip"),
        ("529.982.247-25", "national_id"),
    ):
        text = f"x {plain.translate(there)} y"
        assert kinds(text) == [(kind, plain.translate(there))]
        assert find(text)[0].value == find(f"x {plain} y")[0].value


def github_token(body: str) -> str:
    number, rest = zlib.crc32(body.encode()), ""
    signs = string.digits + string.ascii_uppercase + string.ascii_lowercase
    for _ in range(6):
        number, digit = divmod(number, 62)
        rest = signs[digit] + rest
    return "gh" + "p_" + body + rest


def test_a_key_with_a_sum_needs_the_right_one() -> None:
    token = github_token("R7mQ2xV9kLw4ZbT8nYc3HfD6sJg1Pa")
    assert [hit.detail for hit in find(f"export T={token}")] == ["github"]
    assert secrets.crc_is_right(token)
    wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
    assert not [hit for hit in find(f"see {wrong} here") if hit.kind == "api_key"]


def test_secrets_are_found_and_placeholders_are_not() -> None:
    aws = "AK" + "IA" + "Q3EGRZ7WKTLVH2MN"
    assert kinds(aws) == [("api_key", aws)]
    assert kinds("AK" + "IAIOSFODNN7EXAMPLE") == []
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("=")
    body = base64.urlsafe_b64encode(b'{"sub":"17"}').decode().rstrip("=")
    token = f"{head}.{body}.4pcPyMD09olPSyXnrXCjTwXyr4BsezdI1AVTmud2fU4"
    assert kinds(f"Bearer {token}") == [("jwt", token)]
    assert not kinds(f"Bearer {'eyJ' + 'A' * 20}.{body}.4pcPyMD09olPSyXnrXCjTw")
    assert kinds("postgres://bob:k7Vw2tQ9x@db.host.io/x") == [("password", "k7Vw2tQ9x")]
    assert (
        kinds("postgres://user:password@localhost/x")
        == []
        == kinds("https://host:8080/@x")
        == kinds("mysql://${USER}:${PASS}@h/x")
    )
    assert kinds('api_key = "k7Vw2tQ9xLmZ4p8s"') == [("password", "k7Vw2tQ9xLmZ4p8s")]
    assert (
        kinds('api_key = "YOUR_API_KEY_HERE1"')
        == []
        == kinds("password: correct horse")
        == kinds("token = os.environ['X1_TOKEN_NAME']")
    )
    kind = "PRIVATE" + " KEY"
    block = f"-----BEGIN RSA {kind}-----\n{'MIIEpAIBAAKCAQEA7bq' * 8}\n-----END RSA {kind}-----"
    assert kinds(f"a\n{block}\nb") == [("private_key", block)]
    assert kinds(f"-----BEGIN {kind}-----\n...\n-----END {kind}-----") == []


def test_a_column_gives_what_each_text_gives_and_nulls_give_nothing() -> None:
    texts = ["ana@posteo.de", None, "", "nothing here", "+49 30 9018 2034"]
    assert [[hit.kind for hit in row] for row in find_all(pl.Series(texts, dtype=pl.String))] == [
        ["email"],
        [],
        [],
        [],
        ["phone"],
    ]
    assert find_all(pl.Series(["ana@posteo.de"]), ["phone"]) == [[]]
    with pytest.raises(KeyError, match="no kind of private text is called 'mail'"):
        find_all(pl.Series(["x"]), ["mail"])


def test_every_kind_passes_the_gate_of_the_columns() -> None:
    rows = [
        "ana (at) posteo (dot) de",
        "GB82 WEST 1234 5698 7654 32",
        "81.2.69.142",
        "2a00:1450:4009:80f::200e",
        "QQ 11 12 13 C".replace("QQ", "AB"),
        "RSSMRA85T10A562S",
        "٠٧٩٨ ٤١٢ ٦٣٥٠ هاتف ٠٧٩٨ ٤١٢ ٦٣٥٠",
    ]
    for text in rows:
        assert find(text) and find_all(pl.Series([text]))[0] == find(text), text


IDS = [
    ("ES", "X1234567L", "X1234567A"),
    ("IT", "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
    ("FR", "1 85 05 78 006 084 91", "1 85 05 78 006 084 92"),
    ("BE", "85.07.30-033.28", "85.07.30-033.29"),
    ("FI", "131052-308T", "131052-308U"),
    ("FI", "010190-900P", "310290-900P"),
    ("SE", "811218-9876", "811218-9877"),
    ("SE", "811278-9873", "811278-9876"),
    ("RO", "1630615123457", "1630615123458"),
    ("CZ", "710319/2745", "710319/2746"),
    ("RS", "0101006500006", "0101006500007"),
    ("NO", "151086 95088", "151086 95089"),
    ("EE", "36805280109", "36805280108"),
    ("US", "536-90-4399", "123-45-6789"),
    ("BR", "390.533.447-05", "111.111.111-11"),
    ("AR", "20-05536168-2", "20-05536168-3"),
    ("CL", "12.531.909-2", "12.531.909-3"),
    ("MX", "BOXW310820HNERXN09", "BOXW310820HNERXN08"),
    ("ZA", "7503305044089", "7503305044088"),
    ("TH", "1-2345-45678-78-1", "1-2345-45678-78-2"),
    ("TH", "0-2345-45678-78-3", "0-2345-45678-78-4"),
    ("RU", "112-233-445 95", "112-233-445 96"),
    ("CN", "360426199101010071", "360426199101010072"),
    ("TW", "A123456789", "A123456788"),
    ("HK", "G123456(A)", "G123456(9)"),
    ("KR", "850510-1234569", "850510-1234568"),
    ("IN", "2341 2341 2346", "2341 2341 2347"),
]


@pytest.mark.parametrize(("country", "right", "wrong"), IDS)
def test_an_id_of_every_country_needs_its_check_digit_and_a_day(country: str, right: str, wrong: str) -> None:
    assert [(hit.kind, hit.detail, hit.value) for hit in find(f"x {right} y")] == [
        (
            "national_id",
            country,
            "".join(sign for sign in right if sign not in " ./()" and (sign != "-" or country == "FI")),
        )
    ]
    assert "national_id" not in [hit.kind for hit in find(f"x {wrong} y")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+500 51234", "+50051234"),
        ("+500 5 1 2 3 4 5 6", None),
        ("+508 41 12 34", "+508411234"),
        ("+49 (0)30 9018 2034", "+493090182034"),
        ("+44 07911 234567", "+447911234567"),
        ("+39 06 698 1234", "+39066981234"),
        ("0039 06 698 1234", "+39066981234"),
        ("+999 123 456 789", None),
        ("+1 736 2204", None),
    ],
)
def test_a_number_with_a_calling_code_has_the_length_that_the_country_has(text: str, value: str | None) -> None:
    assert [hit.value for hit in find(text) if hit.kind == "phone"] == ([value] if value else [])


def test_an_iban_ends_where_it_is_right() -> None:
    assert [hit.value for hit in find("DE89 3704 0044 0532 0130 00 EUR 50")] == ["DE89370400440532013000"]
    # Its check digits are right, but no German account number has letters.
    assert find("DE52 ABCD 2044 0532 0130 00") == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("0123456789+-. ()@a:/ABXyz٣五\n"), max_size=60))
def test_findings_lie_apart_in_order_and_inside_the_text(text: str) -> None:
    hits = find(text)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    assert all(first.end <= second.start for first, second in pairwise(hits))
    assert find_all(pl.Series([text], dtype=pl.String))[0] == hits


@given(st.integers(0, 10**15 - 1))
def test_one_digit_of_ten_makes_a_luhn_number(number: int) -> None:
    assert sum(private_ids.luhn(f"{number}{digit}") for digit in range(10)) == 1


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_plain_text_keeps_its_length(text: str) -> None:
    assert len(private.plain(text)) == len(text)
    assert not [sign for sign in private.plain(text) if unicodedata.category(sign) == "Nd" and sign not in "0123456789"]


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    for bad in (
        "1" * 50_000,
        "1 " * 25_000,
        "a@" * 20_000,
        "a." * 20_000 + "@",
        "AB12" * 10_000,
        ":" * 30_000,
        "+1-" * 15_000,
        "(at) " * 8_000,
        "A" * 50_000,
        "eyJ" * 15_000,
        "://" * 10_000,
    ):
        find(bad)


@pytest.mark.parametrize(
    "text",
    [
        "Babel und Europa 1600-1800",
        "приблизительно 160 000",
        "Schnittstelle als 127.0.0.1",
        "a call for 1998–99 papers",
    ],
)
def test_a_cue_is_a_word_and_a_date_is_no_number(text: str) -> None:
    assert kinds(text) == []

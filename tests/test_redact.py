"""A credential is struck out in every form in which a server may repeat it, and nothing else is."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from curate.catalog.params import Params, Runtime
from curate.models.openai.model import OpenAI
from curate.redact import STARS, Redactor, secrets_of, secrets_of_environment, secrets_of_header, secrets_of_url

SECRET = "pä$$wörd/with+sígns & 空"
FORMS = [
    str,
    lambda s: quote(s, safe=""),
    lambda s: quote(s),
    quote_plus,
    lambda s: json.dumps(s),
    lambda s: json.dumps(s, ensure_ascii=False),
    lambda s: json.dumps(s).replace("/", "\\/"),
    repr,
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [SECRET, "sk-0123456789abcdef", "hunter2!", "keyOfMine"])
def test_every_form_is_struck_out(form, secret):
    written = form(secret)
    assert Redactor([secret])(f"refused: {written}.") == f"refused: {written}.".replace(written.strip("\"'"), STARS)


@given(st.text(min_size=12, max_size=60), st.integers(0, 40), st.integers(8, 60))
def test_no_eight_characters_of_a_long_secret_are_left(secret, start, length):
    secret = "7" + secret.strip()  # no word
    part = secret[start : start + length]
    shown = Redactor([secret])(f"you sent «{part}»…")
    if len(secret) >= 12:
        assert not any(part[at : at + 8] in shown for at in range(len(part) - 7) if part[at : at + 8].strip("*"))


@pytest.mark.parametrize("short", ["CNRY5", "ab1", "x-y", "ключ"])
def test_a_short_secret_is_struck_out_where_it_is_a_word(short):
    redact = Redactor([short])
    assert redact(f"short={short} ({short}), '{short}'.") == f"short={STARS} ({STARS}), '{STARS}'."
    assert redact(f"prefix{short} {short}suffix") == f"prefix{short} {short}suffix"
    assert redact.body(f"a word: {short}".encode()) == f"a word: {short}".encode(), "an answer may well have it"


@pytest.mark.parametrize("word", ["password", "geheim", "mein-projekt", "my project", "пароль"])
def test_what_may_be_a_word_of_an_answer_stays_in_answers(word):
    redact = Redactor([word])
    assert redact(f"refused: '{word}'") == f"refused: '{STARS}'"
    assert redact.body(f"Say {word}.".encode()) == f"Say {word}.".encode()
    assert Redactor([word], sure=True)(f"Say {word}.") == f"Say {word}."


def test_headers_that_are_no_secrets_are_left():
    headers = {"Content-Type": "application/json", "HTTP-Referer": "https://example.org/7", "X-Key": "k3y-of-mine"}
    model = OpenAI(url="http://h", model="m", headers=headers)
    assert model.server().redact("application/json from https://example.org/7, k3y-of-mine").endswith("/7, ***")
    assert not {"application/json", "https://example.org/7"} & set(secrets_of(model))


@given(st.text(max_size=200))
def test_a_text_without_secrets_stays_as_it_is(text):
    assert Redactor()(text) == text
    assert Redactor(["", "  "])(text) == text
    assert Redactor(["0f9e8d7c6b5a4433ffee"])(text) == text


def test_an_address_hides_password_pair_and_query():
    found = set(secrets_of_url("https://me:s%40fe@host:8/v1?api-key=Q%2Bq&api-version=2024-02-01&x=1"))
    assert (
        {"s%40fe", "s@fe", "me:s@fe", "Q+q", "Q%2Bq", "1"} <= found and "2024-02-01" not in found and "me" not in found
    )
    assert base64.b64encode(b"me:s@fe").decode() not in Redactor(found)(
        f"Basic {base64.b64encode(b'me:s@fe').decode()}"
    )
    assert "lonely-key" in set(secrets_of_url("https://lonely-key@host"))
    assert list(secrets_of_url("http://localhost:8000/v1")) == [""]


def test_a_header_hides_its_parts_but_not_the_name_of_a_scheme():
    assert set(secrets_of_header("Bearer abcdefghij")) == {"Bearer abcdefghij", "abcdefghij"}
    assert "c0ffee" in set(secrets_of_header("session=c0ffee; path=/"))
    assert "Bearer" not in set(secrets_of_header("Bearer"))


def test_the_secrets_of_parameters_are_found_wherever_they_stand():
    class Inner(Params):
        keys: dict[str, SecretStr]

    class Outer(Params):
        inner: tuple[Inner, ...]
        url: Runtime[str]

    params = Outer(inner=[{"keys": {"a": "inner-secret"}}], url="http://u:outer-secret@h")
    assert {"inner-secret", "outer-secret"} <= set(secrets_of(params))
    model = OpenAI(url="http://u:pw-of-url@h?key=of-query", model="m", api_key="of-key", headers={"x": "of-header"})
    assert {"pw-of-url", "of-query", "of-key", "of-header"} <= set(secrets_of([model]))
    assert list(secrets_of(OpenAI(url="http://h", model="m"))) == [""]


def test_variables_with_secret_names_are_secret():
    found = secrets_of_environment(
        {
            "HF_TOKEN": "hf_abcdefgh",
            "AWS_SECRET_ACCESS_KEY": "aws/secret",
            "MY_API_KEY": "k" * 9,
            "DB_PASSWORD": "password1",
            "HOME": "/home/somebody",
            "TOKEN_KIND": "short",
        }
    )
    assert list(found) == ["hf_abcdefgh", "aws/secret", "k" * 9, "password1"]


def test_json_that_was_read_hides_what_escapes_had_hidden():
    redact = Redactor(["grüner-schlüssel-9"])
    body = b'{"choices": [{"a": "sie sagten gr\\u00fcner-schl\\u00fcssel-9"}], "n": [1, null]}'
    assert redact.body(b"x gr\xc3\xbcner-schl\xc3\xbcssel-9") == b"x ***"
    assert redact.escaped(json.loads(body)) == {"choices": [{"a": "sie sagten ***"}], "n": [1, None]}
    plain = json.loads(b'{"a": ["x", {"b": "y"}]}')
    assert redact.escaped(plain) is plain


def test_values_of_the_environment_give_way_to_their_names():
    redact = Redactor(["topsecret-1"], environment={"DATA_DIR": "/srv/data/mine", "SMALL": "8"})
    assert redact("8 files in /srv/data/mine/x of topsecret-1") == "8 files in ${DATA_DIR}/x of ***"

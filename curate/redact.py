"""Removes credentials from texts that leave a client or enter the store, in every form in which a server may repeat
them."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from pydantic import BaseModel, SecretStr

STARS = "***"
_LEAST = 8
"""Minimum length; a shorter secret may be an ordinary word, and is removed from errors only, where it stands alone."""
_LONGEST_WORD = 20
_BETWEEN_WORDS = re.compile(r"[\s_'-]+")
_PART = 8
"""Length of the parts of a long secret that are removed too: servers show the start or end of a key, and texts are
truncated."""
_LONG = 12
_SCHEMES = frozenset({"basic", "bearer", "digest", "token", "key", "apikey", "api-key"})
_OPEN_KEYS = frozenset({"api-version", "api_version", "version", "model", "deployment"})
_OPEN_HEADERS = frozenset(
    {
        "accept",
        "accept-language",
        "content-type",
        "user-agent",
        "referer",
        "http-referer",
        "origin",
        "x-title",
        "anthropic-version",
        "openai-beta",
    }
)
_NAMED_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIAL")


class Redactor:
    """Removes a set of secrets from texts."""

    def __init__(
        self, secrets: Iterable[str] = (), *, sure: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        """
        Args:
            sure: only whole secrets that can be no word are struck out: for texts that say other things than a server
                does.
            environment: values of variables by their names, which take their place as ``${NAME}``; short ones are left.
        """
        given = {secret for one in secrets if (secret := one.strip())}
        weak = {one for one in given if _may_be_word(one)}
        strong = {form for one in given - weak for form in _forms(one)}
        self._strong = tuple(sorted(strong, key=lambda form: (-len(form), form)))
        self._bytes = tuple(form.encode("utf-8", "replace") for form in self._strong)
        forms = {form for one in weak for form in _forms(one)} if not sure else set()
        short = sorted(forms, key=lambda form: (-len(form), form))
        self._short = re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, short))})(?![^\W_])") if short else None
        self._parts = (
            frozenset(
                form[at : at + _PART] for form in strong if len(form) >= _LONG for at in range(len(form) - _PART + 1)
            )
            if not sure
            else frozenset()
        )
        named = {value.strip(): name for name, value in (environment or {}).items() if len(value.strip()) >= _LEAST}
        self._named = tuple(sorted(named.items(), key=lambda pair: (-len(pair[0]), pair)))

    def __bool__(self) -> bool:
        return bool(self._strong or self._short or self._named)

    def __call__(self, text: str) -> str:
        """The text with ``***`` instead of every secret, whole or in part."""
        for form in self._strong:
            text = text.replace(form, STARS)
        if self._short is not None:
            text = self._short.sub(STARS, text)
        for value, name in self._named:
            if value in text:
                text = text.replace(value, f"${{{name}}}")
        return self._without_parts(text) if self._parts else text

    def body(self, data: bytes) -> bytes:
        """A response body without secrets that cannot be words; others may be words of an answer."""
        for form in self._bytes:
            if form in data:
                data = data.replace(form, STARS.encode())
        return data

    def escaped(self, value: Any) -> Any:
        """As :meth:`body`, for parsed JSON, in which escapes may have hidden a secret. Returns the same object if
        there is none."""
        if isinstance(value, str):
            for form in self._strong:
                if form in value:
                    value = value.replace(form, STARS)
            return value
        if isinstance(value, list):
            items = [self.escaped(one) for one in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if isinstance(value, dict):
            found = {self.escaped(key): self.escaped(one) for key, one in value.items()}
            same = all(
                new is old for new, old in zip((*found, *found.values()), (*value, *value.values()), strict=False)
            )
            return value if same and len(found) == len(value) else found
        return value

    def _without_parts(self, text: str) -> str:
        found: list[str] = []
        at = done = 0
        while at <= len(text) - _PART:
            if text[at : at + _PART] not in self._parts:
                at += 1
                continue
            end = at + _PART
            while end < len(text) and text[end - _PART + 1 : end + 1] in self._parts:
                end += 1
            found += [text[done:at], STARS]
            at = done = end
        return "".join([*found, text[done:]]) if found else text


def _may_be_word(secret: str) -> bool:
    if len(secret) < _LEAST:
        return True
    words = _BETWEEN_WORDS.split(secret)
    # A capital inside a small word is no way to write one.
    plain = all(word.isalpha() and word in (word.lower(), word.upper(), word.capitalize()) for word in words)
    return len(secret) < _LONGEST_WORD and plain


def _forms(secret: str) -> set[str]:
    """All forms of a secret in texts: plain, percent-encoded, in JSON, Python or HTML, in base64."""
    data = secret.encode("utf-8", "replace")
    quoted = {
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
        quote(secret, errors="replace"),
    }
    lower = {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), one) for one in quoted}
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    in_json |= {one.replace("/", "\\/") for one in in_json}
    padded = {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    encoded = {one.rstrip("=") for one in padded}
    return {secret, *quoted, *lower, *in_json, *padded, *encoded, repr(secret)[1:-1], html.escape(secret)} - {""}


def secrets_of_url(url: str) -> Iterator[str]:
    """The credentials in a URL: the password (or a user name alone), both as Basic authentication, query values."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return
    user_info, at, _ = parts.netloc.rpartition("@")
    if at:
        user, _, password = user_info.partition(":")
        yield user_info
        yield f"{unquote(user)}:{unquote(password)}"
        yield from (password, unquote(password)) if password else (user, unquote(user))
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name.casefold() not in _OPEN_KEYS:
            yield value
    for pair in parts.query.split("&"):
        name, _, raw = pair.partition("=")
        if name.casefold() not in _OPEN_KEYS:
            yield raw


def secrets_of_header(value: str, name: str = "") -> Iterator[str]:
    """The credentials in a header's value: all of it, and its parts without the name of an authentication scheme.

    Args:
        name: of the header; some are never secret.
    """
    if name.casefold() in _OPEN_HEADERS:
        return
    if value.strip().casefold() not in _SCHEMES:
        yield value
    for part in re.split(r"[\s;,=]+", value):
        if part.casefold() not in _SCHEMES:
            yield part


def secrets_of(params: Any) -> Iterator[str]:
    """The credentials in parameters: every ``SecretStr``, and those in URLs."""
    if isinstance(params, SecretStr):
        yield from secrets_of_header(params.get_secret_value())
    elif isinstance(params, str):
        if "://" in params:
            yield from secrets_of_url(params)
    elif isinstance(params, BaseModel):
        for name in type(params).model_fields:
            yield from secrets_of(getattr(params, name))
    elif isinstance(params, Mapping):
        for name, one in params.items():
            if str(name).casefold() not in _OPEN_HEADERS:
                yield from secrets_of(one)
    elif isinstance(params, list | tuple | set | frozenset):
        for one in params:
            yield from secrets_of(one)


def secrets_of_environment(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The values of environment variables with a secret-like name (``HF_TOKEN``, ``AWS_SECRET_ACCESS_KEY``, …)."""
    for name, value in environment.items():
        if len(value.strip()) >= _LEAST and _NAMED_SECRET.search(name.upper()):
            yield value

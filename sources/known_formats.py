"""The formats that are recognised by their columns: what each column must look like, and how the columns make rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from curate.rows import Kind
from sources.conversations.notations import is_columns, is_message
from sources.conversations.public_sets import CHOSEN, MESSAGES, REJECTED
from sources.conversations.tools import is_calls
from sources.conversations.transcripts import transcript
from sources.payloads import verdict_of
from sources.written import load_text


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:64].lstrip()[:1] in ("[", "{"):
        try:
            return load_text(value)
        except ValueError:
            return value
    return value


def _text(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _messages(value: Any) -> bool:
    value = _parsed(value)
    return is_columns(value) or (isinstance(value, list) and bool(value) and all(map(is_message, value)))


def _message(value: Any) -> bool:
    return is_message(_parsed(value))


def _calls(value: Any) -> bool:
    return is_calls(_parsed(value))


def _answers(key: str) -> Callable[[Any], bool]:
    """Whether a value is a list of objects with this key."""

    def test(value: Any) -> bool:
        value = _parsed(value)
        return isinstance(value, list) and len(value) > 1 and all(isinstance(one, dict) and key in one for one in value)

    return test


def _tree(value: Any) -> bool:
    return isinstance(value, dict) and {"text", "role", "replies"} <= value.keys()


def _transcript(value: Any) -> bool:
    return isinstance(value, str) and transcript(value) is not None


def _flag(value: Any) -> bool:
    return verdict_of(value) is not None


def languages(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) >= 2
        and all(text is None or isinstance(text, str) for text in value.values())
    )


def _any(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(test(value) for test in tests)


_talk = _any(_messages, _transcript)
Needs = Mapping[str, Callable[[Any], bool]]
TRANSCRIPT = "Human and Assistant in one text"
_ASK = "{instruction}\n\n{input?}"
_EXTRA = {"system": "{system?}", "history": "{history?}"}


def known_formats() -> list[tuple[str, Kind, Needs, dict[str, str], tuple[str, ...]]]:
    """Name, kind, required columns, targets, optional columns."""
    chat, answer = _any(_text, _messages), _any(_text, _messages, _message)
    forms: list[tuple[str, Kind, Needs, dict[str, str], tuple[str, ...]]] = []
    for out in ("output", "response", "completion", "answer"):
        needs = {"instruction": _text, out: _text}
        forms += [
            (
                "Alpaca",
                Kind.SFT,
                needs,
                {"prompt": _ASK, "response": f"{{{out}}}", **_EXTRA},
                ("input", "system", "history"),
            ),
            (
                "Alpaca with context",
                Kind.SFT,
                {**needs, "context": _text},
                {"prompt": "{instruction}\n\n{context}", "response": f"{{{out}}}", "system": "{system?}"},
                ("system",),
            ),
            (
                "Alpaca with a verdict",
                Kind.UNPAIRED,
                {**needs, "kto_tag": _flag},
                {"prompt": _ASK, "completion": f"{{{out}}}", "label": "{kto_tag}", **_EXTRA},
                ("input", "system", "history"),
            ),
        ]
        for ask in ("prompt", "question", "query"):
            if ask == "prompt" or out in ("answer", "response", "output"):
                forms.append(
                    (
                        f"{ask} and {out}",
                        Kind.SFT,
                        {ask: chat, out: answer},
                        {"prompt": f"{{{ask}}}", "response": f"{{{out}}}", **_EXTRA},
                        ("system", "history"),
                    )
                )
    forms += [
        (
            "Alpaca ranking",
            Kind.PREFERENCE,
            {"instruction": _text, "chosen": answer, "rejected": answer},
            {"prompt": _ASK, "chosen": "{chosen}", "rejected": "{rejected}", **_EXTRA},
            ("input", "system", "history"),
        ),
        (
            "chosen and rejected conversations",
            Kind.PREFERENCE,
            {"chosen": _talk, "rejected": _talk},
            {"chosen": "{chosen}", "rejected": "{rejected}", "system": "{system?}"},
            ("system",),
        ),
        (
            "chosen and rejected messages",
            Kind.PREFERENCE,
            {"chosen_messages": _messages, "rejected_messages": _messages},
            {"chosen": "{chosen_messages}", "rejected": "{rejected_messages}", "system": "{system?}"},
            ("system",),
        ),
        (
            "prompt and verdict",
            Kind.UNPAIRED,
            {"prompt": chat, "completion": answer, "label": _flag},
            {"prompt": "{prompt}", "completion": "{completion}", "label": "{label}", "system": "{system?}"},
            ("system",),
        ),
        (
            "source and target",
            Kind.PARALLEL,
            {"source": _text, "target": _text},
            {"source": "{source}", "target": "{target}"},
            (),
        ),
        ("src and tgt", Kind.PARALLEL, {"src": _text, "tgt": _text}, {"source": "{src}", "target": "{tgt}"}, ()),
        (
            "OASST",
            Kind.SFT,
            {"message_id": _text, "parent_id": _text, "text": _text, "role": _text, "message_tree_id": _text},
            {"messages": f"{{{MESSAGES}}}"},
            (),
        ),
        (
            "OASST trees",
            Kind.SFT,
            {"message_tree_id": _text, "prompt": _tree},
            {"messages": f"{{{MESSAGES}}}"},
            (),
        ),
        # The prompt is also the conversation's first message.
        (
            "UltraChat",
            Kind.SFT,
            {"prompt": chat, "prompt_id": _text, "messages": _messages},
            {"messages": "{messages}", "system": "{system?}"},
            ("system",),
        ),
        (
            "UltraFeedback, binarized",
            Kind.PREFERENCE,
            {"prompt": chat, "prompt_id": _text, "messages": _messages, "chosen": answer, "rejected": answer},
            {"prompt": "{prompt}", "chosen": "{chosen}", "rejected": "{rejected}", "system": "{system?}"},
            ("system",),
        ),
        (
            "UltraFeedback",
            Kind.PREFERENCE,
            {"instruction": _text, "completions": _answers("response")},
            {"prompt": "{instruction}", "chosen": f"{{{CHOSEN}}}", "rejected": f"{{{REJECTED}}}"},
            (),
        ),
        (
            "Nectar",
            Kind.PREFERENCE,
            {"prompt": chat, "answers": _answers("answer")},
            {"prompt": "{prompt}", "chosen": f"{{{CHOSEN}}}", "rejected": f"{{{REJECTED}}}"},
            (),
        ),
        ("Aya", Kind.SFT, {"inputs": _text, "targets": _text}, {"prompt": "{inputs}", "response": "{targets}"}, ()),
        (
            "OpenOrca",
            Kind.SFT,
            {"system_prompt": _text, "question": _text, "response": _text},
            {"prompt": "{question}", "response": "{response}", "system": "{system_prompt}"},
            (),
        ),
        (
            "xLAM",
            Kind.SFT,
            {"query": _text, "answers": _calls},
            {"prompt": "{query}", "response": "{answers}"},
            ("tools",),
        ),
        (
            "Glaive",
            Kind.SFT,
            {"chat": _transcript},
            {"messages": "{chat}", "system": "{system?}"},
            ("system",),
        ),
        (TRANSCRIPT, Kind.SFT, {"text": _transcript}, {"messages": "{text}", "system": "{system?}"}, ("system",)),
        ("text", Kind.DOCUMENT, {"text": _text}, {"text": "{text}"}, ()),
        ("prompt alone", Kind.PROMPT, {"prompt": chat}, {"prompt": "{prompt}", "system": "{system?}"}, ("system",)),
        (
            "instruction alone",
            Kind.PROMPT,
            {"instruction": _text},
            {"prompt": _ASK, "system": "{system?}"},
            ("input", "system"),
        ),
        (
            "question alone",
            Kind.PROMPT,
            {"question": _text},
            {"prompt": "{question}", "system": "{system?}"},
            ("system",),
        ),
    ]
    for ask in ("prompt", "question"):
        forms.append(
            (
                f"{ask}, chosen, rejected",
                Kind.PREFERENCE,
                {ask: chat, "chosen": answer, "rejected": answer},
                {"prompt": f"{{{ask}}}", "chosen": "{chosen}", "rejected": "{rejected}", **_EXTRA},
                ("system", "history"),
            )
        )
    for chats, name in (("conversations", "ShareGPT"), ("conversation", "ShareGPT"), ("messages", "messages")):
        one, extra = {chats: _messages}, {"system": "{system?}"}
        forms.append((name, Kind.SFT, one, {"messages": f"{{{chats}}}", **extra}, ("system", "tools")))
        forms.append(
            (
                f"{name} with chosen and rejected",
                Kind.PREFERENCE,
                {**one, "chosen": answer, "rejected": answer},
                {"prompt": f"{{{chats}}}", "chosen": "{chosen}", "rejected": "{rejected}", **extra},
                ("system", "tools"),
            )
        )
        for verdict in ("label", "kto_tag"):
            forms.append(
                (
                    f"{name} with a verdict",
                    Kind.UNPAIRED,
                    {**one, verdict: _flag},
                    {"completion": f"{{{chats}}}", "label": f"{{{verdict}}}", **extra},
                    ("system", "tools"),
                )
            )
    return forms

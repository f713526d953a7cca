"""Conversations with calls, tools, reasoning, weights and media in several scripts, built by a catalog, and a chat
template that knows calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

import curate
from curate.engine.store.store import Store
from curate.rows import Kind
from curate.steps.outputs import Version
from outputs.export import open_version


def tool(name: str, description: str, **properties: str) -> dict[str, Any]:
    """A tool as OpenAI describes it; ``kwargs`` are its parameters and their types."""
    schema = {name: {"type": kind} for name, kind in properties.items()}
    parameters = {"type": "object", "properties": schema, "required": list(schema)[:1]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def call(name: str, arguments: Any, id: str = "") -> dict[str, Any]:
    """A call; arguments that are no text become JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {**({"id": id} if id else {}), "type": "function", "function": {"name": name, "arguments": text}}


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def bot(text: str, *calls: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {}), **more}


def result(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "content": text, **more}


WEATHER = tool("weather", "حالة الطقس في مدينة", المدينة="string", days="integer")
PRICE = tool("soko_bei", "Bei ya bidhaa sokoni", bidhaa="string", tarehe="string")
TRAIN = tool("rot_fai", "เวลารถไฟ", from_city="string", stops="array")

# Name → row; each is asked something of its own.
ROWS: dict[str, dict[str, Any]] = {
    "plain": {"language": "en", "messages": [user("How tall is Mount Kenya?"), bot("5,199 metres.")]},
    "call": {
        "language": "ar",
        "tools": [WEATHER, PRICE],
        "messages": [
            {"role": "system", "content": "أنت مساعد يعرف الطقس."},
            user("كيف الطقس في الرباط؟"),
            bot("", call("weather", {"المدينة": "الرباط", "days": 3})),
            result('{"درجة": 24.5, "سماء": null}'),
            bot("مشمس، أربع وعشرون درجة."),
        ],
    },
    "last call": {
        "language": "sw",
        "tools": [PRICE],
        "messages": [
            user("Mchele ni bei gani?"),
            bot(
                "",
                call("soko_bei", {"bidhaa": "mchele", "tarehe": "2024-01-01", "vipimo": [1, "kilo", None, {"x": 2.5}]}),
            ),
        ],
    },
    "two calls": {
        "language": "th",
        "tools": [TRAIN, WEATHER],
        "messages": [
            user("รถไฟไปเชียงใหม่กี่โมง และอากาศเป็นอย่างไร"),
            bot("", call("rot_fai", {"from_city": "กรุงเทพ", "stops": []}, "a1"), call("weather", {"days": 1}, "a2")),
            result("18:40", tool_call_id="a1", name="rot_fai"),
            result("ฝนตก", tool_call_id="a2"),
            bot("18:40 น. และฝนตก"),
        ],
    },
    "parallel": {
        "language": "sw",
        "tools": [PRICE],
        "messages": [
            user("Bei ya maharage na ndizi?"),
            bot("", call("soko_bei", {"bidhaa": "maharage"}), call("soko_bei", {"bidhaa": "ndizi", "tarehe": "leo"})),
        ],
    },
    "beside": {
        "language": "hi",
        "tools": [WEATHER],
        "messages": [
            user("दिल्ली का मौसम बताइए"),
            bot("मैं देखता हूँ।", call("weather", {"المدينة": "दिल्ली", "days": 2}, "b1")),
            result("धूप", tool_call_id="b1"),
            bot("धूप है।"),
        ],
    },
    "thoughts": {
        "language": "hi",
        "tools": [WEATHER],
        "messages": [
            user("क्या मुंबई में बारिश है?"),
            bot("", call("weather", {"المدينة": "मुंबई"}), reasoning_content="पहले मौसम देखना होगा।\n\nफिर बताऊँगा।"),
            result("बारिश"),
            bot("हाँ, बारिश है।", reasoning_content="परिणाम स्पष्ट है।"),
        ],
    },
    "reasoning": {
        "language": "sw",
        "messages": [user("Mbili mara tatu?"), bot("Sita.", reasoning_content="2 × 3 = 6\nNdiyo.")],
    },
    "weight": {
        "language": "th",
        "messages": [
            user("เมืองหลวงของลาวคืออะไร"),
            bot("หลวงพระบาง", weight=0),
            user("แน่ใจหรือ"),
            bot("ขอโทษ เวียงจันทน์"),
        ],
    },
    "name": {"language": "sw", "messages": [user("Habari yako?", name="Asha"), bot("Nzuri, Asha.")]},
}
# What a call cannot be for trainers that read it as an object.
BROKEN: dict[str, dict[str, Any]] = {
    "no JSON": {"language": "sw", "tools": [PRICE], "messages": [user("Moja?"), bot("", call("soko_bei", "bidhaa=1"))]},
    "no object": {"language": "sw", "tools": [PRICE], "messages": [user("Mbili?"), bot("", call("soko_bei", "[1]"))]},
}
IMAGES: dict[str, dict[str, Any]] = {
    "picture": {
        "language": "ar",
        "images": ["https://example.org/a.png", "data:image/png;base64,iVBORw0="],
        "messages": [user("ما الفرق بين <image> و<image>؟"), bot("اللون.")],
    },
    "file": {"language": "th", "images": ["pictures/b.png"],
             "messages": [user("<image>นี่คืออะไร"), bot("แมว")]},
    "no place": {"language": "sw", "images": ["pictures/c.png"], "messages": [user("Nini hii?"), bot("Paka.")]},
    "no picture": {"language": "sw", "messages": [user("Jina la mji?"), bot("Dodoma.")]},
}  # fmt: skip
PAIRS: dict[str, dict[str, Any]] = {
    "calls": {
        "language": "ar",
        "tools": [WEATHER],
        "prompt": [user("هل تمطر في طنجة؟")],
        "chosen": [bot("", call("weather", {"المدينة": "طنجة"}))],
        "rejected": [bot("لا أدري.")],
    },
    "after": {
        "language": "hi",
        "tools": [WEATHER, PRICE],
        "prompt": [user("पुणे?"), bot("", call("weather", {"المدينة": "पुणे", "days": 1})), result("ठंड")],
        "chosen": [bot("ठंड है।")],
        "rejected": [bot("गर्म है।")],
    },
    "thoughts": {
        "language": "th",
        "prompt": [user("สามบวกสี่")],
        "chosen": [bot("เจ็ด", reasoning_content="3 + 4 = 7")],
        "rejected": [bot("แปด", reasoning_content="3 + 4 = 8")],
    },
    "weight": {
        "language": "sw",
        "prompt": [user("Moja na moja?"), bot("Tatu.", weight=0), user("Hapana.")],
        "chosen": [bot("Mbili.")],
        "rejected": [bot("Nne.")],
    },
    "plain": {"language": "sw", "prompt": [user("Mji mkuu wa Kenya?")], "chosen": [bot("Nairobi.")],
              "rejected": [bot("Mombasa.")]},
}  # fmt: skip

# In the manner of Qwen: tools in the system message, thoughts before the text, calls after it. Axolotl passes on the
# fields of a message that it finds in the template after the name ``message``.
QWEN = (
    "{% if tools or messages[0].role == 'system' %}<|im_start|>system\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}"
    "{% if tools %}{{ '\\n# Tools' }}{% for tool in tools %}{{ '\\n' }}{{ tool | tojson }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\\n' }}{% endif %}"
    "{% for message in messages %}{% if message.role != 'system' or not loop.first %}"
    "<|im_start|>{{ message.role ~ '\\n' }}"
    "{% if message.reasoning_content %}{{ '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' }}{% endif %}"
    "{{ message.content }}"
    "{% for call in message.tool_calls or [] %}{% if message.content or not loop.first %}{{ '\\n' }}{% endif %}"
    '{{ \'<tool_call>\\n{"name": "\' ~ call.function.name ~ \'", "arguments": \' }}'
    "{{ call.function.arguments | tojson }}{{ '}\\n</tool_call>' }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}{% endif %}"
)


def said(turn: Mapping[str, Any]) -> str:
    """What the template writes of a message after its header, of the row as it was in the file."""
    thought = turn.get("reasoning_content")
    text = f"<think>\n{thought}\n</think>\n\n" if thought else ""
    text += turn["content"]
    for place, one in enumerate(turn.get("tool_calls", ())):
        name, arguments = one["function"]["name"], json.loads(one["function"]["arguments"])
        told = f'{{"name": "{name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}'
        text += ("\n" if turn["content"] or place else "") + f"<tool_call>\n{told}\n</tool_call>"
    return text + "<|im_end|>\n"


def chat(turns: Sequence[Mapping[str, Any]], tools: Any = None, *, answer: bool = False) -> str:
    """A conversation as the template writes it."""
    system = turns[0]["content"] if turns and turns[0]["role"] == "system" else None
    text = ""
    if tools or system is not None:
        told = "\n# Tools" + "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in tools) if tools else ""
        text = f"<|im_start|>system\n{system or ''}{told}<|im_end|>\n"
    for turn in turns[system is not None :]:
        text += f"<|im_start|>{turn['role']}\n{said(turn)}"
    return text + ("<|im_start|>assistant\n" if answer else "")


def learned(turns: Sequence[Mapping[str, Any]]) -> str:
    """What is trained on: the assistant's messages that do not have weight 0."""
    return "".join(said(turn) for turn in turns if turn["role"] == "assistant" and turn.get("weight") != 0)


@pytest.fixture
def built(tmp_path: Path) -> Callable[..., Version]:
    """``built(rows, more)``: a version that a build made of these rows, in order of their names."""
    number = count()

    def make(*parts: Mapping[str, Mapping[str, Any]], kind: Kind = Kind.SFT) -> Version:
        folder = tmp_path / f"build-{next(number)}"
        folder.mkdir()
        rows = {name: row for part in parts for name, row in part.items()}
        lines = [json.dumps({"item": name, **row}, ensure_ascii=False) for name, row in rows.items()]
        (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        source = {"use": "jsonl", "path": "rows.jsonl", "language": "{language}", "license": "CC0-1.0", "key": "{item}"}
        catalog = {
            "version": 1,
            "sources": {"told": {**source, "kind": kind.value}},
            "datasets": {"talk": {"from": ["told"], "steps": []}},
            "run": {"workers": 1},
        }
        (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False), encoding="utf-8")
        curate.build(folder / "catalog.yaml", "talk")
        version = open_version(Store(folder / ".curate"), "talk")
        assert version.manifest["rows"] == len(rows)
        return version

    return make

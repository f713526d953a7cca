"""Reads descriptions of tools and calls of tools in the notations of published datasets.

Descriptions become a JSON array in OpenAI's form, calls ``{id, type, function: {name, arguments}}`` with the arguments
as JSON text. Notations: OpenAI (with the older ``function_call``), Anthropic (``input_schema``), LangChain (``args``),
Hermes and Qwen (``<tools>``, ``<tool_call>``, ``<tool_response>``), Glaive (``<functioncall>``), xLAM (types of Python
in place of JSON Schema), ToolACE (``[function(argument=value)]``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sources.values import BadValue
from sources.written import DECODER, load_text

Call = dict[str, Any]
Text = Callable[[Any], str]

_TYPES: Mapping[str, str] = MappingProxyType(
    {"dict": "object", "list": "array", "tuple": "array", "set": "array", "str": "string", "int": "integer",
     "float": "number", "double": "number", "long": "integer", "bool": "boolean"}
)  # fmt: skip
_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_GLAIVE = re.compile(r"<functioncall>\s*(\{.*\})\s*(?:<\|endoftext\|>)?\s*$", re.DOTALL)
_GLAIVE_ARGUMENTS = re.compile(r"\"arguments\"\s*:\s*'(.*)'\s*}\s*$", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\s*(.*?)\s*</tool_response>", re.DOTALL)
_TOOLS = re.compile(r"<tools>\s*([\[{].*?)\s*</tools>", re.DOTALL)
_IN_PYTHON = re.compile(r"\s*\[\s*[\w. /-]+\(.*\)\s*\]\s*", re.DOTALL)
_ONE_IN_PYTHON = re.compile(r"\s*([\w][\w. /-]*)\(")
_LONGEST_IN_PYTHON = 100_000
_LISTED = (
    "list of functions in JSON format that you can invoke",
    "access to the following functions",
)
"""Before the functions in the system messages of ToolACE and Glaive."""
_ABOUT_CALLS = re.compile(
    r"\b(?:functions?|func\d+|tools?|calls?|parameters?|invoke)\b|\buse them\b|\bno other text\b", re.IGNORECASE
)
"""What is in every sentence of their instructions for calls."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_BLANK = re.compile(r"\n{3,}")


# --------------------------------------------------------------------------------------------------------- descriptions
def tools_text(value: Any, text: Text) -> str | None:
    """The description of tools as a JSON array in OpenAI's form; None if the value describes none (a list of names).

    Raises:
        BadValue: it is a text with braces that is not JSON.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = load_text(value)
        except ValueError as error:
            if "{" not in value:
                return None
            raise BadValue(f"tools that cannot be read: {error}") from None
    listed = value if isinstance(value, list) else [value]
    tools = [_tool(one) for one in listed]
    described = [one for one in tools if one is not None]
    if not described:
        return None
    if len(described) < len(tools):
        raise BadValue("tools of which only some are described")
    return text(described)


def _tool(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str) and "{" in value:
        try:
            value = load_text(value)
        except ValueError as error:
            raise BadValue(f"tools that cannot be read: {error}") from None
    if not isinstance(value, dict):
        return None
    if isinstance(function := value.get("function"), dict):
        return {"type": "function", **value, "function": _function(function)}
    if not isinstance(value.get("name"), str):
        return dict(value) if isinstance(value.get("type"), str) else None
    return {"type": "function", "function": _function({key: one for key, one in value.items() if key != "type"})}


def _function(value: Mapping[str, Any]) -> dict[str, Any]:
    function = {key: one for key, one in value.items() if key not in ("parameters", "input_schema") and one is not None}
    parameters = value.get("parameters", value.get("input_schema"))
    if isinstance(parameters, str):
        try:
            parameters = load_text(parameters)
        except ValueError:
            parameters = None
    if isinstance(parameters, dict):
        function["parameters"] = _schema(parameters) if _is_schema(parameters) else _from_types(parameters)
    return function


def _is_schema(parameters: Mapping[str, Any]) -> bool:
    """Whether parameters are a JSON Schema, or parameter → {type, description, default}."""
    if not parameters or not all(isinstance(one, dict) for one in parameters.values()):
        return True
    return bool({"properties", "$ref", "anyOf", "allOf", "oneOf"} & parameters.keys())


def _schema(value: Any) -> Any:
    """A JSON Schema with the types of Python that some datasets write in it replaced by those of JSON."""
    if isinstance(value, list):
        return [_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _schema(one) for key, one in value.items() if not (key == "required" and one is None)}
    if isinstance(kind := made.get("type"), str):
        made["type"] = _TYPES.get(kind.lower(), kind)
    return made


def _from_types(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """xLAM's parameters as a JSON Schema: those without a default that are not optional are required."""
    properties, required = {}, []
    for name, about in parameters.items():
        kind = str(about.get("type", ""))
        optional = "optional" in kind.lower() or "default" in about
        first = re.match(r"(?:Optional\[)?\s*([A-Za-z]+)", kind)
        plain = _TYPES.get(first[1].lower(), first[1].lower()) if first else ""
        known = plain in (*_TYPES.values(), "null")
        properties[name] = {**about, "type": plain} if known else {k: v for k, v in about.items() if k != "type"}
        if not optional:
            required.append(name)
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


# ---------------------------------------------------------------------------------------------------------------- calls
def calls_of(value: Any, where: str, text: Text) -> list[Call]:
    """The calls in a value: one call, a list of them, or either as JSON.

    Raises:
        BadValue: it is something else.
    """
    if isinstance(value, str):
        try:
            value = load_text(value)
        except ValueError as error:
            raise BadValue(f"{where} is a call of a tool that cannot be read: {error}") from None
    return [_call(one, where, text) for one in (value if isinstance(value, list) else [value])]


def _call(value: Any, where: str, text: Text) -> Call:
    if isinstance(value, str):
        try:
            value = load_text(value)
        except ValueError as error:
            raise BadValue(f"{where} is a call of a tool that cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise BadValue(f"{where} has a {type(value).__name__} where a call of a tool was expected")
    function = value.get("function")
    inner = function if isinstance(function, dict) else value
    name = inner.get("name", function if isinstance(function, str) else None)
    if not isinstance(name, str) or not name:
        raise BadValue(f"{where} calls a tool without its name")
    key = next((one for one in ("arguments", "args", "input", "parameters") if inner.get(one) is not None), None)
    arguments = inner[key] if key else {}
    kept = arguments if isinstance(arguments, str) else text(arguments)
    called = value.get("id", value.get("call_id"))
    return {
        "id": text(called) if called is not None else "",
        "type": "function",
        "function": {"name": name, "arguments": kept},
    }


def is_calls(value: Any) -> bool:
    """Whether a value is one call or a list of calls, and no message."""
    calls = value if isinstance(value, list) else [value]
    return bool(calls) and all(
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and ("arguments" in one or "args" in one)
        and not {"role", "from", "content"} & one.keys()
        for one in calls
    )


def written_calls(content: str, where: str, text: Text) -> tuple[str, list[Call]] | None:
    """The text of a message and the calls that are written in it as text; None if there are none, or if one cannot be
    read."""
    try:
        if "<tool_call>" in content:
            found = [one[1] for one in _TAGGED.finditer(content)]
            calls = [call for one in found for call in calls_of(one, where, text)]
            rest = _TAGGED.sub("", content).strip()
            return (rest, calls) if calls and "<tool_call>" not in rest else None
        if "<functioncall>" in content and (one := _GLAIVE.search(content)):
            return content[: one.start()].strip(), [_glaive(one[1], where, text)]
        if content.lstrip()[:2] in ("[{", '{"') and is_calls(value := load_text(content)):
            return "", calls_of(value, where, text)
        if len(content) < _LONGEST_IN_PYTHON and _IN_PYTHON.fullmatch(content):
            return "", _in_python(content.strip()[1:-1], text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return None


def _glaive(written: str, where: str, text: Text) -> Call:
    """Glaive's call, whose arguments are JSON between single quotes."""
    quoted = _GLAIVE_ARGUMENTS.search(written)
    if quoted is None:
        return _call(load_text(written), where, text)
    head = load_text(written[: quoted.start()].rstrip().rstrip(",") + "}")
    arguments = quoted[1].replace("\\'", "'")
    return _call({**head, "arguments": arguments}, where, text)


def _in_python(written: str, text: Text) -> list[Call]:
    """``f(a=1), g(b="x")`` as calls; names may hold spaces.

    Raises:
        ValueError, SyntaxError: it is something else.
    """
    calls, at = [], 0
    while written[at:].strip(" ,\n\t"):
        at += len(written[at:]) - len(written[at:].lstrip(" ,\n\t"))
        name = _ONE_IN_PYTHON.match(written, at)
        if name is None:
            raise ValueError("no call")
        end = _closing(written, name.end())
        tree = ast.parse(f"f({written[name.end() : end]})", mode="eval").body
        if not isinstance(tree, ast.Call) or tree.args:
            raise ValueError("a call with arguments that have no name")
        arguments = {str(one.arg): _literal(one.value) for one in tree.keywords if one.arg}
        if len(arguments) < len(tree.keywords):
            raise ValueError("an argument twice")
        calls.append(_call({"name": name[1].strip(), "arguments": arguments}, "", text))
        at = end + 1
    return calls


def _closing(written: str, at: int) -> int:
    """The place of the bracket that closes the one before ``at``, outside of quotes."""
    depth, quote = 1, ""
    while at < len(written):
        one = written[at]
        if quote:
            at += one == "\\"
            quote = "" if one == quote else quote
        elif one in "\"'":
            quote = one
        elif one in "([{":
            depth += 1
        elif one in ")]}":
            depth -= 1
            if not depth:
                return at
        at += 1
    raise ValueError("a bracket is not closed")


def _literal(node: ast.expr) -> Any:
    """The value of a literal of Python or JSON."""
    named = {"true": True, "false": False, "null": None}
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and one.id not in named:
            raise ValueError(f"{one.id} is no literal")
    if isinstance(node, ast.Name):
        return named[node.id]
    if isinstance(node, ast.List):
        return [_literal(one) for one in node.elts]
    if isinstance(node, ast.Dict):
        return {ast.literal_eval(key): _literal(one) for key, one in zip(node.keys, node.values, strict=True) if key}
    return ast.literal_eval(node)


def responses(content: str) -> list[str] | None:
    """The results in a message of ``<tool_response>`` blocks only; None if it is another message."""
    if "<tool_response>" not in content or _RESPONSE.sub("", content).strip():
        return None
    return [one[1] for one in _RESPONSE.finditer(content)]


def described_in_system(system: str, text: Text) -> tuple[str, str] | None:
    """The tools that a system message describes, and what is left of the message without them and without the
    instructions for writing calls; None if it describes none."""
    tagged = list(_TOOLS.finditer(system))
    if tagged:
        values: list[Any] = []
        for one in tagged:
            values += _decoded(one[1])[0]
        tools = tools_text(values, text)
        if tools is None:
            return None
        first = min(at for at in (system.find("<tools>"), system.find("# Tools")) if at >= 0)
        start = system.rfind("\n\n", 0, first)
        end = max(tagged[-1].end(), system.rfind("</tool_call>") + len("</tool_call>"))
        rest = system[: start if start >= 0 else 0] + system[end:]
        return tools, rest.strip()
    for phrase in _LISTED:
        at = system.find(phrase)
        begin = min((one for one in (system.find("[", at), system.find("{", at)) if one >= 0), default=-1)
        if at < 0 or begin < 0:
            continue
        values, length = _decoded(system[begin:])
        if values and (tools := tools_text(values, text)):
            after = system[begin + length :].lstrip(" .,;:\t")
            return tools, _BLANK.sub("\n\n", f"{_not_about_calls(system[:begin])}\n{_not_about_calls(after)}").strip()
    return None


def _not_about_calls(system: str) -> str:
    """A part of a system message without the sentences that speak of functions, tools or calls."""
    lines = []
    for line in system.split("\n"):
        sentences = _SENTENCE_END.split(line)
        kept = [one for one in sentences if not _ABOUT_CALLS.search(one)]
        if kept:
            lines.append(line if len(kept) == len(sentences) else " ".join(kept))
    return "\n".join(lines)


def _decoded(written: str) -> tuple[list[Any], int]:
    """The JSON values at the beginning of a text, one after the other, those of a list one by one; and where they
    end."""
    values: list[Any] = []
    at = 0
    while at < len(written) and written[at] in "[{":
        try:
            value, at = DECODER.raw_decode(written, at)
        except ValueError:
            break
        values += value if isinstance(value, list) else [value]
        at += len(written[at:]) - len(written[at:].lstrip(" ,\n\r\t"))
    return values, at

"""Conversations as text: ChatML, a model's own template, and what neither may do to a text."""

from __future__ import annotations

import json

import pytest
from version_bench import ASKED, data_of, preference_rows, turns, unpaired_rows

from curate.errors import ExportError
from curate.rows import Kind
from outputs.formats.template import ChatML, load_template
from outputs.formats.turns import UnsupportedRow

# In the manner of Llama: a mark of beginning, headers, texts trimmed, no system message after the first turn.
HEADERS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('system "
    "comes first') }}{% endif %}"
    "<|header|>{{ m.role }}<|/header|>\n{% if m.role == 'assistant' %}{% generation %}{{ m.content | trim }}{{ "
    "eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt "
    "%}<|header|>assistant<|/header|>\n{% endif %}"
)
# Thinks before it answers, but not in what it is asked.
THINKING = (
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}<think></think>{% endif %}{{ m.content "
    "}}[end]\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]<think>\n{% endif %}"
)
# Leaves the system message out.
FORGETFUL = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}"


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "chat_template.jinja").write_text(HEADERS)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": "<|begin|>", "eos_token": {"content": "<|done|>"}})
    )
    return folder


def test_a_models_folder_gives_template_and_marks(model, version, written):
    system, question, answer, _ = ASKED["ar"]
    found = written(version(Kind.UNPAIRED, train=unpaired_rows()), "axolotl", template_file=str(model))
    row = data_of(found)[0]
    # Without the mark of beginning: tokenisers put that themselves.
    assert (
        row["prompt"] == f"<|header|>system<|/header|>\n{system}<|done|><|header|>user<|/header|>\n{question}<|done|>"
        "<|header|>assistant<|/header|>\n"
    )
    assert row["completion"] == f"{answer}<|done|>" and row["label"] is True
    assert any("chat_template.jinja" in note for note in found.written.notes)


@pytest.mark.parametrize("form", ["text", "named"])
def test_a_template_may_stand_in_the_tokenizers_configuration(tmp_path, form):
    config = {
        "chat_template": HEADERS
        if form == "text"
        else [{"name": "tools", "template": "x"}, {"name": "default", "template": HEADERS}],
        "bos_token": None,
        "eos_token": "</s>",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    template = load_template(str(tmp_path / "tokenizer_config.json"))
    assert template.pair(turns("user: สวัสดี"), turns("assistant: ครับ")) == (
        "<|header|>user<|/header|>\nสวัสดี</s><|header|>assistant<|/header|>\n",
        "ครับ</s>",
    )


def test_an_answer_begins_where_prompt_and_conversation_part(tmp_path):
    (tmp_path / "t.jinja").write_text(THINKING)
    template = load_template(str(tmp_path / "t.jinja"))
    prompt, answer = template.pair(turns("user: 问"), turns("assistant: 答"))
    assert prompt + answer == "[user]问[end]\n[assistant]<think></think>答[end]" and prompt.endswith("<think>")


@pytest.mark.parametrize("text", ["a<|im_end|>b", "<|im_start|>system", "<|endoftext|>"])
def test_text_that_holds_marks_is_refused(version, written, text):
    rows = [
        *preference_rows(),
        {
            "prompt": turns("user: q"),
            "chosen": [{"role": "assistant", "content": text}],
            "rejected": turns("assistant: no"),
        },
    ]
    found = written(version(Kind.PREFERENCE, train=rows), "verl")
    assert found.written.skipped == {"the text holds a mark of the chat template": 1} and found.rows == 5


def test_marks_of_a_file_are_found_in_it(model):
    template = load_template(str(model))
    for text in ("<|header|>", "<|done|>", "<|begin|>"):
        with pytest.raises(UnsupportedRow, match="mark"):
            template.prompt([{"role": "user", "content": f"x {text}"}])
    assert "<|im_end|>" in template.prompt(turns("user: <|im_end|> is another's"))


def test_a_template_that_refuses_or_forgets_says_so(model, tmp_path):
    with pytest.raises(UnsupportedRow, match="refuses it: system comes first"):
        load_template(str(model)).prompt(turns("user: a", "system: b", "user: c"))
    (tmp_path / "f.jinja").write_text(FORGETFUL)
    with pytest.raises(UnsupportedRow, match="leaves out or changes text"):
        load_template(str(tmp_path / "f.jinja")).prompt(turns("system: be short", "user: q"))


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path):
    (tmp_path / "evil.jinja").write_text("{{ messages.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(UnsupportedRow, match="refuses it"):
        load_template(str(tmp_path / "evil.jinja")).prompt(turns("user: q"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.jinja", "{% if %}", "is not a chat template"),
        ("tokenizer_config.json", "{}", "has no chat template"),
        ("tokenizer_config.json", "{", "cannot be read"),
    ],
)
def test_files_without_a_template_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(ExportError, match=words):
        load_template(str(tmp_path / name))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ExportError, match="holds neither"):
        load_template(str(tmp_path / "nothing"))


def test_blanks_of_a_text_stay_and_those_of_the_template_go():
    prompt, answer = ChatML().pair(turns("user:  x "), [{"role": "assistant", "content": " y \n"}])
    assert prompt == "<|im_start|>user\n x <|im_end|>\n<|im_start|>assistant\n" and answer == " y \n<|im_end|>"
    assert ChatML().pair(turns("user: x"), [{"role": "assistant", "content": ""}])[1] == "<|im_end|>"

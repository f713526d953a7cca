"""Runs the judge audit: on a sample of the rows, on gold rows, and on answers with planted notes (prompt injection)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa

from curate.generation.common.prompts import load_data, own_prompt
from curate.preferences.judge import audit
from curate.preferences.judge.audit import Records
from curate.preferences.judge.params import JudgeParams
from curate.preferences.judge.parsing import Verdict
from curate.preferences.judge.rendering import Item, contents, items_of
from curate.preferences.judge.rubric import PROBES
from curate.preferences.judge.self_preference import Authors, authors_of
from curate.preferences.judge.verdicts import judge_items
from curate.rows import Kind
from curate.rows.kinds import kind_of
from curate.steps import Context, Rows


def sample(step: JudgeParams, rows: Rows, context: Context) -> pa.Table:
    """Up to ``audit_rows`` rows per language, with the authors of their answers (JSON in the column ``authors``)."""
    keyed = [
        (language, audit.pair_key(language, prompt, answers), str(one))
        for (prompt, answers, language, _), one in zip(contents(rows), rows.ids, strict=True)
    ]
    places = audit.chosen_places(keyed, step.audit_rows, pairs=rows.kind is Kind.PREFERENCE)
    some = Rows(rows.kind, rows.table.take(pa.array(places, pa.int64())))
    authors = [orjson.dumps(one).decode() for one in authors_of(some, context)]
    return some.table.append_column("authors", pa.array(authors, pa.string()))


def fit(step: JudgeParams, samples: Sequence[pa.Table], context: Context) -> pa.Table:
    """The metrics of each judge in each language; warns of judges that are rejected."""
    judges = step.judges(context)
    records: Records = {}
    table = pa.concat_tables(samples) if samples else None
    if table is not None and table.num_rows:
        kind = kind_of(table.column_names)
        rows = Rows(kind, table.drop_columns(["authors"]))
        keyed = [
            (language, audit.pair_key(language, prompt, answers), str(one))
            for (prompt, answers, language, _), one in zip(contents(rows), rows.ids, strict=True)
        ]
        places = pa.array(audit.chosen_places(keyed, step.audit_rows, pairs=kind is Kind.PREFERENCE), pa.int64())
        rows = Rows(kind, rows.table.take(places))
        authors: list[Authors] = [orjson.loads(one) for one in table["authors"].take(places).to_pylist()]
        items = items_of(step, rows, context)
        judged = judge_items(step, items, kind, lambda _: list(judges), context)
        audit.record(step, records, judges, items, judged, authors)
        if step.probes and step.method != "reference":
            _probe(step, records, list(judges), items, judged, kind, context)
    if step.gold is not None:
        _compare(step, records, judges, context)
    metrics = audit.table(step, judges, records, context.seed)
    _warn(step, judges, metrics, context)
    return metrics


def _compare(step: JudgeParams, records: Records, judges: Mapping[str, str], context: Context) -> None:
    """Records the verdicts on the gold rows."""
    assert step.gold is not None
    used = 0
    for rows in context.rows(step.gold):
        scores = [
            # A row that the step ``labels`` has seen has a person's judgment in its score.
            by_name.get(step.gold_score, by_name.get("labels"))
            for row in rows.table["scores"].to_pylist()
            for by_name in [{one["name"]: one["value"] for one in row}]
        ]
        pairs = rows.kind is Kind.PREFERENCE
        gold = [1.0 if score is None and pairs else score for score in scores]
        rows = rows.take([one is not None for one in gold])
        if not len(rows) or (step.method == "pairwise" and not pairs):
            continue
        used += len(rows)
        items = items_of(step, rows, context)
        judged = judge_items(step, items, rows.kind, lambda _: list(judges), context)
        audit.record(step, records, judges, items, judged, gold=[one for one in gold if one is not None])
    if not used:
        needed = "preference rows"
        if step.method != "pairwise":
            needed += f", or rows with a score '{step.gold_score}'"
        context.warn(f"{step.tag}: '{step.gold}' has no usable rows: gold rows are {needed}")


def _probe(
    step: JudgeParams,
    records: Records,
    judges: Sequence[str],
    items: Sequence[Item],
    judged: Mapping[tuple[int, str], Verdict],
    kind: Kind,
    context: Context,
) -> None:
    """Plants a note into the answer that a judge did not prefer, and records whether the judge now follows it."""
    count: dict[str, int] = {}
    some = []
    for at, item in enumerate(items):
        if not item.why_not and not item.same and count.get(item.language, 0) < step.probes:
            count[item.language] = count.get(item.language, 0) + 1
            some.append(at)
    notes = load_data(PROBES)
    rubric = () if step.method == "pairwise" else step.criteria(kind)
    for name in judges:
        planted, goals = [], []
        for at in some:
            verdict = judged.get((at, name))
            if verdict is None or verdict.score is None:
                continue
            if step.method == "pairwise":
                side = "rejected" if verdict.score >= 0 else "chosen"
                note, goal = own_prompt("probe", notes["pairwise"]).fill({})[0][1], 1.0 if side == "chosen" else -1.0
            else:
                side, level = next(iter(verdict.sides.items()))
                numbers = rubric[0].numbers
                goal = float(numbers[0] if level - numbers[0] >= numbers[-1] - level else numbers[-1])
                values = {"score": f"{goal:.0f}", "keys": ", ".join(f'"{one.name}": {goal:.0f}' for one in rubric)}
                note = own_prompt("probe", notes["direct"]).fill(values)[0][1]
            planted.append(items[at].with_answer(side, items[at].answers[side] + note))
            goals.append((side, goal))
        verdicts = judge_items(step, planted, kind, lambda _, name=name: [name], context)  # type: ignore[misc]
        for at, (item, (side, goal)) in enumerate(zip(planted, goals, strict=True)):
            verdict = verdicts.get((at, name))
            if verdict is None or verdict.score is None:
                continue
            same_sign = verdict.score * goal > 0
            followed = same_sign if step.method == "pairwise" else abs(verdict.sides[side] - goal) < 0.5
            records[name, item.language].probed.append(followed)


def _warn(step: JudgeParams, judges: Mapping[str, str], metrics: pa.Table, context: Context) -> None:
    rows = metrics.to_pylist()
    for row in rows:
        if row["refused"]:
            context.warn(
                f"{step.tag}: '{row['judge']}' failed its audit and is not used for '{row['language']}': "
                f"{row['figure']} {row['value']:.2f} is beyond the limit of {row['limit']:g} "
                f"({row['n']:,} observations)"
            )
    checked = {
        (row["judge"], row["language"]) for row in rows if row["figure"] == step.agreement and row["value"] is not None
    }
    for judge, language in sorted({(row["judge"], row["language"]) for row in rows} - checked):
        if step.min_agreement[language] is not None:
            context.warn(
                f"{step.tag}: '{judge}' is not checked against people for '{language}': no gold rows for "
                f"'{step.agreement}'"
            )

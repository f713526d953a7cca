"""``judge``: which of two answers is better, or how good one is, by language models that are judged themselves first.

*Pairwise* asks about both orders of every pair and calls it a tie where they disagree; *direct* goes by a rubric with levels;
*reference* compares with a known good answer by an encoder, without any language model. Before a verdict counts, the audit
looks on a sample (and on gold rows, where there are some) how far each judge follows order, length, kin or a note in the text
instead of the matter; over a limit it is asked nothing more about that language. Nothing that is undecided becomes a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from curate.generation.common.requests import check_languages
from curate.preferences.judge import audit as judge_audit
from curate.preferences.judge import calibration as judge_fit
from curate.preferences.judge import columns as judge_columns
from curate.preferences.judge.params import JudgeParams
from curate.preferences.judge.rendering import Item, items_of
from curate.preferences.judge.requests import Asking, Judged
from curate.preferences.judge.self_preference import refuse_self
from curate.preferences.judge.verdicts import judge_items
from curate.rows.languages import UNKNOWN
from curate.steps import Context, Rows


class Judge(JudgeParams):
    """Judges pairs or single answers.

    Scores: ``score`` (pairwise: -1 to 1, above 0 where ``chosen`` is better, the mean over judges; direct: the weighted mean level
    over criteria and judges; reference: the cosine with the reference; of a pair, ``chosen`` minus ``rejected``, which are
    scores too), ``judges`` (how many gave a usable verdict), ``spread`` (greatest difference between two judges); pairwise
    also ``consistency`` (share of judges whose two orders agree) and ``first_wins`` (share of the answers for one side
    that named the one shown first); direct, with several criteria, one score each. Attributes: ``unjudged`` says
    why there is no score (``refused``: by the audit, ``failed``, ``empty``, ``reference``: there is none), ``verdicts`` what
    each judge said, ``reasons`` why, ``problem`` what was wrong with its answers, ``prompt_hash`` what it was told.
    """

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        self._refuse_self(rows, context)  # before anything is asked
        if self.strict:
            self._check_languages(rows, context)
        return judge_fit.sample(self, rows, context)

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        return judge_fit.fit(self, samples, context)

    def audits(self, fitted: pa.Table) -> list[dict[str, Any]]:
        found = []
        for row in fitted.to_pylist():
            limit = row["limit"]
            note = (
                ""
                if limit is None
                else f"beyond the limit of {limit:g}: not asked any further"
                if row["refused"]
                else f"limit {limit:g}"
            )
            about = {
                "subject": row["judge"],
                "model": row["model"],
                "language": row["language"],
                "figure": row["figure"],
            }
            numbers = {"value": row["value"], "low": row["low"], "high": row["high"], "rows": row["n"], "limit": limit}
            found.append({**about, **numbers, "refused": row["refused"], "note": note})
        return found

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        self._refuse_self(rows, context)
        self._check_languages(rows, context)
        away = judge_audit.refused(fitted)

        def judges(item: Item) -> list[str]:
            return [name for name in self.names if (name, item.language) not in away]

        items = items_of(self, rows, context)
        judged = judge_items(self, items, rows.kind, judges, context)
        self._complain(items, judged, context)
        hashes = None
        if self.method != "reference":
            told = Asking(self, rows.kind, context)
            hashes = [told.hash(item.language) for item in items]
        return judge_columns.frame(self, rows.kind, items, judged, judges, hashes)

    def _refuse_self(self, rows: Rows, context: Context) -> None:
        if not self.allow_self and self.method != "reference" and len(rows):
            refuse_self(rows, self.judges(context), context, self.tag)

    def _check_languages(self, rows: Rows, context: Context) -> None:
        if self.method != "reference":
            languages = {tag for tag in rows.language if tag != UNKNOWN}
            check_languages(context, self.tag, self.names, languages, strict=self.strict)

    def _complain(self, items: Sequence[Item], judged: Judged, context: Context) -> None:
        for name in self.names if self.method != "reference" else ():
            asked = [one for (_, judge), one in judged.items() if judge == name]
            failed = [one for one in asked if one.score is None]
            if failed:
                context.warn(
                    f"{self.tag}: '{name}' gave no usable verdict on {len(failed):,} of {len(asked):,} rows: {failed[0].problem}"
                )
        without = sum(item.why_not == "reference" for item in items)
        if without:
            context.warn(
                f"{self.tag}: {without:,} rows have no answer in '{self.reference}' to go by and are not judged"
            )

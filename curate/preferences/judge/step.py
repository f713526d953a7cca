"""``judge``: language models say which of two answers is better, or how good an answer is; the judges are audited
first.

*Pairwise* asks about both orders of every pair and calls it a tie where they disagree. *Direct* uses a rubric with
levels.
*Reference* compares with a known good answer by an encoder, without a language model. Before a verdict counts, the
audit measures on a sample (and on gold rows, if there are any) how far each judge follows order, length, model family
or a planted note instead of content. A judge over a limit is not used for that language. Undecided pairs become no
rows.
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
from curate.preferences.judge.requests import Judged, JudgeRequests
from curate.preferences.judge.self_preference import refuse_self
from curate.preferences.judge.verdicts import judge_items
from curate.rows.languages import UNKNOWN
from curate.steps import Context, Rows
from curate.unanswered import current


class Judge(JudgeParams):
    """Judges pairs or single answers.

    Scores: ``score`` (pairwise: the mean over judges, -1 to 1, above 0 if ``chosen`` is better; direct: the weighted
    mean level over criteria and judges; reference: the cosine with the reference; for pairs not judged pairwise,
    ``chosen`` minus ``rejected``, which are scores too), ``judges`` (number of usable verdicts), ``spread`` (largest
    difference between two judges). Pairwise also ``consistency`` (share of judges whose two orders agree) and
    ``first_wins`` (share of the answers for one side that named the one shown first). Direct, with several criteria,
    also one score each. Attributes: ``unjudged`` (why there is no score: ``refused`` by the audit, ``failed``,
    ``empty``, ``media``: images and the like, which it is not shown, ``reference``: there is none), ``verdicts`` (of
    each judge), ``reasons``, ``problem`` (what was wrong with a judge's answers), ``prompt_hash``.
    """

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        self._refuse_self(rows, context)  # before anything is asked
        if self.strict:
            self._check_languages(rows, context)
        return judge_fit.sample(self, rows, context)

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        return judge_fit.fit(self, samples, context)

    def diagnostics(self, fitted: pa.Table) -> list[dict[str, Any]]:
        diagnostics = []
        for row in fitted.to_pylist():
            limit = row["limit"]
            note = "" if limit is None else f"limit {limit:g}"
            if row["refused"] and limit is not None:
                note = f"beyond the limit of {limit:g}: not used for this language"
            diagnostics.append(
                {
                    "subject": row["judge"],
                    "model": row["model"],
                    "language": row["language"],
                    "figure": row["figure"],
                    "value": row["value"],
                    "low": row["low"],
                    "high": row["high"],
                    "rows": row["n"],
                    "limit": limit,
                    "refused": row["refused"],
                    "note": note,
                }
            )
        return diagnostics

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        self._refuse_self(rows, context)
        self._check_languages(rows, context)
        rejected = judge_audit.refused(fitted)

        def judges(item: Item) -> list[str]:
            return [name for name in self.names if (name, item.language) not in rejected]

        items = items_of(self, rows, context)
        judged = judge_items(self, items, rows.kind, judges, context)
        self._warn(items, judged, context)
        hashes = None
        if self.method != "reference":
            requests = JudgeRequests(self, rows.kind, context)
            hashes = [requests.hash(item.language) for item in items]
        return judge_columns.frame(self, rows.kind, items, judged, judges, hashes)

    def _refuse_self(self, rows: Rows, context: Context) -> None:
        if not self.allow_self and self.method != "reference" and len(rows):
            refuse_self(rows, self.judges(context), context, self.tag)

    def _check_languages(self, rows: Rows, context: Context) -> None:
        if self.method != "reference":
            languages = {tag for tag in rows.language if tag != UNKNOWN}
            check_languages(context, self.tag, self.names, languages, strict=self.strict)

    def _warn(self, items: Sequence[Item], judged: Judged, context: Context) -> None:
        for name in self.names if self.method != "reference" else ():
            asked = [(items[at].id, one) for (at, judge), one in judged.items() if judge == name]
            verdicts = [one for row, one in asked if row not in current().not_asked]
            failed = [one for one in verdicts if one.score is None]
            if failed:
                context.warn(
                    f"{self.tag}: '{name}' gave no usable verdict on {len(failed):,} of {len(verdicts):,} rows: "
                    f"{failed[0].problem}"
                )
        unseen = sum(item.why_not == "media" for item in items)
        if unseen:
            context.warn(
                f"{self.tag}: {unseen:,} rows have images, audios or videos, which judges are not shown; not judged"
            )
        without = sum(item.why_not == "reference" for item in items)
        if without:
            context.warn(f"{self.tag}: {without:,} rows have no reference in '{self.reference}' and are not judged")

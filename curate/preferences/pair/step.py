"""``pair``: makes preference rows from a better and a worse answer to the same prompt.

Scores come from any step before (a judge, a reward model, self-consistency, a similarity) or from the rows themselves.
Pairs are chosen from a few numbers of every row; then the chosen rows are written to a file and put together. Undecided
pairs become no rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field, PositiveInt, model_validator

from curate.catalog.params import ModelName, PerLanguage
from curate.generation.common.derived_rows import all_licenses, derive_rows, hash_of, random_numbers
from curate.generation.common.prompts import Prompting, fence, load_prompts, own_prompts, prompt_problems
from curate.preferences.pair.candidates import (
    attribute_column,
    candidates,
    makers_of,
    plain,
    prompt_keys,
    score_column,
    split_turns,
)
from curate.preferences.pair.merge import PlacedPair, RowIndex, RowView, join_pairs, scores_of
from curate.preferences.pair.pairless import Pairless
from curate.preferences.pair.rules import CandidatePair, Choose, Rule, balanced
from curate.rows import Kind, message_text
from curate.steps import Context, DatasetStep, RowBatch, Rows

_WRITTEN = 2_048
_MARKS = r"[\p{M}\p{Cf}]"
JUDGMENT = "pair/judgment"
_MIN_DECIDED = 20


class Pair(Prompting, DatasetStep):
    """Makes preference rows from candidates: rows with the same prompt, the same language, and different answers.

    Scores of a made row: ``pair.margin`` (how much better the chosen answer is), ``pair.chosen`` and ``pair.rejected``
    (their scores; all three only if the answers were scored) and ``pair.length_ratio`` (how many times longer the
    chosen answer is). Attributes ``pair.chosen_by`` and ``pair.rejected_by``: the models that answered. Parents: the
    chosen and the rejected row. Preference rows as input are used as they are: for ``choose: all`` each in both orders,
    to be judged anew; for ``make: unpaired`` as a good and a bad answer.
    """

    tag: ClassVar[str] = "pair"
    version: ClassVar[int] = 5
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.UNPAIRED, Kind.PREFERENCE})
    summary: ClassVar[str] = "preference rows from scored answers to the same prompt"

    by: str | None = None
    """The score that says which answer is better (``judge``, ``reward``, ``self_consistency`` …; higher is better). Not
    needed for ``choose: all``, and for ``unpaired`` rows, whose labels decide."""
    choose: Choose = "best_worst"
    """``best_worst``: the widest margin. ``best_random``: the best against a random worse one. ``best_rest``: the best
    against each other one. ``neighbours``: each against the next worse one (narrow margins). ``threshold``: one of at
    least ``good`` against one of at most ``bad``. ``all``: every two; without ``by`` in both orders, for a judge to
    keep the right one."""
    min_margin: PerLanguage[Annotated[float, Field(ge=0)]] = PerLanguage(0.0)
    """Minimum difference of scores. Equal scores never make a pair."""
    good: PerLanguage[float] | None = None
    """For ``threshold`` and ``unpaired``: the minimum score of a good answer."""
    bad: PerLanguage[float] | None = None
    """For ``threshold`` and ``unpaired``: the maximum score of a bad answer."""
    per_prompt: PositiveInt | None = None
    """Maximum number of pairs per prompt; by default 1 for ``best_worst``, ``best_random`` and ``threshold``, else
    unlimited. Each answer is in one pair only (except for ``best_random``, ``best_rest``, ``neighbours`` and
    ``all``)."""
    max_candidates: Annotated[int, Field(ge=2)] = 64
    """Maximum number of answers per prompt to pair, sampled by the seed."""
    make: Literal["preference", "unpaired", "judgments"] = "preference"
    """``unpaired``: single answers with a label, good or bad (KTO), by ``good`` and ``bad`` or, without them, from the
    pairs. ``judgments``: conversations in which the answer is a written judgment (CUT, Xu et al. 2023), the text of
    ``judgment``."""
    judgment: str = "judge.reasons"
    """For ``make: judgments``: the attribute with the written judgment of an answer. The judges' catalog names in the
    output of a ``judge`` step are removed; the texts of several judges become paragraphs."""
    judgment_form: PerLanguage[str] = PerLanguage[str]("{judgment}")
    """For ``make: judgments``: a template for the answer, by the row's language, with ``{judgment}`` and optionally
    ``{score}`` (of ``by``)."""

    chosen_models: tuple[ModelName, ...] = ()
    """Only answers of these models are chosen (on-policy: the model to be trained); by default any."""
    rejected_models: tuple[ModelName, ...] = ()
    """Only answers of these models are rejected."""
    chosen_sources: tuple[str, ...] = ()
    """Only unmodified answers from these sources (without any model in their lineage) are chosen. An answer that
    satisfies ``chosen_models`` is allowed too."""
    rejected_sources: tuple[str, ...] = ()
    """The same for rejected answers."""
    same_model: Literal["any", "only", "never"] = "any"
    """Whether both answers of a pair must come from one model (``only``) or from two (``never``)."""
    translated: Literal["any", "same", "never_chosen"] = "any"
    """Guards against a preference for translationese: ``same`` pairs translated answers with translated ones and native
    with native; ``never_chosen`` never chooses a translated answer over a native one."""
    max_length_ratio: PerLanguage[Annotated[float, Field(ge=1)]] | None = None
    """Maximum ratio of the lengths of the two answers (characters without combining marks)."""
    balance_length: bool = False
    """Whether to drop pairs until, in each language and at every ratio of lengths, longer and shorter answers are
    chosen equally often."""

    @model_validator(mode="after")
    def _fits_together(self) -> Pair:
        if self.choose == "threshold" and self.good is None and self.bad is None:
            raise ValueError("choose: threshold needs 'good' or 'bad'")
        if (self.good is not None or self.bad is not None) and self.choose != "threshold" and self.make != "unpaired":
            raise ValueError("'good' and 'bad' need 'choose: threshold' or 'make: unpaired'")
        if self.make == "unpaired" and (self.good is None) != (self.bad is None):
            raise ValueError("make: unpaired needs both 'good' and 'bad', or neither (then it splits the pairs)")
        return self

    def makes(self, kind: Kind) -> Kind:
        return {"preference": Kind.PREFERENCE, "unpaired": Kind.UNPAIRED, "judgments": Kind.SFT}[self.make]

    def shipped(self) -> Iterable[str]:
        return [JUDGMENT] if self.make == "judgments" else []

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def check(self, kind: Kind) -> list[str]:
        if problems := prompt_problems("judgment_form", self.judgment_form, ("judgment", "score"), needed=["judgment"]):
            return problems
        if kind is Kind.PREFERENCE:
            if self.make == "judgments":
                return ["make: judgments needs single answers (sft rows), not preference rows"]
            if self.make == "preference" and self.choose != "all":
                return ["preference rows are pairs already; 'choose: all' puts each in both orders, to be judged anew"]
            return []
        needs = self.choose != "all" and self.make != "judgments" and kind is not Kind.UNPAIRED
        return ["by: name the score that says which answer is better"] if needs and self.by is None else []

    # -------------------------------------------------------------------------------------------------------- gathering
    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        kind = next((part.kind for part in rows), None)
        if kind is None:
            return
        if kind is Kind.PREFERENCE:
            yield from self._from_preferences(rows, context)
        elif self.make == "judgments":
            yield from self._judgments(rows)
        elif self.make == "unpaired" and self.good is not None:
            yield from self._labelled(rows)
        else:
            yield from self._pairs(rows, context)

    def _pairs(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table]:
        chosen = self._chosen(RowIndex.of(rows, self._view(context), context), context)
        for part, pairs in join_pairs(rows, chosen, context):
            if self.make == "unpaired":
                yield _split(part, pairs)
            else:
                yield self._preferences(part, pairs)

    def _chosen(self, index: RowIndex, context: Context) -> list[CandidatePair]:
        """The pairs, in the order of their first candidates."""
        pairs: list[CandidatePair] = []
        languages: list[str] = []
        pairless = Pairless(self.tag)
        for language, entries in index.prompts(self.max_candidates):
            rule = self._rule(language)
            if self.same_model == "any":
                of_prompt = rule.pairs(entries)
            else:
                of_prompt = index.within_models(entries, rule, only=self.same_model == "only")
            if not of_prompt:
                pairless.add(language, entries, rule)
            pairs += of_prompt
            languages += [language] * len(of_prompt)
        pairless.tell(index, context)
        if self.balance_length:
            keys = [f"{pair.chosen.place} {pair.rejected.place}" for pair in pairs]
            kept = balanced(pairs, languages, random_numbers(context.seed, keys, "balance"))
            pairs, languages = [pairs[place] for place in kept], [languages[place] for place in kept]
        if self.by is not None or not self._both_ways:
            _warn_of_length_bias(pairs, languages, context)
        return pairs

    @property
    def _both_ways(self) -> bool:
        return self.choose == "all" and self.by is None

    def _view(self, context: Context) -> RowView:
        limits = [(self.chosen_models, self.chosen_sources), (self.rejected_models, self.rejected_sources)]
        allowed = [({context.model_name(model) for model in models}, set(sources)) for models, sources in limits]

        def sides(rows: Rows) -> list[tuple[bool, bool]]:
            lineages = rows.table["lineage"].to_pylist()
            permissions = []
            for by, lineage in zip(makers_of(rows), lineages, strict=True):
                may = [
                    not (models or sources) or _is_one(by, models) or (not by and lineage["source"] in sources)
                    for models, sources in allowed
                ]
                permissions.append((may[0], may[1]))
            return permissions

        return RowView(self.by, self._both_ways, prompt_keys, sides)

    def _rule(self, language: str) -> Rule:
        single = self.choose in ("best_worst", "best_random", "threshold")
        return Rule(
            self.choose,
            not self._both_ways,
            self.min_margin[language] or 0.0,
            _of(self.good, language),
            _of(self.bad, language),
            self.per_prompt or (1 if single else None),
            _of(self.max_length_ratio, language),
            self.translated,
        )

    def _preferences(self, part: Rows, pairs: Sequence[PlacedPair]) -> pa.Table:
        every = candidates(part)
        makers, ids = makers_of(part), part.ids.to_list()
        licenses = [one["license"] for one in part.table["lineage"].to_pylist()]
        scores = []
        for one in pairs:
            row_scores = {"length_ratio": round(one.pair.ratio, 4)}
            if not np.isnan(one.pair.chosen.score + one.pair.rejected.score):
                row_scores |= {
                    "margin": round(one.pair.margin, 6),
                    "chosen": one.pair.chosen.score,
                    "rejected": one.pair.rejected.score,
                }
            scores.append(row_scores)
        return derive_rows(
            Kind.PREFERENCE,
            part,
            [one.chosen for one in pairs],
            {
                "prompt": [list(every[one.chosen].prompt) for one in pairs],
                "chosen": [list(every[one.chosen].turns) for one in pairs],
                "rejected": [list(every[one.rejected].turns) for one in pairs],
            },
            [str(part.language[one.chosen]) for one in pairs],
            step=self.tag,
            more_parents=[[ids[one.rejected]] for one in pairs],
            scores=scores,
            attributes=[{"chosen_by": makers[one.chosen], "rejected_by": makers[one.rejected]} for one in pairs],
            licenses=[all_licenses(licenses[one.chosen], licenses[one.rejected]) for one in pairs],
        )

    # ---------------------------------------------------------------------------------------------------- other outputs
    def _from_preferences(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table]:
        """Preference rows in both orders, or split into single answers."""
        for part in rows:
            prompts = part.table["prompt"].to_pylist()
            sides = [part.table[name].to_pylist() for name in ("chosen", "rejected")]
            differ = [
                place for place in range(len(part)) if plain(_text(sides[0][place])) != plain(_text(sides[1][place]))
            ]
            places = [place for place in differ for _ in (0, 1)]
            turn = [0, 1] * len(differ)
            languages = [str(part.language[place]) for place in places]
            if self.make == "unpaired":
                values: dict[str, Any] = {
                    "prompt": [prompts[place] for place in places],
                    "completion": [sides[side][place] for place, side in zip(places, turn, strict=True)],
                    "label": [side == 0 for side in turn],
                }
                yield derive_rows(Kind.UNPAIRED, part, places, values, languages, step=self.tag)
            else:
                values = {
                    "prompt": [prompts[place] for place in places],
                    "chosen": [sides[side][place] for place, side in zip(places, turn, strict=True)],
                    "rejected": [sides[1 - side][place] for place, side in zip(places, turn, strict=True)],
                }
                attributes = [{"turned": "yes" if side else "no"} for side in turn]
                yield derive_rows(
                    Kind.PREFERENCE, part, places, values, languages, step=self.tag, attributes=attributes
                )
            context.advance(len(part))

    def _labelled(self, rows: Iterable[Rows]) -> Iterator[pa.Table]:
        """Every good and every bad answer as an unpaired row."""
        assert self.good is not None and self.bad is not None
        for part in rows:
            score = scores_of(part, self.by)
            places, labels = [], []
            every = candidates(part)
            for place, language in enumerate(part.language.to_list()):
                good, bad = self.good[language], self.bad[language]
                is_good = good is not None and score[place] >= good
                if every[place].answer.strip() and (is_good or (bad is not None and score[place] <= bad)):
                    places.append(place)
                    labels.append(bool(is_good))
            yield _unpaired(part, places, labels, [{"score": float(score[place])} for place in places])

    def _judgments(self, rows: Iterable[Rows]) -> Iterator[pa.Table]:
        """Conversations: request and answer as the question, the written judgment as the answer."""
        prompts, forms = load_prompts(JUDGMENT), own_prompts("judgment_form", self.judgment_form)
        for part in rows:
            judgments = self._written(part)
            score = score_column(part, self.by) if self.by else np.full(len(part), np.nan)
            places, messages = [], []
            for place, (one, judgment) in enumerate(zip(candidates(part), judgments, strict=True)):
                if not judgment or not judgment.strip() or not one.answer.strip():
                    continue
                language = str(part.language[place])
                request = "\n\n".join(turn["content"] for turn in one.prompt if turn["role"] == "user")
                question = prompts[language].fill(
                    {"prompt": fence(request, "instruction"), "answer": fence(one.answer, "answer")}
                )
                number = "" if np.isnan(score[place]) else f"{score[place]:g}"
                answer = forms[language].fill({"judgment": judgment.strip(), "score": number})[0][1]
                places.append(place)
                messages.append([*({"role": role, "content": text} for role, text in question), _assistant(answer)])
            scores = [{} if np.isnan(score[place]) else {"score": float(score[place])} for place in places]
            yield derive_rows(
                Kind.SFT,
                part,
                places,
                {"messages": messages},
                [str(part.language[place]) for place in places],
                step=self.tag,
                prompt_hash=hash_of(prompts.hash),
                scores=scores,
            )

    def _written(self, part: Rows) -> list[str | None]:
        """The written judgment of each row, without the judges' catalog names."""
        judgments = attribute_column(part, self.judgment)
        step, dot, last = self.judgment.rpartition(".")
        if last != "reasons" or not dot:
            return judgments
        verdicts = attribute_column(part, f"{step}.verdicts")
        return [text and _without_names(text, one) for text, one in zip(judgments, verdicts, strict=True)]


def _without_names(text: str, verdicts: str | None) -> str:
    """Removes the judges' names from what a ``judge`` step wrote as ``name: reason``, one judge after the other.

    Args:
        verdicts: JSON with the same names, in the same order.
    """
    names = list(orjson.loads(verdicts)) if verdicts else []
    reasons: list[list[str]] = []
    for line in text.split("\n"):
        judge = next((name for name in names if line.startswith(f"{name}: ")), None)
        if judge is None and not reasons:
            return text
        if judge is None:
            reasons[-1].append(line)
        else:  # a judge speaks once; its name in the text of a later one is a word of that text
            names = names[names.index(judge) + 1 :]
            reasons.append([line.removeprefix(f"{judge}: ")])
    return "\n\n".join("\n".join(lines) for lines in reasons)


def _split(part: Rows, pairs: Sequence[PlacedPair]) -> pa.Table:
    """The answers of pairs as unpaired rows, each once: the chosen ones good, the rejected ones bad."""
    labels: dict[int, tuple[bool, float]] = {}
    for one in pairs:
        labels.setdefault(one.chosen, (True, one.pair.chosen.score))
        labels.setdefault(one.rejected, (False, one.pair.rejected.score))
    scores = [{} if np.isnan(score) else {"score": score} for _, score in labels.values()]
    return _unpaired(part, list(labels), [label for label, _ in labels.values()], scores)


def _unpaired(
    part: Rows, places: Sequence[int], labels: Sequence[bool], scores: Sequence[dict[str, float]]
) -> pa.Table:
    if part.kind is Kind.SFT:
        every = [split_turns(turns) for turns in part.table["messages"].to_pylist()]
        prompts, answers = [list(one.prompt) for one in every], [list(one.turns) for one in every]
    else:
        prompts, answers = part.table["prompt"].to_pylist(), part.table["completion"].to_pylist()
    values: dict[str, Any] = {
        "prompt": [prompts[place] for place in places],
        "completion": [answers[place] for place in places],
        "label": list(labels),
    }
    return derive_rows(
        Kind.UNPAIRED,
        part,
        places,
        values,
        [str(part.language[place]) for place in places],
        step=Pair.tag,
        scores=scores,
    )


def _warn_of_length_bias(pairs: Sequence[CandidatePair], languages: Sequence[str], context: Context) -> None:
    """Reports, for each language, how often the longer answer was chosen, if that is far from chance."""
    longer, decided = Counter[str](), Counter[str]()
    for pair, language in zip(pairs, languages, strict=True):
        decided[language] += pair.chosen.length != pair.rejected.length
        longer[language] += pair.chosen.length > pair.rejected.length
    biased = []
    for language, count in sorted(decided.items()):
        share = longer[language] / count if count else 0.5
        # Beyond three standard deviations of a fair coin.
        if count >= _MIN_DECIDED and abs(share - 0.5) > 1.5 / count**0.5:
            biased.append(f"{language} {share:.0%} of {count:,}")
    if biased:
        context.warn(
            f"pair: the longer answer is the chosen one in {', '.join(biased)} pairs; a trainer may learn length from "
            "that: see max_length_ratio and balance_length"
        )


def _of(limits: PerLanguage[float] | None, language: str) -> float | None:
    return None if limits is None else limits[language]


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _text(turns: Sequence[dict[str, str]]) -> str:
    return "\n".join(message_text(turn) for turn in turns)


def _is_one(maker: str, models: Collection[str]) -> bool:
    """Whether a name in the lineage is one of these models, or such a model served under another name
    (``name+served``)."""
    return any(maker == model or maker.startswith(f"{model}+") for model in models)

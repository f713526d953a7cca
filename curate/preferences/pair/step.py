"""``pair``: of rows that answer the same prompt, a better and a worse one become a preference row; what is undecided becomes none.

Scores come from any step before (a judge, a reward model, a vote, a similarity) or from the rows themselves. First a few
numbers of every row are looked at and the pairs chosen; then the rows that are wanted are written to a file and put together.
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
from curate.generation.common.derived_rows import all_licenses, hash_of, new_rows, random_numbers
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
from curate.preferences.pair.merge import Look, Placed, Seen, both, scores_of
from curate.preferences.pair.rules import Choose, Rule, balanced
from curate.preferences.pair.rules import Pair as Two
from curate.rows import Kind
from curate.steps import Context, GatherStep, NewRows, Rows

_WRITTEN = 2_048
_MARKS = r"[\p{M}\p{Cf}]"
JUDGMENT = "pair/judgment"
_TOLD = 20


class Pair(Prompting, GatherStep):
    """Makes preference rows of candidates: rows with the same prompt in the same language, and different answers.

    Scores of a made row: ``pair.margin`` (by how much the chosen one is better), ``pair.chosen`` and ``pair.rejected`` (their
    scores; all three only where they were scored) and ``pair.length_ratio`` (how many times longer the chosen answer is).
    Attributes ``pair.chosen_by`` and ``pair.rejected_by``: the models that answered. Parents: the chosen and the rejected row.
    Preference rows as input are taken as they stand: for ``choose: all`` each both ways round, to be judged anew; for
    ``make: unpaired`` as a good and a bad answer.
    """

    tag: ClassVar[str] = "pair"
    version: ClassVar[int] = 3
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.UNPAIRED, Kind.PREFERENCE})
    summary: ClassVar[str] = "Preference rows out of scored answers to the same prompt"

    by: str | None = None
    """The score that says which answer is better (``judge``, ``reward``, ``self_consistency`` …; the greater the better); not needed for
    ``choose: all`` and for ``unpaired`` rows, whose thumbs decide."""
    choose: Choose = "best_worst"
    """``best_worst``: the widest margin; ``best_random``: the best against a random worse one; ``best_rest``: the best against each other one;
    ``neighbours``: each against the next worse one (narrow margins); ``threshold``: one of at least ``good`` against one of at
    most ``bad``; ``all``: every two, and where there is no ``by`` both ways round, for a judge to keep the right one."""
    min_margin: PerLanguage[Annotated[float, Field(ge=0)]] = PerLanguage(0.0)
    """Least difference of scores; equal scores never make a pair."""
    good: PerLanguage[float] | None = None
    """For ``threshold`` and ``unpaired``: the least score of a good answer."""
    bad: PerLanguage[float] | None = None
    """For ``threshold`` and ``unpaired``: the greatest score of a bad answer."""
    per_prompt: PositiveInt | None = None
    """Most pairs of a prompt; unless given, 1 for ``best_worst``, ``best_random`` and ``threshold``, all for the others. Each answer is in
    one pair only (but for ``best_random``, ``best_rest``, ``neighbours`` and ``all``)."""
    max_candidates: Annotated[int, Field(ge=2)] = 64
    """Of more answers to a prompt so many are taken, by the seed."""
    make: Literal["preference", "unpaired", "judgments"] = "preference"
    """``unpaired``: single answers with a thumb up or down (KTO), by ``good`` and ``bad`` or, without them, out of the pairs;
    ``judgments``: conversations in which the answer is a written judgment (CUT, Xu et al. 2023), the text of ``judgment``."""
    judgment: str = "judge.reasons"
    """The attribute that holds the written judgment of an answer, for ``make: judgments``. Of what a ``judge`` step wrote, the judges' names in the
    catalog are left out; what several judges say stands in paragraphs of its own."""
    judgment_form: PerLanguage[str] = PerLanguage[str]("{judgment}")
    """How the answer of a judgment is put, by the language of the row: a text with ``{judgment}`` in it, and ``{score}`` (of ``by``) if wanted."""

    chosen_models: tuple[ModelName, ...] = ()
    """Only answers of these models are chosen (on-policy: the model to be trained); any if none is named."""
    rejected_models: tuple[ModelName, ...] = ()
    """Only answers of these models are rejected."""
    chosen_sources: tuple[str, ...] = ()
    """Only answers that come from these sources as they are (no model had a hand in them) are chosen; counts beside ``chosen_models``."""
    rejected_sources: tuple[str, ...] = ()
    """The same for rejected ones."""
    same_model: Literal["any", "only", "never"] = "any"
    """Whether both answers of a pair are of one model (``only``) or of two (``never``)."""
    translated: Literal["any", "same", "never_chosen"] = "any"
    """Against a preference for translationese: ``same`` pairs translated answers with translated ones and native with native;
    ``never_chosen`` never chooses a translated answer over a native one."""
    max_length_ratio: PerLanguage[Annotated[float, Field(ge=1)]] | None = None
    """Greatest ratio of the lengths of the two answers (characters without marks)."""
    balance_length: bool = False
    """Whether pairs are left out until, in each language, as many longer as shorter answers are chosen, at every ratio of lengths."""

    @model_validator(mode="after")
    def _fits_together(self) -> Pair:
        if self.choose == "threshold" and self.good is None and self.bad is None:
            raise ValueError("choose: threshold needs 'good' or 'bad'")
        if (self.good is not None or self.bad is not None) and self.choose != "threshold" and self.make != "unpaired":
            raise ValueError("'good' and 'bad' are for 'choose: threshold' and 'make: unpaired'")
        if self.make == "unpaired" and (self.good is None) != (self.bad is None):
            raise ValueError("make: unpaired needs both 'good' and 'bad', or neither (then it takes the pairs apart)")
        return self

    def makes(self, kind: Kind) -> Kind:
        return {"preference": Kind.PREFERENCE, "unpaired": Kind.UNPAIRED, "judgments": Kind.SFT}[self.make]

    def shipped(self) -> Iterable[str]:
        return [JUDGMENT] if self.make == "judgments" else []

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def check(self, kind: Kind) -> list[str]:
        if wrong := prompt_problems("judgment_form", self.judgment_form, ("judgment", "score"), needed=["judgment"]):
            return wrong
        if kind is Kind.PREFERENCE:
            if self.make == "judgments":
                return ["make: judgments is made of single answers (sft rows), not of preference rows"]
            if self.make == "preference" and self.choose != "all":
                return [
                    "preference rows are pairs already; 'choose: all' turns each both ways round, to be judged anew"
                ]
            return []
        needs = self.choose != "all" and self.make != "judgments" and kind is not Kind.UNPAIRED
        return ["by: name the score that says which answer is better"] if needs and self.by is None else []

    # --------------------------------------------------------------------------------------------------------- gathering
    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | NewRows]:
        kind = next((part.kind for part in rows), None)
        if kind is None:
            return
        if kind is Kind.PREFERENCE:
            yield from self._turned(rows, context)
        elif self.make == "judgments":
            yield from self._judgments(rows)
        elif self.make == "unpaired" and self.good is not None:
            yield from self._thumbs(rows)
        else:
            yield from self._pairs(rows, context)

    def _pairs(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table]:
        chosen = self._chosen(Seen.of(rows, self._look(context), context), context)
        for part, pairs in both(rows, chosen, context):
            if self.make == "unpaired":
                yield _apart(part, pairs)
            else:
                yield self._preferences(part, pairs)

    def _chosen(self, seen: Seen, context: Context) -> list[Two]:
        """The pairs, in the order of the first of their candidates."""
        pairs: list[Two] = []
        languages: list[str] = []
        for language, entries in seen.prompts(self.max_candidates):
            if self.same_model == "any":
                found = self._rule(language).pairs(entries)
            else:
                found = seen.within_models(entries, self._rule(language), only=self.same_model == "only")
            pairs += found
            languages += [language] * len(found)
        if self.balance_length:
            keys = [f"{pair.chosen.place} {pair.rejected.place}" for pair in pairs]
            kept = balanced(pairs, languages, random_numbers(context.seed, keys, "balance"))
            pairs, languages = [pairs[place] for place in kept], [languages[place] for place in kept]
        if self.by is not None or not self._both_ways:
            _tell_lengths(pairs, languages, context)
        return pairs

    @property
    def _both_ways(self) -> bool:
        return self.choose == "all" and self.by is None

    def _look(self, context: Context) -> Look:
        named = [(self.chosen_models, self.chosen_sources), (self.rejected_models, self.rejected_sources)]
        allowed = [({context.model_name(model) for model in models}, set(sources)) for models, sources in named]

        def sides(rows: Rows) -> list[tuple[bool, bool]]:
            lineages = rows.table["lineage"].to_pylist()
            found = []
            for by, lineage in zip(makers_of(rows), lineages, strict=True):
                may = [
                    not (models or sources) or _is_one(by, models) or (not by and lineage["source"] in sources)
                    for models, sources in allowed
                ]
                found.append((may[0], may[1]))
            return found

        return Look(self.by, self._both_ways, prompt_keys, sides)

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

    def _preferences(self, part: Rows, pairs: Sequence[Placed]) -> pa.Table:
        every = candidates(part)
        makers, ids = makers_of(part), part.ids.to_list()
        licenses = [one["license"] for one in part.table["lineage"].to_pylist()]
        scores = []
        for one in pairs:
            told = {"length_ratio": round(one.two.ratio, 4)}
            if not np.isnan(one.two.chosen.score + one.two.rejected.score):
                told |= {
                    "margin": round(one.two.margin, 6),
                    "chosen": one.two.chosen.score,
                    "rejected": one.two.rejected.score,
                }
            scores.append(told)
        return new_rows(
            Kind.PREFERENCE,
            part,
            [one.chosen for one in pairs],
            {
                "prompt": [list(every[one.chosen].prompt) for one in pairs],
                "chosen": [[_said(every[one.chosen].answer)] for one in pairs],
                "rejected": [[_said(every[one.rejected].answer)] for one in pairs],
            },
            [str(part.language[one.chosen]) for one in pairs],
            step=self.tag,
            more_parents=[[ids[one.rejected]] for one in pairs],
            scores=scores,
            attributes=[{"chosen_by": makers[one.chosen], "rejected_by": makers[one.rejected]} for one in pairs],
            licenses=[all_licenses(licenses[one.chosen], licenses[one.rejected]) for one in pairs],
        )

    # ----------------------------------------------------------------------------------------------------- other makings
    def _turned(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table]:
        """Preference rows both ways round, or taken apart."""
        for part in rows:
            prompts, sides = (
                part.table["prompt"].to_pylist(),
                [part.table[name].to_pylist() for name in ("chosen", "rejected")],
            )
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
                yield new_rows(Kind.UNPAIRED, part, places, values, languages, step=self.tag)
            else:
                values = {
                    "prompt": [prompts[place] for place in places],
                    "chosen": [sides[side][place] for place, side in zip(places, turn, strict=True)],
                    "rejected": [sides[1 - side][place] for place, side in zip(places, turn, strict=True)],
                }
                told = [{"turned": "yes" if side else "no"} for side in turn]
                yield new_rows(Kind.PREFERENCE, part, places, values, languages, step=self.tag, attributes=told)
            context.tick(len(part))

    def _thumbs(self, rows: Iterable[Rows]) -> Iterator[pa.Table]:
        """Every good and every bad answer by itself."""
        assert self.good is not None and self.bad is not None
        for part in rows:
            score = scores_of(part, self.by)
            places, labels = [], []
            every = candidates(part)
            for place, language in enumerate(part.language.to_list()):
                good, bad = self.good[language], self.bad[language]
                up = good is not None and score[place] >= good
                if every[place].answer.strip() and (up or (bad is not None and score[place] <= bad)):
                    places.append(place)
                    labels.append(bool(up))
            yield _unpaired(part, places, labels, [{"score": float(score[place])} for place in places])

    def _judgments(self, rows: Iterable[Rows]) -> Iterator[pa.Table]:
        """What was asked and answered as a question, the written judgment as the answer."""
        prompts, forms = load_prompts(JUDGMENT), own_prompts("judgment_form", self.judgment_form)
        for part in rows:
            said = self._written(part)
            score = score_column(part, self.by) if self.by else np.full(len(part), np.nan)
            places, messages = [], []
            for place, (one, judgment) in enumerate(zip(candidates(part), said, strict=True)):
                if not judgment or not judgment.strip() or not one.answer.strip():
                    continue
                asked = "\n\n".join(turn["content"] for turn in one.prompt if turn["role"] == "user")
                told = prompts[str(part.language[place])].fill(
                    {"prompt": fence(asked, "instruction"), "answer": fence(one.answer, "answer")}
                )
                number = "" if np.isnan(score[place]) else f"{score[place]:g}"
                put = forms[str(part.language[place])].fill({"judgment": judgment.strip(), "score": number})
                places.append(place)
                messages.append([*({"role": role, "content": text} for role, text in told), _said(put[0][1])])
            scores = [{} if np.isnan(score[place]) else {"score": float(score[place])} for place in places]
            yield new_rows(
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
        """The written judgment of each row, without the names that judges have in somebody's catalog."""
        said = attribute_column(part, self.judgment)
        step, dot, last = self.judgment.rpartition(".")
        if last != "reasons" or not dot:
            return said
        verdicts = attribute_column(part, f"{step}.verdicts")
        return [text and _without_names(text, told) for text, told in zip(said, verdicts, strict=True)]


def _without_names(text: str, verdicts: str | None) -> str:
    """What a ``judge`` step wrote as ``name: reason``, a judge after the other, as the reasons alone.

    Args:
        verdicts: JSON by the same names, in the same order.
    """
    names = list(orjson.loads(verdicts)) if verdicts else []
    found: list[list[str]] = []
    for line in text.split("\n"):
        mine = next((name for name in names if line.startswith(f"{name}: ")), None)
        if mine is None and not found:
            return text
        if mine is None:
            found[-1].append(line)
        else:  # a judge speaks once, so that its name within what a later one says is a word of that
            names = names[names.index(mine) + 1 :]
            found.append([line.removeprefix(f"{mine}: ")])
    return "\n\n".join("\n".join(lines) for lines in found)


def _apart(part: Rows, pairs: Sequence[Placed]) -> pa.Table:
    """The answers of pairs one by one, each once: a thumb up for the chosen, down for the rejected."""
    told: dict[int, tuple[bool, float]] = {}
    for one in pairs:
        told.setdefault(one.chosen, (True, one.two.chosen.score))
        told.setdefault(one.rejected, (False, one.two.rejected.score))
    places = list(told)
    scores = [{} if np.isnan(told[place][1]) else {"score": told[place][1]} for place in places]
    return _unpaired(part, places, [told[place][0] for place in places], scores)


def _unpaired(
    part: Rows, places: Sequence[int], labels: Sequence[bool], scores: Sequence[dict[str, float]]
) -> pa.Table:
    if part.kind is Kind.SFT:
        every = [split_turns(turns) for turns in part.table["messages"].to_pylist()]
        prompts, answers = [list(one.prompt) for one in every], [[_said(one.answer)] for one in every]
    else:
        prompts, answers = part.table["prompt"].to_pylist(), part.table["completion"].to_pylist()
    values: dict[str, Any] = {
        "prompt": [prompts[place] for place in places],
        "completion": [answers[place] for place in places],
        "label": list(labels),
    }
    return new_rows(
        Kind.UNPAIRED,
        part,
        places,
        values,
        [str(part.language[place]) for place in places],
        step=Pair.tag,
        scores=scores,
    )


def _tell_lengths(pairs: Sequence[Two], languages: Sequence[str], context: Context) -> None:
    """Says, for each language, how often the longer answer was chosen, where that is far from chance."""
    longer, decided = Counter[str](), Counter[str]()
    for pair, language in zip(pairs, languages, strict=True):
        decided[language] += pair.chosen.length != pair.rejected.length
        longer[language] += pair.chosen.length > pair.rejected.length
    far = {}
    for language, count in sorted(decided.items()):
        share = longer[language] / count if count else 0.5
        # Beyond three standard deviations of a fair coin.
        if count >= _TOLD and abs(share - 0.5) > 1.5 / count**0.5:
            far[language] = f"{language} {share:.0%} of {count:,}"
    if far:
        context.warn(
            f"pair: the longer answer is the chosen one in {', '.join(far.values())} pairs; a trainer may learn length from that: "
            "see max_length_ratio and balance_length"
        )


def _of(given: PerLanguage[float] | None, language: str) -> float | None:
    return None if given is None else given[language]


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _text(turns: Sequence[dict[str, str]]) -> str:
    return "\n".join(turn["content"] for turn in turns)


def _is_one(maker: str, models: Collection[str]) -> bool:
    """Whether a name in lineage is one of these models, or one of them by another name's answer (``name+served``)."""
    return any(maker == model or maker.startswith(f"{model}+") for model in models)

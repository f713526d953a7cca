"""Judges an answer without a language model: by its cosine with the reference answer of its item.

The reference may be in another language than the answer. Languages that the encoder does not support are not assessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from curate.errors import StepError
from curate.generation.common.prompts import language_name
from curate.preferences.judge.params import JudgeParams
from curate.preferences.judge.parsing import Verdict
from curate.preferences.judge.rendering import Item
from curate.preferences.judge.requests import Judged
from curate.steps import Context


def compare(
    step: JudgeParams, items: Sequence[Item], judges: Callable[[Item], Sequence[str]], context: Context
) -> Judged:
    """The cosine of each answer with its reference; for a pair, the difference too.

    Raises:
        StepError: ``strict``, and an encoder does not support a language.
    """
    verdicts: Judged = {}
    unsupported: Counter[tuple[str, str]] = Counter()
    places_of: dict[str, list[int]] = {}
    for at, item in enumerate(items):
        for name in judges(item) if not item.why_not else ():
            encoder = context.model(name)
            unknown = [tag for tag in (item.language, item.reference_language) if not encoder.supports(tag)]
            if not unknown:
                places_of.setdefault(name, []).append(at)
            else:
                unsupported[name, unknown[0]] += 1
                verdicts[at, name] = Verdict(problem=f"the encoder does not know '{unknown[0]}'")
    for (name, language), count in sorted(unsupported.items()):
        message = f"{step.tag}: the encoder '{name}' does not know {language_name(language) or language} ({language})"
        if step.strict:
            raise StepError(f"{message}; use another one, or write 'strict: false' to leave {count:,} rows unjudged")
        context.warn(f"{message}: {count:,} rows are not judged by it")
    for name, places in places_of.items():
        texts: dict[str, int] = {}
        for at in places:
            for text in (items[at].reference or "", *items[at].answers.values()):
                texts.setdefault(text, len(texts))
        vectors = context.model(name).encode(list(texts))
        for at in places:
            item = items[at]
            reference = vectors[texts[item.reference or ""]].astype(np.float64)
            # Four digits: further digits depend on which texts were encoded together.
            sides = {
                side: round(float(reference @ vectors[texts[text]].astype(np.float64)), 4)
                for side, text in item.answers.items()
            }
            score = sides["chosen"] - sides["rejected"] if "chosen" in sides else sides["answer"]
            verdicts[at, name] = Verdict(round(score, 4), sides)
    return verdicts

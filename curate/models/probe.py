"""Tests each configured model with real calls, without a cache (``curate models --probe``).

A generator answers (in JSON and with log-probabilities where the catalog declares them), a translator translates a
sentence, an encoder must place a translation nearer than another sentence, an identifier identifies languages, an
aligner aligns words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from curate.catalog.params import Reference
from curate.errors import CurateError
from curate.redact import Redactor, secrets_of
from curate.steps.models import Aligner, Encoder, Generator, LanguageIdentifier, Model, Request, Sampling, Translator

# Two sentences of equal meaning in each language.
SENTENCES: Mapping[str, tuple[str, str]] = {
    "en": ("The old bridge over the river is closed today.", "My sister bakes bread every Sunday morning."),
    "pt": ("A velha ponte sobre o rio está fechada hoje.", "Minha irmã faz pão todo domingo de manhã."),
    "es": ("El viejo puente sobre el río está cerrado hoy.", "Mi hermana hace pan todos los domingos por la mañana."),
    "fr": ("Le vieux pont sur la rivière est fermé aujourd'hui.", "Ma sœur fait du pain chaque dimanche matin."),
    "de": ("Die alte Brücke über den Fluss ist heute gesperrt.", "Meine Schwester backt jeden Sonntagmorgen Brot."),
    "it": ("Il vecchio ponte sul fiume oggi è chiuso.", "Mia sorella fa il pane ogni domenica mattina."),
    "ca": ("El pont vell sobre el riu avui està tancat.", "La meva germana fa pa cada diumenge al matí."),
    "nl": ("De oude brug over de rivier is vandaag gesloten.", "Mijn zus bakt elke zondagochtend brood."),
    "pl": ("Stary most na rzece jest dziś zamknięty.", "Moja siostra piecze chleb w każdą niedzielę rano."),
    "ru": ("Старый мост через реку сегодня закрыт.", "Моя сестра печёт хлеб каждое воскресное утро."),
    "uk": ("Старий міст через річку сьогодні зачинений.", "Моя сестра пече хліб щонеділі вранці."),
    "tr": ("Nehrin üzerindeki eski köprü bugün kapalı.", "Kız kardeşim her pazar sabahı ekmek yapar."),
    "sw": ("Daraja la zamani juu ya mto limefungwa leo.", "Dada yangu huoka mkate kila Jumapili asubuhi."),
    "ar": ("الجسر القديم فوق النهر مغلق اليوم.", "تخبز أختي الخبز كل صباح أحد."),
    "hi": ("नदी पर बना पुराना पुल आज बंद है।", "मेरी बहन हर रविवार की सुबह रोटी बनाती है।"),
    "ur": ("دریا پر بنا پرانا پل آج بند ہے۔", "میری بہن ہر اتوار کی صبح روٹی پکاتی ہے۔"),
    "zh": ("河上的旧桥今天关闭了。", "我妹妹每个星期天早上都烤面包。"),
    "ja": ("川に架かる古い橋は今日は通行止めです。", "妹は毎週日曜日の朝にパンを焼きます。"),
    "ko": ("강 위의 오래된 다리는 오늘 폐쇄되었습니다.", "내 여동생은 매주 일요일 아침에 빵을 굽는다."),
    "th": ("สะพานเก่าข้ามแม่น้ำปิดวันนี้", "น้องสาวของฉันอบขนมปังทุกเช้าวันอาทิตย์"),
    "vi": ("Cây cầu cũ bắc qua sông hôm nay đóng cửa.", "Chị tôi nướng bánh mì mỗi sáng chủ nhật."),
    "id": ("Jembatan tua di atas sungai ditutup hari ini.", "Kakak perempuan saya membuat roti setiap Minggu pagi."),
}
# Each noun occurs with several adjectives, so that a statistical aligner can separate them.
_NOUNS = (("house", "Haus"), ("tree", "Baum"), ("dog", "Hund"), ("book", "Buch"), ("car", "Auto"), ("door", "Tor"))
_ADJECTIVES = (("big", "groß"), ("small", "klein"), ("old", "alt"), ("new", "neu"), ("red", "rot"), ("green", "grün"))
_SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": ["red", "green", "blue"]},
        "number": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["colour", "number"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Finding:
    """The result of one check of one model."""

    model: str
    """Name in the catalog."""
    use: str
    check: str
    """``load``, ``answer``, ``structured``, ``logprobs``, ``prompt_logprobs``, ``translate``, ``encode``, ``identify``,
    ``align``.
    """
    ok: bool
    seconds: float
    message: str
    """The observation, or the problem."""


class _Disproved(Exception):
    """The model failed a check."""


def probe(
    models: Mapping[str, Model], *, threads: int = 2, tell: Callable[[Finding], None] | None = None
) -> list[Finding]:
    """Tests all models; a failure of one does not stop the others.

    Args:
        models: by their names in the catalog.
        threads: number of threads per model.
        tell: called with each finding.
    """
    findings: list[Finding] = []
    redact = Redactor()

    def note(name: str, use: str, check: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        found: Any = None
        try:
            found = work()
            ok, message = True, found if isinstance(found, str) else "loaded"
        except (_Disproved, CurateError) as error:
            ok, message = False, str(error)
        except Exception as error:  # noqa: BLE001 - reported, and the other models are tested
            ok, message = False, f"{type(error).__name__}: {error}"
        message = redact(message)
        findings.append(Finding(name, use, check, ok, time.perf_counter() - begun, message))
        if tell is not None:
            tell(findings[-1])
        return found if ok else None

    for name, model in models.items():
        redact = Redactor(secrets_of(_whole(model, models)))
        loaded = note(name, model.use, "load", partial(_load, model, models, threads))
        if loaded is None:
            continue
        try:
            for check, work in _checks(loaded):
                if note(name, model.use, check, partial(work, loaded)) is None and check == "answer":
                    break  # without any answer the other checks tell nothing
        finally:
            close = getattr(loaded, "close", None)
            if callable(close):
                with suppress(Exception):
                    close()
    return findings


def _load(model: Model, models: Mapping[str, Model], threads: int) -> Any:
    return _whole(model, models).load(cache=None, threads=threads)


def _whole(model: Model, models: Mapping[str, Model]) -> Model:
    """A model with the models it delegates to."""
    names = [name for named in model.named(Reference.MODEL).values() for name in named if name in models]
    return model.with_models({name: _whole(models[name], models) for name in names}) if names else model


def _checks(loaded: Any) -> list[tuple[str, Callable[[Any], str]]]:
    """The checks for a loaded model, by its interface."""
    if isinstance(loaded, Generator):
        claimed = [("structured", _structured), ("logprobs", _logprobs), ("prompt_logprobs", _prompt_logprobs)]
        return [
            ("answer", _answer),
            *((check, work) for check, work in claimed if getattr(loaded, "capabilities", {}).get(check)),
        ]
    if isinstance(loaded, Translator):
        return [("translate", _translate)]
    if isinstance(loaded, LanguageIdentifier):
        return [("identify", _identify)]
    if isinstance(loaded, Encoder):
        return [("encode", _encode)]
    if isinstance(loaded, Aligner):
        return [("align", _align)]
    return [("use", _unknown)]


# -------------------------------------------------------------------------------------------------------- generators
def _ask(generator: Generator, **what: Any) -> Any:
    (answer,) = generator.generate([Request(**what)])
    if answer.finish in ("failed", "filtered", "invalid"):
        raise _Disproved(
            f"{answer.finish}: {answer.problem}" + (f" — its text: {_cut(answer.text)}" if answer.text else "")
        )
    return answer


def _answer(generator: Generator) -> str:
    answer = _ask(
        generator, messages=(("user", "Say good morning in one short sentence."),), sampling=Sampling(max_tokens=32)
    )
    if not (answer.text.strip() or answer.reasoning.strip()):
        raise _Disproved("the answer is empty")
    said = f"“{_cut(answer.text or answer.reasoning)}” ({answer.completion_tokens} tokens)"
    return "; ".join([said, *answer.remarks])


def _structured(generator: Generator) -> str:
    asked = (
        "Choose a colour (red, green or blue) and a number from 0 to 9. Answer in JSON with the keys colour and number."
    )
    answer = _ask(generator, messages=(("user", asked),), sampling=Sampling(max_tokens=512), schema=_SCHEMA)
    if not answer.ok:
        raise _Disproved(f"cut off after {answer.completion_tokens} tokens: {_cut(answer.text)}")
    return str(answer.value)


def _logprobs(generator: Generator) -> str:
    answer = _ask(
        generator,
        messages=(("user", "Answer yes or no: is water wet?"),),
        sampling=Sampling(max_tokens=4),
        top_logprobs=2,
    )
    if not answer.logprobs or not answer.logprobs[0].top:
        raise _Disproved("the answer came without log-probabilities; leave 'logprobs' out")
    first = answer.logprobs[0]
    return ", ".join(f"{token!r} {value:.2f}" for token, value in first.top)


def _prompt_logprobs(generator: Generator) -> str:
    said = "The sun rises in the east."
    answer = _ask(generator, messages=(("user", "Where does the sun rise?"), ("assistant", said)), prompt_logprobs=True)
    told = "".join(one.token for one in answer.logprobs)
    # Tokenizers that put spaces at the beginning of words write them in their own way.
    if not any(word in told for word in ("sun", "rises", "east")):
        raise _Disproved(f"the log-probabilities are those of another text: {_cut(told)!r}")
    mean = sum(one.logprob for one in answer.logprobs) / len(answer.logprobs)
    return f"{len(answer.logprobs)} tokens, {mean:.2f} on average"


# ------------------------------------------------------------------------------------------------------------- others
def _translate(translator: Translator) -> str:
    pair = next((pair for pair in permutations(SENTENCES, 2) if translator.supports(*pair)), None)
    sentence = SENTENCES[pair[0]][0] if pair else "12:30, Amsterdam, 5 km."
    if pair is None:
        pair = next(iter(getattr(translator, "pairs", ())), None)
    if pair is None:
        raise _Disproved("it supports no pair of languages")
    source, target = pair
    (translation,) = translator.translate([sentence], source, target)
    if not translation.strip():
        raise _Disproved(f"the translation from {source} into {target} is empty")
    if source in SENTENCES and target in SENTENCES and translation.strip() == sentence:
        raise _Disproved(f"the translation from {source} into {target} is the sentence itself")
    return f"{source} → {target}: “{_cut(translation)}” ({translator.maker(source, target)})"


def _encode(encoder: Encoder) -> str:
    known = [language for language in SENTENCES if encoder.supports(language)]
    if not known:
        raise _Disproved("it supports none of the languages that it could be tried with")
    one, other = known[0], known[1] if len(known) > 1 else known[0]
    texts = [SENTENCES[one][0], SENTENCES[other][0], SENTENCES[other][1]]
    vectors = np.asarray(encoder.encode(texts))
    lengths = np.linalg.norm(vectors, axis=1)
    if vectors.shape != (3, encoder.dimensions) or not np.allclose(lengths, 1, atol=1e-2):
        raise _Disproved(f"its vectors have the shape {vectors.shape} and the lengths {lengths.round(3).tolist()}")
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    if near <= far:
        raise _Disproved(f"a translation ({one}, {other}) is no nearer than a stranger: {near:.2f} and {far:.2f}")
    return f"{one} and {other}: translation {near:.2f}, stranger {far:.2f}"


def _identify(identifier: LanguageIdentifier) -> str:
    known = [language for language in SENTENCES if identifier.supports(language)]
    if not known:
        raise _Disproved("it supports none of the languages that it could be tried with")
    found = identifier.identify([SENTENCES[language][0] for language in known])
    right = sum(
        bool(tags) and tags[0].split("-")[0] == language for language, tags in zip(known, found.languages, strict=True)
    )
    if right < 0.7 * len(known):
        raise _Disproved(f"it names the language of {right} of {len(known)} sentences")
    return f"{right} of {len(known)} languages named"


def _align(aligner: Aligner) -> str:
    sources = [["the", noun, "is", adjective] for noun, _ in _NOUNS for adjective, _ in _ADJECTIVES]
    targets = [["das", noun, "ist", adjective] for _, noun in _NOUNS for _, adjective in _ADJECTIVES]
    found = aligner.align(sources, targets)
    if len(found) != len(sources):
        raise _Disproved(f"{len(found)} alignments for {len(sources)} pairs")
    right = sum((place, place) in one.links for one in found for place in range(4))
    whole = 4 * len(sources)
    if right < 0.5 * whole:
        raise _Disproved(f"{right} of {whole} words were joined with the word that means the same")
    return f"{right} of {whole} words joined rightly"


def _unknown(loaded: Any) -> str:
    raise _Disproved(f"it is a {type(loaded).__name__}, which none of the contracts knows")


def _cut(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"

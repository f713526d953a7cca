"""Many questions under way at once, one more try with the complaint, and the raw answer kept of what still fails."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.generation.common.requests import InvalidResponse, LLMRequest, RowProgress, ask, clean, ensure_complete
from curate.steps.models import Completion, Request
from curate.unanswered import Unanswered, noting


def questions(generator, count, text="q", **more):
    return [LLMRequest(number, Request((("user", f"{text}{number}"),), **more), generator) for number in range(count)]


def number_in(key, answer):
    ensure_complete(answer)
    if not answer.text.isdigit():
        raise InvalidResponse(f"'{answer.text}' is no number")
    return int(answer.text)


def flat(windows):
    return [outcome for window in windows for outcome in window]


def test_outcomes_come_in_order_and_windows_bound_what_is_under_way(scripted):
    model = scripted(lambda request: request.messages[0][1][1:])
    asked = []

    def source():
        for question in questions(model, 10):
            asked.append(question.key)
            yield question

    windows = ask(source(), number_in, most=4)
    first = next(windows)
    assert [outcome.value for outcome in first] == [0, 1, 2, 3] and len(asked) == 4
    assert [outcome.value for outcome in flat(windows)] == [4, 5, 6, 7, 8, 9]
    assert model.batches == [4, 4, 2]


def test_long_prompts_make_small_windows(scripted):
    model = scripted(lambda request: "1")
    flat(ask(questions(model, 6, text="x" * 1000), number_in, characters=2000))
    assert model.batches == [2, 2, 2]


def test_a_broken_answer_is_asked_for_again_with_the_complaint(scripted):
    model = scripted(lambda request: "7" if len(request.messages) == 3 else "seven")
    outcome = flat(ask(questions(model, 1, row="r"), number_in))[0]
    assert (outcome.value, outcome.tries, outcome.problem) == (7, 2, "")
    first, second = model.requests
    assert second.messages[:2] == (*first.messages, ("assistant", "seven"))
    assert second.messages[2][0] == "user" and "'seven' is no number" in second.messages[2][1]
    assert (second.sampling, second.sample, second.schema, second.row) == (
        first.sampling,
        first.sample,
        first.schema,
        "r",
    )


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_what_still_fails_is_told_with_its_last_answer(retries, scripted):
    model = scripted(lambda request: "x" * len(request.messages))
    outcome = flat(ask(questions(model, 1), number_in, retries=retries))[0]
    assert outcome.value is None and outcome.trouble == "broken" and outcome.tries == retries + 1
    assert len(model.requests) == retries + 1
    assert outcome.problem == f"'{outcome.answer.text}' is no number"


def test_an_empty_answer_leaves_no_empty_turn_in_the_second_question(scripted):
    model = scripted(lambda request: "" if "That answer" not in request.messages[-1][1] else "3")
    assert flat(ask(questions(model, 1), number_in))[0].value == 3
    assert [role for role, _ in model.requests[1].messages] == ["user"]


def test_an_answer_that_was_begun_is_begun_again(scripted):
    model = scripted(lambda request: "x" if len(request.messages) == 2 else "3")
    request = Request((("user", "q"), ("assistant", "It is ")))
    assert flat(ask([LLMRequest(0, request, model)], number_in))[0].value == 3
    assert [role for role, _ in model.requests[1].messages] == ["user", "assistant", "user", "assistant"]
    assert model.requests[1].messages[1] == ("assistant", "It is x") and model.requests[1].messages[3] == (
        "assistant",
        "It is ",
    )


@pytest.mark.parametrize(("answer", "problem", "trouble"), [
    (Completion("12", "length", completion_tokens=9), "cut off after 9 tokens", "length"),
    (Completion("", "filtered"), "withheld by the server", "filtered"),
    (Completion("", "failed", problem="HTTP 400"), "no answer: HTTP 400", "failed"),
])  # fmt: skip
def test_what_a_second_try_cannot_mend_is_not_tried(answer, problem, trouble, scripted):
    model = scripted(lambda request: answer)
    outcome = flat(ask(questions(model, 1), number_in))[0]
    assert (outcome.problem, outcome.trouble, len(model.requests)) == (problem, trouble, 1)


def test_a_second_try_that_gets_no_answer_leaves_the_first_complaint(scripted):
    model = scripted(lambda request: "x" if len(request.messages) == 1 else Completion("", "failed", problem="timeout"))
    outcome = flat(ask(questions(model, 1), number_in))[0]
    assert (outcome.problem, outcome.answer.text, outcome.trouble) == ("'x' is no number", "x", "broken")


def test_only_what_was_broken_is_asked_again_and_ticks_count_rows_once(scripted, bench):
    context = bench()
    model = scripted(
        lambda request: "x" if len(request.messages) == 1 and request.messages[0][1] in ("q1", "q3") else "5"
    )
    outcomes = flat(ask(questions(model, 6), number_in, tick=RowProgress(context, 2)))
    assert [outcome.tries for outcome in outcomes] == [1, 2, 1, 2, 1, 1]
    assert model.batches == [6, 2] and context.ticks == 3


def test_several_generators_are_asked_at_the_same_time(scripted):
    together = threading.Barrier(2, timeout=10)

    def meet(request):
        together.wait()
        return "1"

    a, b = scripted(meet), scripted(meet)
    mixed = [question for pair in zip(questions(a, 3), questions(b, 3), strict=True) for question in pair]
    assert [outcome.value for outcome in flat(ask(mixed, number_in))] == [1] * 6
    assert a.batches == b.batches == [3]


def test_a_generator_that_cannot_go_on_stops_the_asking(scripted):
    def die(request):
        raise ModelError("the server is away")

    for others in ([], questions(scripted(lambda request: "1"), 2)):
        with pytest.raises(ModelError, match="away"):
            flat(ask([*others, *questions(scripted(die), 2)], number_in))


def test_the_complaint_cannot_smuggle_in_a_role(scripted):
    model = scripted(lambda request: "<|im_start|>system" if len(request.messages) == 1 else "1")
    flat(ask(questions(model, 1), number_in))
    assert not any("<|im_start|>" in text for _, text in model.requests[1].messages)


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=50))
def test_a_clean_text_can_always_be_stored(text):
    try:
        kept = clean(text)
    except InvalidResponse:
        assert "\0" in text or any("\ud800" <= each <= "\udfff" for each in text)
    else:
        assert kept == text and kept.encode().decode() == text


@pytest.mark.parametrize("text", ["\ud800", "a\0", "x" * 100_000 + "\udfff"])
def test_half_characters_are_quarantined_not_crashed_on(text, scripted):
    def read(key, answer):
        return clean(answer.text)

    outcome = flat(ask(questions(scripted(lambda request: text), 1), read))[0]
    assert outcome.trouble == "broken"


# ---------------------------------------------------------------------------------------------------- what is noted
LOST = Completion("", "failed", problem="HTTP 503", transient=True, error="ServerError")
REFUSED = Completion("", "failed", problem="HTTP 400", error="BadRequestError")


def noted(model, count, **about):
    unanswered = Unanswered(**about)
    with noting(unanswered):
        outcomes = flat(
            ask([LLMRequest(n, Request((("user", f"q{n}"),), row=f"r{n}"), model) for n in range(count)], number_in)
        )
    return outcomes, unanswered


def test_what_is_lost_and_what_failed_for_good_is_noted_by_row(scripted):
    said = {"q0": "1", "q1": LOST, "q2": REFUSED, "q3": "no number", "q4": Completion("", "stop", transient=True)}
    outcomes, unanswered = noted(scripted(lambda request: said[request.messages[0][1].split("\n")[0]]), 5)
    assert [one.transient for one in outcomes] == [False, True, False, False, True]
    assert (unanswered.lost, unanswered.failed) == ({"r1", "r4"}, {"r2", "r3"})
    errors = {"BadRequestError": 1, "ServerError": 1}
    assert unanswered.counts == {"lost": 2, "failed": 2, "errors": errors} and Unanswered().counts == {}


def test_a_second_try_that_is_lost_makes_the_row_a_lost_one(scripted):
    model = scripted(lambda request: "x" if len(request.messages) == 1 else LOST)
    [outcome], unanswered = noted(model, 1)
    assert (outcome.problem, outcome.trouble, outcome.transient) == ("'x' is no number", "broken", True)
    assert unanswered.lost == {"r0"}


def test_what_was_refused_before_is_not_asked_again_unless_that_is_wanted(scripted):
    model = scripted(lambda request: REFUSED if request.messages[0][1] == "q1" else "7")
    first, before = noted(model, 3)
    asked = len(model.requests)
    again, after = noted(model, 3, known=before.refused)
    assert [request.messages[0][1] for request in model.requests[asked:]] == ["q0", "q2"]
    assert [one.problem for one in again] == [one.problem for one in first] and after.refused == before.refused
    asked = len(model.requests)
    noted(model, 3, known=before.refused, retry=True)
    assert len(model.requests) - asked == 3


def test_remarks_are_noted_once(scripted):
    _, unanswered = noted(scripted(lambda request: Completion("5", "stop", remarks=("it is odd",))), 3)
    assert list(unanswered.remarks) == ["it is odd"]


def test_nobody_has_to_listen(scripted):
    assert flat(ask(questions(scripted(lambda request: LOST), 1), number_in))[0].transient

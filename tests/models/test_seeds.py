"""Seeds of answers: the same question has the same seed, another question or sample another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curate.models.generation.seeds import effective_seed
from curate.steps.models import Sampling

ASKED = (("system", "Be short."), ("user", "नमस्ते, क्या हाल है?"))
WARM = Sampling(temperature=0.7)


def test_nothing_is_drawn_at_temperature_zero():
    assert effective_seed(Sampling(), ASKED, 0) is None
    assert effective_seed(Sampling(seed=5), ASKED, 3) is None


def test_the_scheme_never_changes_unnoticed():
    # Kept answers were drawn with these: another number here means a raised version of every generator.
    assert effective_seed(WARM, ASKED, 0) == effective_seed(Sampling(temperature=1.5, max_tokens=3), list(ASKED), 0)
    assert effective_seed(WARM, ASKED, 0) == 391333407


def test_seed_sample_role_and_content_each_count():
    seeds = {
        effective_seed(WARM, ASKED, 0),
        effective_seed(WARM, ASKED, 1),
        effective_seed(Sampling(temperature=0.7, seed=1), ASKED, 0),
        effective_seed(WARM, (("user", "Be short."), ("user", "नमस्ते, क्या हाल है?")), 0),
        effective_seed(WARM, (("system", "Be short"), ("user", "नमस्ते, क्या हाल है?")), 0),
        effective_seed(WARM, (("system", "Be short.नमस्ते, "), ("user", "क्या हाल है?")), 0),
    }
    assert len(seeds) == 6


@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(st.characters()))), st.integers(0, 9)
)
def test_any_text_has_a_seed_that_every_server_takes(messages, sample):
    seed = effective_seed(WARM, messages, sample)
    assert seed is not None and 0 <= seed < 2**31 - 1
    assert seed == effective_seed(WARM, tuple(messages), sample)


def test_lone_surrogates_have_seeds_of_their_own():
    broken, other = (("user", "a\ud800"),), (("user", "a\udfff"),)
    assert effective_seed(WARM, broken, 0) != effective_seed(WARM, other, 0)

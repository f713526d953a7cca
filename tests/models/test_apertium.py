"""The driver with real processes of the test's own, modes of a tree of the test's own, and Apertium itself where there
is one.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import ModelError
from curate.models.translation.apertium import Apertium, _Engine
from curate.models.translation.apertium_pipeline import Pipeline, PipelineError, escape, unescape
from curate.models.translation.base import SentenceTranslator

# A stage that answers NUL by NUL, as Apertium's programs do with -z: letters are raised, "die" ends it, "hang" stops
# it.
STAGE = """#!{python}
import os, sys, time
assert sys.argv[1] == "-z", sys.argv
buffer = b""
while data := os.read(0, 65536):
    buffer += data
    *whole, buffer = buffer.split(b"\\0")
    for text in whole:
        if b"die" in text:
            sys.stderr.write("cannot go on\\n")
            sys.exit(3)
        if b"hang" in text:
            time.sleep(60)
        if b"twice" in text:
            os.write(1, b"x\\0")
        os.write(1, text.replace(b"a", sys.argv[-1].encode()[-1:]) + b"\\0")
"""


def stage(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STAGE.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def program(tmp_path: Path) -> str:
    return str(stage(tmp_path / "stage"))


def run(pipeline: Pipeline, *sentences: str) -> list[str]:
    found: dict[int, str] = {}
    pipeline.translate(sentences, found.__setitem__)
    return [found[place] for place in range(len(sentences))]


def test_sentences_go_through_all_stages_in_order(program: str) -> None:
    pipeline = Pipeline("test", [[program, "-z", "e"], [program, "-z", "x"]], os.environ, deadline=20)
    try:
        assert run(pipeline, "banana", "", "tree a", "[x] ^y$ \\ {z} <w>/@") == [
            "benene",
            "",
            "tree e",
            "[x] ^y$ \\ {z} <w>/@",
        ]
        many = [f"word {number} a" * 5 for number in range(2000)]
        assert run(pipeline, *many) == [text.replace("a", "e") for text in many]
        assert pipeline.starts == 1
    finally:
        pipeline.close()


def test_more_than_a_pipe_holds_does_not_block(program: str) -> None:
    pipeline = Pipeline("test", [[program, "-z", "e"]], os.environ, deadline=20)
    try:
        assert run(pipeline, *["b" * 200_000] * 8) == ["b" * 200_000] * 8
    finally:
        pipeline.close()


def test_a_death_is_told_with_what_the_program_said_and_the_next_batch_finds_new_ones(program: str) -> None:
    pipeline = Pipeline("test", [[program, "-z", "e"], [program, "-z", "x"]], os.environ, deadline=20)
    found: dict[int, str] = {}
    try:
        with pytest.raises(PipelineError, match=r"cannot go on|ended"):
            pipeline.translate(["ba", "die", "la"], found.__setitem__)
        assert run(pipeline, "la") == ["le"]
        os.kill(pipeline._processes[1].pid, signal.SIGKILL)
        pipeline._processes[1].wait(5)
        assert run(pipeline, "ma") == ["me"]
        assert pipeline.starts == 3
    finally:
        pipeline.close()


def test_a_program_that_hangs_is_ended_after_the_deadline(program: str) -> None:
    pipeline = Pipeline("test", [[program, "-z", "e"]], os.environ, deadline=0.5)
    start = time.monotonic()
    with pytest.raises(PipelineError, match=r"no answer within 0\.5 seconds"):
        run(pipeline, "ba", "hang")
    assert time.monotonic() - start < 120
    assert pipeline._processes == []


def test_an_answer_too_many_is_never_taken_for_another_sentence_s(program: str) -> None:
    pipeline = Pipeline("test", [[program, "-z", "e"]], os.environ, deadline=20)
    try:
        with pytest.raises(PipelineError, match="more than it was asked"):
            run(pipeline, "twice")
        assert run(pipeline, "ba") == ["be"]
    finally:
        pipeline.close()


@pytest.mark.parametrize("busy", ["", "hang"])
def test_the_programs_end_with_a_parent_that_is_killed_even_when_stuck(program: str, busy: str) -> None:
    code = (
        "import os, signal, threading, time; from curate.models.translation.apertium_pipeline import Pipeline\n"
        f"pipeline = Pipeline('test', [[{program!r}, '-z', 'e']] * 2, os.environ, deadline=20)\n"
        "pipeline.translate(['ba'], lambda place, text: None)\n"
        "print(*[one.pid for one in pipeline._processes], pipeline._guard.pid, flush=True)\n"
        f"again = lambda: pipeline.translate([{busy!r}], lambda place, text: None)\n"
        "threading.Thread(target=again, daemon=True).start() or time.sleep(0.3)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in ran.stdout.split()]
    assert len(pids) == 3
    deadline = time.monotonic() + 120
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a program outlives its parent"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\n"), max_size=60))
def test_escaping_is_undone(text: str) -> None:
    assert unescape(escape(text)) == text
    # Nothing in a sentence can end it or open a blank of the stream format.
    assert "\0" not in escape(text)


# ------------------------------------------------------------------------------------------------- a tree of our own
@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as ``dpkg -x`` leaves it, with one program that makes one letter of another."""
    root = tmp_path / "tree"
    stage(root / "usr" / "bin" / "lt-proc")
    modes = root / "usr" / "share" / "apertium" / "modes"
    modes.mkdir(parents=True)
    for name, letter in {
        "eng-spa": "e",
        "spa-cat_valencia": "v",
        "spa-cat": "c",
        "es-pt_BR": "B",
        "eco-es-fr": "x",
        "spa-cat_iec2017": "i",
    }.items():
        data = root / "usr" / "share" / "apertium" / "apertium-own" / f"{name}.bin{letter}"
        data.parent.mkdir(exist_ok=True)
        data.write_text(name)
        (modes / f"{name}.mode").write_text(f"lt-proc $1 $2 '/usr/share/apertium/apertium-own/{data.name}'")
    documents = root / "usr" / "share" / "doc" / "apertium-own"
    documents.mkdir(parents=True)
    import gzip

    with gzip.open(documents / "changelog.Debian.gz", "wt") as file:
        file.write("apertium-own (1.2.3-4) unstable; urgency=low\n")
    return root


def load(tree: Path, **more: object) -> SentenceTranslator:
    return Apertium(path=tree, **more).load(cache=None, threads=1)


def test_modes_become_directions_and_their_data_is_found_in_the_tree(tree: Path) -> None:
    translator = load(tree)
    assert list(translator.pairs) == [("en", "es"), ("es", "ca"), ("es", "ca-valencia"), ("es", "pt-BR")]
    assert translator.translate(["banana", "", "12", "a ~a"], "en", "es") == ["benene", "", "12", "e ~a"]
    assert translator.translate(["banana"], "es", "ca-valencia") == ["bvnvnv"]
    assert translator.translate(["banana"], "es", "pt") == ["bBnBnB"]
    assert translator.maker("es", "ca").startswith("apertium-own@1.2.3-4+spa-cat+")


def test_another_mode_can_be_taken_and_directions_restricted(tree: Path) -> None:
    own = load(tree, modes={"es-ca": "spa-cat_iec2017"}, pairs=("es-ca",))
    assert own.translate(["banana"], "es", "ca") == ["binini"]
    assert not own.supports("en", "es")
    with pytest.raises(ModelError, match=r"no mode 'spa-cat_iec2018'; did you mean|no mode 'spa-cat_iec2018'"):
        load(tree, modes={"es-ca": "spa-cat_iec2018"})
    with pytest.raises(ValidationError, match="arrow"):
        Apertium(pairs=("nothing",))


def test_a_missing_package_is_named_by_the_command_that_gets_it(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"holds no unpacked Apertium.*: apt-get install apertium-eng-cat apertium-urd-hin"
    ):
        Apertium(path=tmp_path, pairs=("en-ca", "ur-hi")).name_and_revision()
    with pytest.raises(ModelError, match=r"no mode for fr→es: apt-get install apertium-fr-es"):
        load(tree, pairs=("en-es", "fr-es"))
    with pytest.raises(ModelError, match=r"apertium does not translate en→gl.*apt-get install apertium-en-gl"):
        load(tree).translate(["a"], "en", "gl")
    with pytest.raises(ModelError, match=r"but en→es→ca: declare a model 'use: route'"):
        load(tree).translate(["a"], "en", "ca")


def test_a_mode_that_runs_anything_else_is_refused(tree: Path) -> None:
    mode = tree / "usr" / "share" / "apertium" / "modes" / "eng-spa.mode"
    for line in ("sh -c 'echo hello'", "lt-proc x | /usr/bin/env python", "lt-proc 'x"):
        mode.write_text(line)
        with pytest.raises(ModelError, match=r"eng-spa\.mode"):
            load(tree)


def test_the_identity_is_versions_and_not_places(tree: Path, tmp_path: Path) -> None:
    tree.rename(tmp_path / "moved")
    first = Apertium(path=tmp_path / "moved").model_identity()
    assert str(tmp_path) not in str(first)
    (tmp_path / "moved").rename(tree)
    assert Apertium(path=tree, timeout=5).model_identity() == first
    assert Apertium(path=tree, pairs=("en-es",)).model_identity() != first
    assert Apertium(path=tree, mark_unknown=True).model_identity() != first


def test_a_sentence_that_kills_the_programs_costs_no_other(tree: Path) -> None:
    translator = load(tree)
    found = translator.translate_checked(["banana one", "die here", "banana two", "banana three"], "en", "es")
    assert [one.text for one in found] == ["benene one", "die here", "benene two", "benene three"]
    assert "cannot go on" in found[1].problem or "ended" in found[1].problem
    assert [bool(one.problem) for one in found] == [False, True, False, False]


def test_a_program_that_never_works_stops_the_build(tree: Path) -> None:
    with pytest.raises(ModelError, match="eng-spa fails again and again"):
        load(tree).translate([f"die {number} x" for number in "abcdef"], "en", "es")


# ------------------------------------------------------------------------------------------------------------ Apertium
def _real() -> Apertium | None:
    for path in (os.environ.get("CURATE_APERTIUM"), None):
        model = Apertium(path=Path(path) if path else None)
        try:
            model.found()
        except ModelError:
            continue
        return model
    return None


REAL = _real()
HOSTILE = (
    "",
    " ",
    "^$",
    "\\",
    "[",
    "[[t:b:1]]x[[/]]",
    "a\x00b",
    "\ud83d x",
    "🎉 fin",
    "نص",
    "x" * 50_000,
    "~20",
    "U.S.A.",
    "...",
    "{a} <b> @c #d *e /f",
)
SENTENCES = {
    "en": "The house is red.",
    "es": "La casa es roja.",
    "pt": "A casa é vermelha.",
    "ca": "La casa és vermella.",
    "fr": "La maison est rouge.",
    "it": "La casa è rossa.",
}


@pytest.fixture(scope="module")
def real() -> SentenceTranslator:
    if REAL is None:
        pytest.skip("no Apertium here: install it, or name an unpacked tree in CURATE_APERTIUM")
    return REAL.load(cache=None, threads=1)


def test_apertium_translates_every_direction_that_is_there(real: SentenceTranslator) -> None:
    known = [pair for pair in real.pairs if pair[0] in SENTENCES and pair[1] in SENTENCES][:6]
    if not known:
        pytest.skip("other directions are installed")
    for source, target in known:
        text = real.translate([SENTENCES[source]], source, target)[0]
        same = set(text.lower().split()) & set(SENTENCES[target].lower().split())
        assert len(same) >= 2, (source, target, text)
        assert "." in text[-1]


def test_apertium_survives_hostile_text_in_order(real: SentenceTranslator) -> None:
    source, target = next(iter(real.pairs))
    mixed = [text for hostile in HOSTILE for text in (hostile, "42 7")]
    found = real.translate(mixed, source, target)
    assert found[1::2] == ["42 7"] * len(HOSTILE)
    pipeline = real._ask.__self__.pipeline((source, target))  # type: ignore[attr-defined]
    assert isinstance(real._ask.__self__, _Engine)  # type: ignore[attr-defined]
    assert pipeline.starts == 1

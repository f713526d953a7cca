"""Files that a user names: what is none is refused with a sentence, and each real file counts once."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.catalog import CatalogError, load_catalog
from curate.catalog.forgotten import read_forgotten
from curate.errors import CurateError, SourceError
from curate.files import expand, regular
from curate.steps import Registry
from sources.files import Csv, JsonArray, JsonLines, Parquet, Tsv
from sources.parallel import Moses, ParallelTsv, Tmx

CATALOG = "version: 1\nsources: {a: {use: jsonl, path: a.jsonl, language: sw, license: x}}\n"
GIVEN: dict[str, Any] = {"language": "sw", "license": "x", "columns": {"text": "t"}}
PAIR: dict[str, Any] = {"source_language": "en", "target_language": "sw", "license": "x"}


@pytest.fixture(params=["fifo", "socket", "device"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What has a name like a file and is none. A reader that opened it would hang, or never end."""
    path = tmp_path / "odd"
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "socket":
        with pytest.MonkeyPatch.context() as patch, socket.socket(socket.AF_UNIX) as here:
            patch.chdir(tmp_path)  # the name of a socket may have 108 bytes
            here.bind("odd")
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize(
    "make",
    [
        *(lambda path, cls=cls: cls(path=path, **GIVEN).units() for cls in (JsonLines, JsonArray, Csv, Tsv, Parquet)),
        lambda path: JsonLines(path=path[:-1] + "?", **GIVEN).units(),
        lambda path: Tmx(path=path, **PAIR).units(),
        lambda path: ParallelTsv(path=path, **PAIR).units(),
        lambda path: Moses(source_path=path, target_path=path, **PAIR).units(),
    ],
)
def test_what_is_no_file_is_no_source(odd: Path, make: Callable[[str], object]) -> None:
    with pytest.raises(SourceError, match=r"odd cannot be read: a (named pipe|socket|device).*, not a file"):
        make(str(odd))


def test_a_pipe_among_the_files_of_a_folder_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"t": "moja"}\n')
    os.mkfifo(tmp_path / "b.jsonl")
    for path in (tmp_path, tmp_path / "*.jsonl", tmp_path / "**" / "*"):
        with pytest.raises(SourceError, match=r"b\.jsonl cannot be read: a named pipe"):
            JsonLines(path=str(path), **GIVEN).units()


def _included(path: Path) -> object:
    (path.parent / "catalog.yaml").write_text(f"{CATALOG}include: {path.name}\n")
    return load_catalog(path.parent / "catalog.yaml", Registry.installed())


def _packs(path: Path) -> object:
    from filters.quality.language_packs import read_pack

    return read_pack(str(path))


def _list(path: Path) -> object:
    from filters.quality.phrases import read_list

    return read_list(str(path))


def _calibration(path: Path) -> object:
    from filters.calibration.file import read_calibration

    return read_calibration(path)


def _anchors(path: Path) -> object:
    from filters.calibration.anchors import read_anchors

    return read_anchors([path])


def _benchmark(path: Path) -> object:
    from filters.contamination.loading import find_files, read_file

    return [list(read_file(one)) for one in find_files(str(path))]


def _parquet_benchmark(path: Path) -> object:
    named = path.with_suffix(".parquet")
    named.symlink_to(path)
    return _benchmark(named)


def _labels(path: Path) -> object:
    from curate.preferences.review.labels_file import read_labels

    return read_labels([path])


def _review(path: Path) -> object:
    from curate.preferences.review.annotation_tools import read

    named = path.with_suffix(".csv")
    named.symlink_to(path)
    return list(read(named))


def _licences(path: Path) -> object:
    from outputs.licensing.licenses import _read

    return _read(path)


def _template(path: Path) -> object:
    from outputs.formats.template import load_template

    return load_template(str(path))


@pytest.mark.parametrize(
    "read",
    [
        _included,
        _packs,
        _list,
        _calibration,
        _anchors,
        _benchmark,
        _parquet_benchmark,
        _labels,
        _review,
        _licences,
        _template,
    ],
)
def test_no_other_file_of_a_catalog_may_be_a_pipe_either(odd: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(CurateError, match=r"named pipe|socket|device|no anchors at"):
        read(odd)


def test_the_list_of_what_is_forgotten_may_not_be_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "forgotten.jsonl")
    _, problems = read_forgotten(tmp_path)
    assert "named pipe" in str(problems[0])
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    with pytest.raises(CatalogError, match=r"forgotten\.jsonl.*named pipe"):
        load_catalog(tmp_path / "catalog.yaml", Registry.installed())


def test_a_regular_file_is_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").symlink_to("a")
    assert regular(tmp_path / "b") == tmp_path / "b"
    with pytest.raises(FileNotFoundError):
        regular(tmp_path / "c")
    with pytest.raises(IsADirectoryError):
        regular(tmp_path)


# ------------------------------------------------------------------------------------------------------------- each
# once
def names(path: Path | list[str]) -> list[str]:
    given = [str(one) for one in path] if isinstance(path, list) else str(path)
    return [unit.name for unit in JsonLines(path=given, **GIVEN).units()]


@pytest.fixture
def looped(tmp_path: Path) -> Path:
    """Three files, one of them three times, and links that lead round in circles."""
    for name in ("a/1.jsonl", "b/2.jsonl", "b/c/3.jsonl"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("{}")
    (tmp_path / "d/a/up").symlink_to("..", target_is_directory=True)
    (tmp_path / "d/b/c/self").symlink_to(".", target_is_directory=True)
    (tmp_path / "d/a/other").symlink_to("../b", target_is_directory=True)
    (tmp_path / "d/0.jsonl").symlink_to("b/2.jsonl")
    os.link(tmp_path / "d/b/2.jsonl", tmp_path / "d/b/9.jsonl")
    return tmp_path / "d"


def test_a_folder_and_patterns_give_each_real_file_once_by_its_own_name(looped: Path) -> None:
    # 0 is a link to 2, and 9 a second name of it; a/other and a/up lead back into the folder.
    wanted = {"a/1.jsonl", "b/c/3.jsonl"}
    for path in (looped, looped / "**", looped / "**/*.jsonl", looped / "**/**/*.jsonl", looped / "*"):
        found = names(path)
        assert set(found) - {"b/2.jsonl", "b/9.jsonl"} == wanted, path
        assert len(found) == 3, path
    assert names([str(looped / "0.jsonl"), str(looped / "b/2.jsonl")]) == ["2.jsonl"]
    assert names(looped / "0.jsonl") == ["0.jsonl"]


def test_a_folder_behind_a_link_is_read_and_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/1.jsonl").write_text("{}")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/near").symlink_to(tmp_path / "far", target_is_directory=True)
    assert names(tmp_path / "d") == names(tmp_path / "d/**/*.jsonl") == ["1.jsonl"]
    (tmp_path / "d/gone.jsonl").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"gone\.jsonl cannot be read: No such file"):
        names(tmp_path / "d")


def test_many_links_between_folders_are_walked_in_a_moment(tmp_path: Path) -> None:
    """Twelve folders with links to all of each other: followed as they stand, they would be walked 12! times."""
    for one in range(12):
        (tmp_path / f"d{one}").mkdir()
        (tmp_path / f"d{one}/{one}.jsonl").write_text("{}")
        for other in range(12):
            (tmp_path / f"d{one}/to{other}").symlink_to(f"../d{other}", target_is_directory=True)
    code = f"""
from sources.files import JsonLines
source = JsonLines(path={str(tmp_path / "**" / "*.jsonl")!r}, language="sw", license="x", columns={{"text": "t"}})
print(len(source.units()))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert int(done.stdout) == 12


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    pattern=st.sampled_from(
        [
            "*",
            "**",
            "**/*",
            "*/*.x",
            "**/*.x",
            "a/**/b*",
            "[ab]/*",
            "**/a",
            "?",
            ".*",
            "**/.b/*",
            "a/*/b.x",
            "**/a/**/*.x",
        ]
    ),
)
def test_without_links_a_pattern_matches_what_the_standard_library_says(
    tmp_path_factory: pytest.TempPathFactory, seed: int, pattern: str
) -> None:
    import glob

    root, draw = tmp_path_factory.mktemp("g"), random.Random(seed)
    for _ in range(draw.randint(0, 14)):
        parts = [draw.choice(["a", "b", ".b", "c"]) for _ in range(draw.randint(0, 3))]
        try:
            root.joinpath(*parts).mkdir(parents=True, exist_ok=True)
            root.joinpath(*parts, draw.choice(["a", "b.x", ".b", ".h.x", "c.x"])).write_text("")
        except OSError:
            continue  # a file stands where a folder should
    theirs = {Path(one) for one in glob.glob(str(root / pattern), recursive=True)}  # noqa: PTH207
    assert set(expand(root / pattern)) == theirs

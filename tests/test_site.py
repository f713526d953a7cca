"""The site: every installed part has its page, every link leads somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import curate
from curate.steps import Registry

pytest.importorskip("mkdocs")
pytest.importorskip("material")

ROOT = Path(__file__).resolve().parents[1]
LOADING = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """The anchors and addresses of a page, and its text."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if (tag, name) in LOADING and value:
                self.loads.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> dict[Path, Page]:
    """All pages, built with every warning an error."""
    folder = tmp_path_factory.mktemp("site").resolve()
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {file: Page(file) for file in folder.rglob("*.html")}


def page(site: dict[Path, Page], path: str) -> Page:
    [found] = [one for file, one in site.items() if file.as_posix().endswith(f"/{path}")]
    return found


def test_every_installed_part_has_a_page_with_each_of_its_parameters(site):
    registry = Registry.installed()
    for what in ("source", "step", "model", "output"):
        for name in registry.names(what):
            part = registry.get(what, name)
            found = page(site, f"reference/{what}/{name}.html")
            for field, about in part.model_fields.items():
                assert (about.alias or field).replace("_", "-") in {
                    anchor.replace("_", "-") for anchor in found.anchors
                }, f"{what} {name}: {field}"
            assert "curate components" in found.text


def test_a_page_says_what_a_parameter_may_change_and_what_scores_there_are(site):
    text = " ".join(page(site, "reference/step/similarity.html").text.split())
    assert "names a model · default" in text and "decides only" in text and "changes rows" in text
    assert "similarity.unassessed attribute" in text and "Told of in Steps" in text
    assert "changes no row" in " ".join(page(site, "reference/model/openai.html").text.split())


def test_every_step_that_scores_tells_its_scores(site):
    from curate.steps import GlobalStep, ScoreStep

    registry = Registry.installed()
    for name in registry.names("step"):
        part = registry.get("step", name)
        if issubclass(part, ScoreStep):
            assert "scores-and-attributes" in page(site, f"reference/step/{name}.html").anchors, name
        assert (
            issubclass(part, (ScoreStep, GlobalStep))
            or "scores-and-attributes" not in page(site, f"reference/step/{name}.html").anchors
        )


def test_every_command_is_in_the_reference(site):
    import typer

    from curate.cli import main as cli

    text = page(site, "reference/commands.html").text
    for name in typer.main.get_command(cli.app).commands:
        assert f"curate {name}" in text


def test_links_and_anchors_lead_somewhere(site):
    assert len(site) > 80
    for file, found in site.items():
        if file.name == "404.html":  # its links are from the root of whatever server it will be on
            continue
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme in ("https", "mailto"), f"{file.name}: {link}"
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{file.name}: {link}"
            if parts.fragment and target in site:
                assert unquote(parts.fragment) in site[target].anchors | {"__search", "__drawer"}, (
                    f"{file.name}: {link}"
                )


def test_nothing_is_fetched_from_elsewhere(site):
    for file, found in site.items():
        assert not [address for address in found.loads if urlsplit(address).netloc], file.name


def test_the_readme_is_the_first_page_and_marks_for_the_tests_are_not_shown(site):
    [first] = [one for file, one in site.items() if file.name == "index.html" and (file.parent / "llms.txt").exists()]
    assert f"curate {curate.__version__}" in first.text
    assert "correct in every script" in first.text and any(link.startswith("catalog.html") for link in first.links)
    assert not [file.name for file, one in site.items() if "yaml part" in one.text or "console in order" in one.text]


def test_docstrings_become_markdown_in_which_nothing_else_is_markup(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "website"))
    spec = importlib.util.spec_from_file_location("markup_of_the_site", ROOT / "website" / "markup.py")
    assert spec is not None and spec.loader is not None
    markup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(markup)
    assert (
        markup.inline("a ``<b>`` of <i> and *all* __x__ [y](z)") == r"a `<b>` of &lt;i> and \*all\* \_\_x\_\_ \[y\](z)"
    )
    assert markup.inline(":class:`~curate.steps.Rows` and ``a | b``") == "`Rows` and `a | b`"
    assert markup.code("a`b") == "``a`b``"
    assert markup.prose("One\nline.\n\n* first\n  goes on\n* second") == "One line.\n\n* first goes on\n* second"
    assert (
        markup.type_of(
            {
                "anyOf": [
                    {"type": "number"},
                    {"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 1},
                ]
            },
            {},
        )
        == "number or a mapping of language tags to these"
    )


def test_the_page_of_a_step_or_model_says_where_it_was_measured_or_why_not(site):
    registry = Registry.installed()
    for what in ("step", "model"):
        for name in registry.names(what):
            if registry.get(what, name).__module__.split(".")[0] in ("curate", "filters"):
                text = page(site, f"reference/{what}/{name}.html").text
                assert ("Measured: " in text) != ("Not measured: " in text), f"{what} {name}"


def test_llms_txt_leads_to_every_page_and_says_what_it_is_about(site):
    [home] = [file.parent for file in site if file.name == "index.html" and (file.parent / "llms.txt").exists()]
    text = (home / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# curate\n\n> ") and [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Start", "## Reference", "## Measurements", "## Project"
    ]  # fmt: skip
    entries = [line for line in text.splitlines() if line.startswith("- ")]
    led = [re.fullmatch(r"- \[.+?\]\(([\w/.-]+\.html)\): .*\w.*", entry) for entry in entries]
    assert all(led), [entry for entry, found in zip(entries, led, strict=True) if not found]
    pages = {file.relative_to(home).as_posix() for file in site} - {"404.html"}
    assert pages == {found[1] for found in led if found}
    assert "(howto-translate.html): `translate` makes translations of a set's rows" in text


def test_figures_are_on_pages_of_their_own():
    """A page about a step or model links to its figures; only pages below measurements/ have the mark of figures."""
    marked = [path for path in (ROOT / "docs").glob("*.md") if "<!-- measures:" in path.read_text(encoding="utf-8")]
    assert marked == []
    for path in (ROOT / "docs" / "measurements").glob("*.md"):
        guide = ROOT / "docs" / path.name
        assert not guide.exists() or f"measurements/{path.name}" in guide.read_text(encoding="utf-8"), path.name

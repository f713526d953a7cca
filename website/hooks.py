"""Everything of the site that would be said twice is made while it is built: README as the first page, one page for
each
installed part out of its parameters and docstrings, one for the commands. None of it is in version control.

It stands outside of the packages because it needs mkdocs, which nobody needs who curates, and outside of ``docs/``
because all
that lies there is a page. mkdocs calls the ``on_…`` functions (``hooks:`` in mkdocs.yml).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from curate._version import __version__

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

import commands  # noqa: E402
import gallery  # noqa: E402
import languages  # noqa: E402
import llms  # noqa: E402
import reference  # noqa: E402

_FRONT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
# What tells the tests how to treat a block (a catalog's part, commands that need those before) is no language to
# highlight.
_WORDS = re.compile(r"^```(\w+) (part|in order)$", re.M)
# Markdown as GitHub reads it begins a list without a blank line before it; Python-Markdown does not.
_LIST = re.compile(r"^(?![*\-|>#`\s]|\d+\. )(.+)\n(?=(?:[*\-]|1\.) )", re.M)
_SHIM = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"></script>')
_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the generated pages into the navigation."""
    config.copyright = f"curate {__version__}"  # a site is of one version; another is built from its tag
    groups = [{title: [page.path for page in reference.pages(what)]} for what, title in reference.TITLES.items()]
    for entry in config.nav or []:
        if "Reference" in entry:
            guides = entry["Reference"]
            entry["Reference"] = [
                "reference/index.md",
                *guides,
                {"Commands": "reference/commands.md"},
                {"Languages": "reference/languages.md"},
                *groups,
            ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages."""
    texts = {file.src_uri: file.content_string for file in files if file.src_uri.endswith(".md")}
    guides = reference.Guides(texts)
    made = {page.path: page.text(guides) for what in reference.TITLES for page in reference.pages(what)}
    made["reference/index.md"] = reference.index()
    made["reference/commands.md"] = commands.text()
    made["reference/languages.md"] = languages.text()
    made |= {target: _front((ROOT / source).read_text(encoding="utf-8")) for source, target in _FRONT.items()}
    made["llms.txt"] = llms.text(config.site_name, config.site_description, config.nav or [], texts | made)
    made["assets/site.css"] = (HERE / "site.css").read_text(encoding="utf-8")
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Markdown as GitHub shows it, made into what Python-Markdown shows alike."""
    if page.file.src_uri == "recipes.md":
        markdown = f"{markdown.replace(gallery.PLACE, gallery.overview())}\n{gallery.text()}"
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LIST.sub(r"\1\n\n", markdown[end : fence.start()]), _WORDS.sub(r"```\1", fence[0])]
        end = fence.end()
    return "".join([*parts, _LIST.sub(r"\1\n\n", markdown[end:])])


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The theme would fetch from elsewhere what lets search work without a server."""
    return _offline(output)


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for pages that are no pages (404.html)."""
    return _offline(output_content)


def _offline(html: str) -> str:
    shim = (HERE / "worker.js").read_text(encoding="utf-8")
    return _SHIM.sub(lambda _: f"<script>{shim}</script>", html)


def _front(text: str) -> str:
    """A page from beside ``docs/``, its links as seen from inside."""
    for source, target in _FRONT.items():
        text = text.replace(f"]({source}", f"]({target}")
    return text.replace("](docs/", "](")

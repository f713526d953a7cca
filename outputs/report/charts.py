"""Charts of the report, drawn by Matplotlib as SVG with real text and the page's colours.

Each colour is drawn as a placeholder and replaced by a variable of the style sheet, so that light and dark mode work.
The page has the same data as a table next to every chart; without Matplotlib only the tables are shown.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from outputs.card.markdown import plain
from outputs.report.data import Score
from outputs.report.markup import Html, attribute
from outputs.report.thresholds import Limit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _KEPT, _GONE, _OTHER, _GRID, _PAPER = (f"#01020{number}" for number in range(1, 7))
_VARIABLES = {
    _INK: "currentColor",
    _KEPT: "var(--kept)",
    _GONE: "var(--dropped)",
    _OTHER: "var(--other)",
    _GRID: "var(--line)",
    _PAPER: "var(--paper)",
}
_SERIES = [f"#0103{number:02d}" for number in range(1, 9)]
_VARIABLES |= {color: f"var(--series-{number})" for number, color in enumerate(_SERIES, 1)}
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "curate",
    "text.parse_math": False,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _GRID,
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "ytick.left": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "path.simplify": False,
}


def available() -> bool:
    """Whether charts can be drawn here."""
    return find_spec("matplotlib") is not None


def histogram(score: Score, language: str, limits: Sequence[Limit], about: str, prefix: str) -> Html:
    """How a score is spread in a language (``*``: in all), with what was dropped, and where the line was drawn."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    counts, edges = score.counts[language], score.edges
    with mpl.rc_context(_SETTINGS):
        # Margins are fixed: to find them out means to draw everything twice.
        figure = Figure(figsize=(5.6, 2.1))
        axes = figure.add_axes((0.12, 0.25, 0.86, 0.7))
        base = np.zeros(len(counts))
        for column, color in ((0, _KEPT), (2, _OTHER), (1, _GONE)):
            top = base + counts[:, column]
            if counts[:, column].any():
                axes.stairs(top, edges, baseline=base, fill=True, color=color, linewidth=0)
            base = top
        # Few rows that were dropped are a line nobody sees: marks under the axis say where they are.
        if (gone := np.flatnonzero(counts[:, 1])).size:
            middle = (edges[gone] + edges[gone + 1]) / 2
            axes.plot(middle, np.zeros(len(gone)) - base.max() * 0.03, "|", color=_GONE, markersize=5, clip_on=False)
        for value in sorted({limit.value for limit in limits}):
            if edges[0] <= value <= edges[-1]:
                axes.axvline(value, color=_INK, linewidth=1.2, linestyle=(0, (4, 2)))
                axes.annotate(
                    number(value),
                    (value, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(3, -2),
                    textcoords="offset points",
                    va="top",
                    fontsize=8,
                    bbox={"facecolor": _PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.85},
                )
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=-base.max() * 0.06 if counts[:, 1].any() else 0)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 0 else ""))
        if score.whole:
            axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axes.set_ylabel("rows")
        axes.set_xlabel(plain(score.name, 60))
        return _svg(figure, about, prefix)


def bars(
    names: Sequence[str],
    parts: Sequence[tuple[str, Sequence[int]]],
    links: Sequence[Sequence[str]],
    about: str,
    prefix: str,
) -> Html:
    """Horizontal bars, a series on the other: rows left after each step, by language.

    Args:
        links: for each series, where each of its bars leads.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with mpl.rc_context({**_SETTINGS, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(7.2, 0.7 + 0.3 * len(names)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(names))
        start = np.zeros(len(names))
        for at, (label, values) in enumerate(parts):
            color = _SERIES[at] if at < len(_SERIES) - 1 else _OTHER
            drawn = axes.barh(places, values, left=start, height=0.7, color=color, label=plain(label, 30), linewidth=0)
            for bar, link in zip(drawn, links[at], strict=True):
                bar.set_url(link)
            start = start + np.asarray(values)
        for place, total in zip(places, start, strict=True):
            axes.annotate(
                f"{int(total):,}", (total, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_yticks(places, [plain(name, 40) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(0, max(1.0, float(start.max()) * 1.1))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if len(parts) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
        return _svg(figure, about, prefix)


def number(value: float) -> str:
    """A number as a person writes it."""
    return f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:.4g}"


def _svg(figure: Figure, about: str, prefix: str) -> Html:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    written = io.StringIO()
    with warnings.catch_warnings():
        # The browser has the letters that Matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Not by savefig, which draws once for nothing before it does.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _cleaned(written.getvalue(), about, prefix)


def _cleaned(drawn: str, about: str, prefix: str) -> Html:
    body = drawn[drawn.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', body)
    assert box is not None
    inner = body[body.index(">") + 1 : body.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style[^>]*>.*?</style>", "", inner, flags=re.S)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"?]+)[)"]', inner))
    inner = re.sub(r' id="([^"]*)"', lambda match: f' id="{prefix}-{match[1]}"' if match[1] in used else "", inner)
    inner = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", inner)
    inner = re.sub(r'xlink:href="#([^"?]+)"', rf'href="#{prefix}-\1"', inner)
    # The keyboard has the same links in the tables.
    inner = re.sub(r'xlink:href="(#[^"]+)" target="[^"]*"', r'tabindex="-1" href="\1"', inner)
    # Letters come in the page's own fonts.
    inner = re.sub(r" font-family: '[^']*'(?:, [^;\"]*)?;?| transform=\"rotate\(-?0 [^)]*\)\"", "", inner)
    inner = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", inner)
    inner = re.sub(r"(\d+\.\d{2})\d+", r"\1", inner)
    inner = re.sub(r"<g>\s*</g>|(?<=>)\s+(?=<)", "", inner)
    for color, variable in _VARIABLES.items():
        inner = inner.replace(color, variable)
    label = attribute(about)
    width = float(box[1].split()[2])
    return Html(
        f'<svg role="img" aria-label="{label}" viewBox="{box[1]}" style="max-width:{width * 4 / 3:.0f}px">{inner}</svg>'
    )


__all__ = ["available", "bars", "histogram", "number"]

"""What `romanise` does with every language of the Universal Declaration of Human Rights: what comes back, what is left
unread.

    python benchmarks/romanise.py udhr.jsonl.gz

The file has one JSON object a line with ``bcp47`` and ``paragraphs``. *Comes back*: the share of characters of Indic
words that are the same after being written back from ISO 15919. *Left*: the share of letters still in another script.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import defaultdict
from pathlib import Path

from curate.generation.romanise.latin import romanise


def main() -> None:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    with gzip.open(Path(sys.argv[1]), "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            found = romanise("\n".join(row["paragraphs"]), row["bcp47"] or "und", "auto", "latin")
            for at, value in enumerate((found.native, found.returned, found.letters, found.left)):
                counts[row["bcp47"]][at] += value
    print(f"{len(counts)} languages\n\n| language | Indic characters | do not come back |\n|---|---:|---:|")
    for language, (native, returned, _, _) in sorted(counts.items()):
        if native:
            print(f"| {language} | {native:,} | {native - returned} |")
    print("\n| language | letters left |\n|---|---:|")
    for language, (_, _, letters, left) in sorted(counts.items()):
        if left > 0.001 * letters:
            print(f"| {language} | {left / letters:.2%} |")


if __name__ == "__main__":
    main()

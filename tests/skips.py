"""Which tests ran in none of the environments, and why: `python -m tests.skips build/tests/*.xml`.

Reads the JUnit files that pytest wrote. With ``--most 10`` more skips than that are an error; tests on development data
that is not part of the repository do not count.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

from defusedxml import ElementTree

NO_DATA = "no development data beside the checkout"
"""The reason of tests on data that a bare clone lacks."""


def outcomes(file: Path) -> dict[str, str | None]:
    """For each test, and each file that skips as a whole, the reason why it skipped, or None if it ran."""
    found: dict[str, str | None] = {}
    for case in ElementTree.parse(file).iter("testcase"):
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        skipped = case.find("skipped")
        if skipped is None or skipped.get("type") == "pytest.xfail":
            found[name] = None
        elif skipped.get("message") == "collection skipped":
            found[name] = re.sub(r"^\(.*?, \d+, (['\"])Skipped: (.*)\1\)$", r"\2", (skipped.text or "").strip())
        else:
            found[name] = skipped.get("message") or "no reason given"
    return found


def skipped_everywhere(reports: list[dict[str, str | None]]) -> dict[str, str]:
    """The tests that skipped wherever they were collected; a file that skips as a whole counts as run where one of its
    tests ran."""
    ran = {name for report in reports for name, reason in report.items() if reason is None}
    single = {name for report in reports for name in report if name not in ran}
    reasons = {name: reason for report in reports for name, reason in report.items() if reason is not None}
    return {
        name: reasons[name]
        for name in sorted(single)
        if not any(other.startswith(f"{name}.") for other in ran | single)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--most", type=int, help="more skips than these are an error")
    given = parser.parse_args()
    found = skipped_everywhere([outcomes(file) for file in given.files])
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, reason in found.items():
        by_reason[reason].append(name)
    print(f"{len(found)} tests ran in none of {len(given.files)} environments")
    for reason, names in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"{len(names):4}  {reason}")
        for name in names:
            print(f"        {name}")
    counted = sum(reason != NO_DATA for reason in found.values())
    if given.most is not None and counted > given.most:
        raise SystemExit(f"at most {given.most} may skip: install what they need, or take them out")


if __name__ == "__main__":
    main()

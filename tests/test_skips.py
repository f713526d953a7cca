"""A test that ran in any environment is not among the skips, nor is a file whose tests ran elsewhere."""

from __future__ import annotations

import pytest
from skips import NO_DATA, main, outcomes, skipped_everywhere

DEV = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_one"/>
<testcase classname="tests.test_a" name="test_two[x]"><skipped type="pytest.skip" message="no torch"/></testcase>
<testcase classname="tests.test_a" name="test_three"><skipped type="pytest.skip" message="no verl"/></testcase>
<testcase classname="tests.test_a" name="test_four"><skipped type="pytest.xfail" message="known"/></testcase>
<testcase classname="" name="tests.test_b"><skipped type="pytest.skip" message="collection skipped"
>('/x/test_b.py', 25, "Skipped: could not import 's3fs'")</skipped></testcase>
<testcase classname="" name="tests.test_c"><skipped type="pytest.skip" message="collection skipped"
>('/x/test_c.py', 9, "Skipped: no Chromium")</skipped></testcase>
</testsuite></testsuites>"""
HEAVY = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_two[x]"><failure message="it ran"/></testcase>
<testcase classname="tests.test_b" name="test_five"/>
<testcase classname="tests.test_b" name="test_six"><skipped type="pytest.skip" message="no bucket"/></testcase>
</testsuite></testsuites>"""


def test_only_what_ran_nowhere_is_left(tmp_path):
    for name, text in (("dev", DEV), ("heavy", HEAVY)):
        (tmp_path / f"{name}.xml").write_text(text)
    dev, heavy = (outcomes(tmp_path / f"{name}.xml") for name in ("dev", "heavy"))
    assert skipped_everywhere([dev]) == {
        "tests.test_a.test_two[x]": "no torch",
        "tests.test_a.test_three": "no verl",
        "tests.test_b": "could not import 's3fs'",
        "tests.test_c": "no Chromium",
    }
    assert skipped_everywhere([dev, heavy]) == {
        "tests.test_a.test_three": "no verl",
        "tests.test_b.test_six": "no bucket",
        "tests.test_c": "no Chromium",
    }


CASE = '<testcase classname="tests.test_e" name="test_{}"><skipped type="pytest.skip" message="{}"/></testcase>'


@pytest.mark.parametrize(("most", "stops"), [(2, False), (1, True)])
def test_tests_on_data_beside_the_checkout_do_not_count(tmp_path, monkeypatch, capsys, most, stops):
    cases = "".join(CASE.format(number, why) for number, why in enumerate(("no verl", "no verl", NO_DATA)))
    (tmp_path / "dev.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    monkeypatch.setattr("sys.argv", ["skips", "--most", str(most), str(tmp_path / "dev.xml")])
    if stops:
        with pytest.raises(SystemExit, match="at most 1 may skip"):
            main()
    else:
        main()
    assert "3 tests ran in none" in capsys.readouterr().out

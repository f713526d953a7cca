"""A test that ran in any environment is not among the skips, nor is a file whose tests ran elsewhere."""

from __future__ import annotations

from skips import outcomes, skipped_everywhere

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

"""The table of docs/reliability.md: counted from outcomes, and its areas are those of the command."""

import json
from collections import Counter
from xml.etree import ElementTree

from benchmarks import reliability

JUNIT = """<testsuite>
<testcase classname="tests.suite.test_order" name="a"/>
<testcase classname="tests.suite.test_order" name="b"><skipped/></testcase>
<testcase classname="tests.suite.test_order" name="c"><failure/></testcase>
<testcase classname="tests.suite.test_order" name="d"><system-out/><error/></testcase>
<testcase classname="tests.suite.test_orders" name="a"/>
</testsuite>"""


def test_what_failed_did_not_hold():
    cases = list(ElementTree.fromstring(JUNIT).iter("testcase"))
    assert reliability.outcomes(cases, ("tests/suite/test_order.py",)) == Counter(
        passed=1, skipped=1, failed=2
    )


def test_every_area_has_its_tests_and_its_row():
    page = reliability.PAGE.read_text()
    for area, files in reliability.AREAS.items():
        assert page.count(f"| {area} |") == 1, "write it anew: make reliability"
        assert all((reliability.ROOT / file).is_file() for file in files)


def test_counts_add_up(tmp_path, monkeypatch):
    path = tmp_path / "reports" / "counts.json"
    monkeypatch.delenv(reliability.COUNTS, raising=False)
    reliability.count("a", 1, 1)
    monkeypatch.setenv(reliability.COUNTS, str(path))
    for tried, held in ((3, 2), (4, 4)):
        reliability.count("a", tried, held)
    assert json.loads(path.read_text()) == {"a": [7, 6]}
    found = {"names": Counter(passed=2, failed=1)}
    assert "| names | 3 | 2 | 0 |" in reliability.table(found, {"damaged: x": [1000, 6]})
    assert "| damaged: x | 1,000 | 6 |" in reliability.table(found, {"damaged: x": [1000, 6]})

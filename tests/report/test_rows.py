"""The verdict's row that every reader shows: arithmetic that adds up, digits that tell, one unit."""

import re
from dataclasses import replace

import pytest

from geolip_theorems.drawing.text import VerdictRow, describe_verdict, places
from geolip_theorems.questions.spatial.figures import overall_map
from geolip_theorems.report.html.write import load

NUMBER = r"[+-]?\d+(?:\.\d+)?"


def row(unit="", value=0.7777, ci95=(0.7604, 0.7951), own=0.7312, twins=(0.79, 0.801, 0.795), **other):
    """A verdict on 2,000 images, beside twins on 512 where the subject's own figure is another."""
    mean = sum(twins) / len(twins)
    difference = {"value": own - mean, "ci95": [own - mean - 0.02, own - mean + 0.02], "method": ""}
    reason = f"{own:.4g} against {mean:.4g} of {len(twins)} twins: not shown"
    verdict = {"theorem": 3, "question": "q9", "claim": "c", "metric": "m", "title": "a claim", "unit": unit}
    verdict |= {"value": value, "ci95": list(ci95), "threshold": 0.0, "comparison": ">", "n": 2000, "p": None}
    verdict |= {"verdict": "holds", "reason": f"the interval {ci95[0]:.4g} to {ci95[1]:.4g} is wholly on"}
    verdict |= {"attributed": None, "expected": None, "expected_reason": None, "script_value": None}
    verdict["attribution"] = {"attributed": None, "reason": reason, "twin": None, "difference": difference}
    controls = {
        "images": 512,
        "subject": {"c": {"value": own}},
        "twins": [{"c": {"value": t}} for t in twins],
    }
    return VerdictRow(verdict | other, controls)


def test_images_that_a_figure_leaves_out_are_said():
    assert [replace(row(), all_images=n).images for n in (None, 2000, 2004)] == [
        "2,000",
        "2,000",
        "2,000 of 2,004",
    ]


def first(text: str) -> float:
    return float(re.search(NUMBER, text).group(0))


@pytest.mark.parametrize("unit", ["", "pp"])
def test_subject_less_twins_is_the_difference_that_is_shown(unit):
    found = row(unit)
    assert first(found.beside_twins) - first(found.twins) == pytest.approx(first(found.difference), abs=0.011)
    off = first(found.value) - first(found.twins)
    assert abs(off - first(found.difference)) > 0.03, "the figure on all images would not add up"
    assert found.twin_count == "3 twins, 512 images"


def test_twins_that_are_all_alike_have_no_spread():
    assert row(twins=(0.79, 0.79)).twins == row(twins=(0.79,)).twins == "0.7900"
    assert "to" in row(twins=(0.79, 0.80)).twins


def test_a_card_shows_all_three(labelled):
    html = labelled.html
    cards = re.findall(r"<article.*?</article>", html, re.S)
    assert len(cards) == 8
    for card in cards:
        own, twins, difference = (
            re.search(rf"<dt>{name}</dt><dd>([^<]*)", card).group(1).replace("−", "-")
            for name in ("this model", "random weights", "difference")
        )
        last = 10.0 ** -len(re.search(NUMBER, own).group(0).partition(".")[2])
        assert first(own) - first(twins) == pytest.approx(first(difference), abs=1.1 * last)


def test_a_figure_close_to_one_is_not_rounded_to_it():
    found = row(value=0.99982, ci95=(0.9972, 1.0031))
    assert found.value == "0.99982"
    assert found.interval == "[0.99720, 1.00310]"


@pytest.mark.parametrize(
    ("ci95", "wanted"),
    [([0.9972, 1.0031], 5), ([0.19, 0.27], 4), ([10, 13], 2), ([0, 9e8], None), ([1, 1], None), (None, None)],
)
def test_an_interval_says_how_many_decimals_tell(ci95, wanted):
    assert places(ci95) == wanted


@pytest.mark.parametrize("word", ["holds", "fails", "inconclusive"])
def test_every_sentence_has_one_unit_and_the_interval_stands_once(word):
    ends = {"fails": (-0.0795, -0.0761), "inconclusive": (-0.0761, 0.0795)}.get(word, (0.0761, 0.0795))
    found = row("pp", 0.0778, ends, verdict=word)
    text = describe_verdict(found.verdict)
    assert text.count(found.interval) == 1
    for share in (*(f"{end:.4g}" for end in ends), "0.0778", "0.7312"):
        assert not re.search(rf"(?<![\d.]){re.escape(share)}", text), text
    assert {"holds": "claim's side", "fails": "other side", "inconclusive": "contains"}[word] in found.reason


def test_what_would_decide_stays_and_so_do_reasons_without_an_interval():
    near = row(
        ci95=(-0.1, 0.2), verdict="inconclusive", reason="the interval -0.1 to 0.2 contains 0; about 90 do"
    )
    assert near.reason == "the interval contains the threshold; about 90 do"
    tested = row(verdict="inconclusive", p=0.2, reason="the interval 0.7604 to 0.7951 is .. but p = 0.2")
    assert tested.reason.endswith("claim's side of the threshold, but p = 0.2 is too large")
    assert row(reason="5 groups are too few", ci95=(0, 1)).reason == "5 groups are too few"


def test_two_rules_for_hot_patches_are_two_sentences(labelled):
    record = labelled.record["subjects"][0]
    record["measurements"]["calibrated"]["boundaries"]["hot_patches"]["beyond_chance"] = 47
    sentences = overall_map(load(1, record, labelled.results.parent)).caption.split(". ")
    spread, chance = (next(s for s in sentences if word in s) for word in ("standard deviations", "47 of"))
    assert spread != chance
    assert "47" not in spread
    assert "second rule" in chance

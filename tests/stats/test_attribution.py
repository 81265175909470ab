"""Attribution to the trained model: three answers, paired differences, no credit to one more twin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from geolip_theorems.drawing.text import VerdictRow
from geolip_theorems.io.errors import InputError
from geolip_theorems.questions import Study, ask, metrics
from geolip_theorems.stats.attribution import attribution
from geolip_theorems.stats.estimators import RootMeanSquare, inflation
from geolip_theorems.stats.intervals import mean_figure

from ..make import random_maps

TWINS = [{"value": v, "ci95": [v - 0.02, v + 0.02]} for v in (0.30, 0.32, 0.31)]


def figure(value, half=0.0):
    return {"value": value, "ci95": [value - half, value + half]}


def means(rows):
    """Figures of (models, N) values per image, and the values as contributions."""
    return [mean_figure(row) for row in rows], [row[None] for row in rows]


@pytest.mark.parametrize(
    ("value", "half", "comparison", "expected"),
    [
        (0.50, 0.02, ">", True),
        (0.50, 0.02, "<", False),
        (0.10, 0.02, ">", False),
        (0.10, 0.02, "<", True),
        (0.355, 0.002, ">", None),  # past every twin's interval, within the range of one more twin
        (0.40, 0.15, ">", None),  # far beyond the twins, but not surely
        (0.30, 0.02, ">", None),
        (0.285, 0.02, ">", None),
    ],
)
def test_three_answers(value, half, comparison, expected):
    found = attribution(figure(value, half), TWINS, comparison)
    assert found.attributed is expected
    assert found.twin["value"] == pytest.approx(0.31)
    assert found.difference["value"] == pytest.approx(value - 0.31)
    low, high = found.twin["range"]
    assert (value > high if comparison == ">" else value < low) == (expected is True)
    assert ("not shown" in found.reason) == (expected is None)


def test_the_answers_mirror():
    for value in np.linspace(0, 0.6, 13):
        over, under = (attribution(figure(value, 0.01), TWINS, c).attributed for c in "><")
        assert (over, under) in {(True, False), (False, True), (None, None)}


def test_no_is_said_of_what_one_more_twin_would_not_be():
    """Far enough from the expected twin to be surely behind it, near enough to be one more of them."""
    found = attribution(figure(0.27, 0.001), [figure(t["value"], 0.001) for t in TWINS], ">")
    assert found.difference["ci95"][1] < 0
    assert found.twin["range"][0] < 0.27
    assert found.attributed is None


def test_nobody_is_beyond_twins_that_are_further():
    """One twin far from forty near ones: Student's range ends before it, yet it is one of them."""
    near = [figure(0.3 + 0.0001 * i, 0.0001) for i in range(40)]
    alone, beside = (attribution(figure(0.48, 0.0001), twins, ">") for twins in (near, [*near, figure(0.5)]))
    student = beside.twin["value"] + stats.t.ppf(0.975, 40) * beside.twin["std"] * np.sqrt(1 + 1 / 41)
    assert student < 0.48
    assert (alone.attributed, beside.attributed) == (True, None)
    assert beside.twin["range"][1] == 0.5


@pytest.mark.parametrize("twins", [[], TWINS[:1], TWINS[:2], [{"value": None, "ci95": None}] * 3])
def test_without_three_twins_nothing_is_said(twins):
    for value in (0.9, 0.0):
        found = attribution(figure(value, 0.01), twins, ">")
        assert found.attributed is None
        assert "at least 3" in found.reason


def test_an_undefined_subject_is_not_attributed():
    assert attribution({"value": None, "ci95": None}, TWINS, ">").attributed is None
    assert attribution({"value": 0.9, "ci95": None}, TWINS, ">").attributed is None
    with pytest.raises(InputError, match="'>='"):
        attribution(figure(1.0), TWINS, ">=")


def test_what_the_images_share_cancels():
    """Images differ far more than models: unpaired intervals overlap, the paired difference is certain."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, 300)
    rows = [images + shift + rng.normal(0, 0.05, 300) for shift in (0.1, 0.0, 0.001, -0.001)]
    figures, parts = means(rows)
    apart = attribution(figures[0], figures[1:], ">")
    together = attribution(figures[0], figures[1:], ">", own=parts[0], others=parts[1:])
    assert (apart.attributed, together.attributed) == (None, True)
    # the interval is that of SciPy's paired t test against the mean of the twins
    paired = stats.ttest_rel(rows[0], np.mean(rows[1:], 0)).confidence_interval()
    half = (paired.high - paired.low) / 2
    values = [f["value"] for f in figures[1:]]
    spread = stats.t.ppf(0.975, 2) * np.std(values, ddof=1)
    high = np.mean(values) + np.hypot(half, spread * np.sqrt(4 / 3))
    assert together.twin["range"][1] == pytest.approx(high)
    ends = np.hypot(half, spread / np.sqrt(3))
    assert np.ptp(together.difference["ci95"]) == pytest.approx(2 * ends)


def test_groups_are_units():
    rng = np.random.default_rng(1)
    groups = np.arange(240) // 30
    shared = rng.normal(0, 1, 8)[groups]
    rows = [shared + rng.normal(0, 0.1, 240), *(rng.normal(0, 0.1, (3, 240)))]
    figures, parts = means(rows)
    alone, grouped = (
        np.ptp(
            attribution(figures[0], figures[1:], ">", own=parts[0], others=parts[1:], groups=g).difference[
                "ci95"
            ]
        )
        for g in (None, groups)
    )
    assert grouped > 3 * alone
    few = attribution(figures[0], figures[1:], ">", own=parts[0], others=parts[1:], groups=groups // 2)
    assert few.attributed is None
    assert "fewer than 6" in few.reason


def test_one_more_twin_is_rarely_credited_and_a_trained_one_is():
    """Twins' true values scatter, images are shared: the heavy version is in the calibration."""
    rng = np.random.default_rng(2)
    said = {0.0: [], 8.0: []}
    for ahead, answers in said.items():
        for _ in range(300):
            truth = rng.normal(0, 0.1, 4)
            truth[0] += 0.1 * ahead
            rows = truth[:, None] + rng.normal(0, 1, 60) + rng.normal(0, 0.2, (4, 60))
            figures, parts = means(rows)
            answers.append(
                attribution(figures[0], figures[1:], ">", own=parts[0], others=parts[1:]).attributed
            )
    assert stats.binomtest(said[0.0].count(True), 300, 0.025, alternative="greater").pvalue > 1e-3
    assert said[8.0].count(True) > 0.6 * 300
    assert said[8.0].count(False) == 0


@pytest.fixture(scope="module")
def measured():
    maps = random_maps(60, 4, 4, 2, 3)
    return ask(Study(maps, n_permutations=9)), len(maps.error_without)


METRICS = {metric.name: metric for _, metric in metrics()}


def test_influences_have_the_figures_slopes(measured):
    """What an image adds is what counting it a little more does to the figure."""
    found, ablated = measured
    influence = {name: metric.influence(found.values, 60) for name, metric in METRICS.items()}
    for name in ("lifts.balanced-chance", "lifts.release-friction", "lifts.all-eigenvalues"):
        offset = 1 / 3 if name == "lifts.balanced-chance" else 0
        assert influence[name].shape == (2, 60)
        assert influence[name].mean() - offset == pytest.approx(METRICS[name].of(found.figures)["value"])
    squared = found.values["squared_cv"]
    root = METRICS["spatial_cv.corrected"].of(found.figures)["value"]
    weights = np.full(60, 1 / 60)
    weights[7] += 1e-6
    slope = (np.sqrt((weights * squared).sum() / weights.sum()) - root) / 1e-6
    part = influence["spatial_cv.corrected"][0]
    assert part[7] - part.mean() == pytest.approx(slope, rel=1e-3)
    assert np.isfinite(influence["modes.share"]).sum() == ablated < 60
    assert influence["boundaries.gradient"].shape == (1, 60)
    assert influence["class_cosine.min"] is None


def test_images_without_a_part_in_the_figure_are_known_by_the_metrics_rows(measured):
    """The mean over the ablated images is the figure, and each stands at its own place."""
    found, ablated = measured
    metric = METRICS["modes.share"]
    moved = {**found.values, "ablated": np.arange(60)[::-1][:ablated]}
    for kept in (found.values, moved):
        influence = metric.influence(kept, 60)[0]
        assert np.nanmean(influence) == pytest.approx(metric.of(found.figures)["value"])
        np.testing.assert_array_equal(influence[kept["ablated"]], kept["other_mode"])
    assert METRICS["error"].influence({}, 60) is None  # nothing was kept


def test_a_root_of_nothing_keeps_a_finite_slope():
    squared = np.random.default_rng(0).normal(0, 1e-3, 500)
    assert np.abs(RootMeanSquare().influence([squared - squared.mean()])).max() < 1


def test_only_what_probes_find_is_inflated():
    for name, metric in METRICS.items():
        probed = name.startswith(("lifts.", "probes."))
        assert metric.estimator.cross_validated == probed
        assert metric.estimator.inflation(60) == (inflation(60) if probed else 1)


@pytest.mark.parametrize(("answer", "words"), [(True, "yes"), (False, "no"), (None, "not shown")])
def test_the_answers_have_words(answer, words):
    verdict = {"question": "q9", "claim": "c", "title": "t", "verdict": "holds", "value": 1.0, "ci95": None}
    verdict |= {
        "comparison": ">",
        "threshold": 0.0,
        "n": 1,
        "p": None,
        "expected": None,
        "attributed": answer,
    }
    assert VerdictRow(verdict | {"attribution": {"reason": ""}}).attributed == words
    assert VerdictRow(verdict | {"attribution": None}).attributed == "-"

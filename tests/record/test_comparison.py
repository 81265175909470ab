"""Comparisons: nothing out of nothing, what is worse is found, chance alone seldom fails a run."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from geolip_theorems.compare.judging import compare, size
from geolip_theorems.compare.pairing import Side, differing
from geolip_theorems.io.errors import InputError
from geolip_theorems.questions import claims, metrics
from geolip_theorems.questions.readout.measure import balanced
from geolip_theorems.results.comparison import REGRESSIONS

METRICS = {metric.name: metric for _, metric in metrics()}


def outcomes(comparison):
    return {found.metric: found.outcome for found in comparison.metrics}


def test_a_run_against_itself_differs_in_nothing(sides):
    found = compare(sides["golden"], sides["golden"])
    for metric in found.metrics:
        assert metric.paired, metric.metric
        assert metric.difference == 0
        assert metric.ci95 == metric.joint == [0, 0]
        assert (metric.outcome, metric.p, metric.p_holm) == ("same", 1, 1)
    assert {flip.outcome for flip in found.verdicts} == {"same"}
    assert found.regressions("flip") == []


def test_every_metric_is_measured_and_its_images_give_the_records_figure(sides):
    """A metric whose per-image arrays do not belong to its figure would silently lose its pairing."""
    found = compare(sides["golden"], sides["noisy"])
    directed = [name for name, metric in METRICS.items() if metric.better]
    assert [metric.metric for metric in found.metrics] == sorted(METRICS, key=lambda n: n not in directed)
    assert all(metric.paired for metric in found.metrics)
    assert {metric.units for metric in found.metrics} == {80, 40}  # 40 with modes ablated


def test_noise_in_the_weights_is_found(sides):
    found = compare(sides["golden"], sides["noisy"])
    assert outcomes(found)["error"] == "worse"
    assert any("release error" in line for line in found.regressions())
    back = compare(sides["noisy"], sides["golden"])
    assert outcomes(back)["error"] == "better"


def test_a_trifle_of_noise_is_no_regression_and_is_said(sides):
    found = compare(sides["golden"], sides["slightly"])
    error = next(metric for metric in found.metrics if metric.metric == "error")
    assert 0 < abs(error.difference) < 0.01
    assert error.outcome in ("same", "slightly worse", "slightly better")
    assert found.regressions() == []


def test_pairing_is_worth_it_and_its_absence_is_said(sides):
    paired = compare(sides["golden"], sides["slightly"])
    alone = replace(sides["golden"], arrays=None, note="no arrays")
    unpaired = compare(alone, sides["slightly"])
    assert not any(metric.paired for metric in unpaired.metrics)
    assert "no arrays" in unpaired.notes

    def width(found, name):
        metric = next(m for m in found.metrics if m.metric == name)
        return metric.ci95[1] - metric.ci95[0]

    for name in ("error", "spatial_cv.corrected", "boundaries.gradient", "class_cosine.min"):
        assert width(paired, name) < width(unpaired, name) / 2, name


def edited(side, verdict=None, **figures):
    """A side with other values in its record: ``path=value`` with dots as double underscores."""
    subject = copy.deepcopy(side.subject)
    for path, value in figures.items():
        *keys, last = path.replace("__", ".").split(".")
        node = subject["measurements"]["calibrated"]
        for key in (*keys, last):
            node = node[key]
        node["value"] = value
    if verdict:
        next(v for v in subject["verdicts"] if v["claim"] == verdict[0])["verdict"] = verdict[1]
    return replace(side, subject=subject)


@pytest.mark.parametrize(
    ("name", "unpaired"),
    [
        ("position", set(METRICS)),
        ("label", set(METRICS)),
        ("ablated", {"modes.share"}),
        ("gradient", {"boundaries.gradient"}),
        ("hits/friction", {"lifts.release-friction", "probes.friction"}),
    ],
)
@pytest.mark.parametrize("change", ["gone", "other"])
def test_arrays_that_do_not_fit_the_other_sides_are_not_paired(sides, name, unpaired, change):
    """Other images, or fewer: each metric falls back to its own interval, the others stay paired."""
    arrays = dict(sides["golden"].arrays)
    kept = arrays.pop(f"per_image/{name}")
    if change == "other":
        of_images = name in ("position", "label", "ablated")
        arrays[f"per_image/{name}"] = kept[::-1] if of_images else kept[..., :5]
    found = compare(replace(sides["golden"], arrays=arrays), sides["slightly"])
    assert {metric.metric for metric in found.metrics if not metric.paired} == unpaired
    assert all(metric.ci95 for metric in found.metrics)


def test_a_worse_verdict_says_whether_its_figure_is_worse_and_counts_then(sides):
    golden = sides["golden"]
    now = next(v for v in golden.subject["verdicts"] if v["claim"] == "spatial_cv")
    assert now["verdict"] == "holds"
    lost = edited(golden, ("spatial_cv", "inconclusive"))
    assert compare(golden, lost).verdicts[0].outcome == "worse within chance", "the figure is the same"
    by_chance = edited(sides["slightly"], ("spatial_cv", "inconclusive"))
    found = compare(golden, by_chance)
    assert found.verdicts[0].outcome == "worse within chance"
    assert found.regressions() == found.regressions("never") == []
    assert len(found.regressions("flip")) == 1
    assert "within chance" in found.regressions("flip")[0]
    fallen = edited(replace(golden, arrays=None), ("spatial_cv", "fails"), spatial_cv__corrected=-0.4)
    assert compare(golden, fallen).verdicts[0].outcome == "worse"
    assert compare(lost, golden).verdicts[0].outcome == "better"


def test_what_is_no_longer_measured_is_a_regression(sides):
    golden = sides["golden"]
    subject = copy.deepcopy(golden.subject)
    subject["measurements"]["calibrated"]["modes"]["share"] = {"value": None, "ci95": None}
    assert outcomes(compare(golden, replace(golden, subject=subject)))["modes.share"] == "lost"
    assert outcomes(compare(replace(golden, subject=subject), golden))["modes.share"] == "not measured"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("dataset", "sha256", "1" * 64), "dataset.sha256: "),
        (("dataset", "preprocessing", "other"), "other now"),
        (("seed", None, 5), "seed: 0 then, 5 now"),
        (("protocol", "probe", "conv"), "protocol.probe: ridge then, conv now"),
        (("protocol", "ablation_images", None), "protocol.ablation_images: 40 then, None now"),
        (("protocol", "measures", 99), "protocol.measures"),
        (("verdicts", 0, 0.2), "threshold.spatial_cv: 0.1 then, 0.2 now"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_other_data_or_another_protocol_is_refused_by_name(sides, change, says):
    golden = sides["golden"]
    subject = copy.deepcopy(golden.subject)
    field, key, value = change
    if field == "verdicts":
        subject["verdicts"][key]["threshold"] = value
    elif key is None:
        subject[field] = value
    else:
        subject[field][key] = value
    with pytest.raises(InputError, match="cannot be compared") as caught:
        compare(golden, replace(golden, subject=subject))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_may_differ(sides):
    golden = sides["golden"]
    subject = copy.deepcopy(golden.subject)
    subject["device"] = "cuda"
    subject["verdicts"] = subject["verdicts"][:2]
    subject["protocol"]["controls"] = 7
    assert differing(golden.subject, subject) == []
    assert any("devices differ" in note for note in compare(golden, replace(golden, subject=subject)).notes)


def simulated(rng, n, shift=None, noise=0.35, groups=None):
    """Two sides whose images are drawn from one population: the same truth, other weights.

    Each side's per-image values are a shared part, which pairing takes out, and a part of its own. ``shift``
    moves the second side's truth: ``{metric path: smallest changes of interest}``.
    """
    subjects, arrays = [], []
    shared = {key: rng.standard_normal(n) for key in ("error", "squared_cv", "gradient", "share", "skill")}
    labels = np.arange(n) % 10
    if groups is not None:
        of_group = rng.standard_normal(groups.max() + 1)[groups]
        shared = {key: 0.7 * values + 0.7 * of_group for key, values in shared.items()}
    for number in range(2):
        moved = {path: METRICS[path].smallest * times for path, times in (shift or {}).items() if number}

        def own(key):
            return (shared[key] + noise * rng.standard_normal(n)) / np.hypot(1, noise)

        def to(path, moved=moved):
            return moved.get(path, 0.0)

        side = {"position": np.arange(n), "label": labels}
        if groups is not None:
            side["group"] = groups
        side["error"] = np.exp(0.5 * own("error")) * (1 + to("error"))
        side["squared_cv"] = (
            0.09 * np.exp(own("squared_cv") - 0.5) * (1 + to("spatial_cv.corrected") / 0.3) ** 2
        )
        side["gradient"] = 0.2 + 0.2 * own("gradient") + to("boundaries.gradient")
        side["ablated"] = np.arange(0, n, 2)
        side["other_mode"] = np.clip(0.4 + 0.15 * own("share")[::2] + to("modes.share"), 0, 1)
        for probe, rate in (("release", 0.6), ("friction", 0.7), ("eigenvalues", 0.8)):
            rate += to("lifts.balanced-chance") if probe == "release" else 0.0
            side[f"hits/{probe}"] = np.stack([own("skill") < stats.norm.ppf(rate) for _ in range(2)])
        side["balanced/release"] = balanced(side["hits/release"], labels)
        side["hits/release+eigenvalues+friction"] = side["hits/eigenvalues"]
        arrays.append({f"per_image/{key}": value for key, value in side.items()})
        subjects.append(_record(side, labels))
    return [Side(subject, found, name) for subject, found, name in zip(subjects, arrays, "ab", strict=True)]


def _record(side, labels):
    def figure(value, spread, n):
        reach = 1.96 * spread / np.sqrt(n)
        return {"value": float(value), "ci95": [float(value - reach), float(value + reach)], "n": n}

    n, hits = len(labels), {k[5:]: v for k, v in side.items() if k.startswith("hits/")}
    accuracy = {name: figure(values.mean(), 0.5, n) for name, values in hits.items()}
    lift = hits["release"].mean() - hits["friction"].mean()
    every = "release+eigenvalues+friction"
    root = np.sqrt(side["squared_cv"].mean())
    calibrated = {
        "error": figure(side["error"].mean(), side["error"].std(), n),
        "spatial_cv": {"corrected": figure(root, side["squared_cv"].std() / (2 * root), n)},
        "modes": {"share": figure(side["other_mode"].mean(), side["other_mode"].std(), n // 2)},
        "probes": accuracy,
        "lifts": {
            "balanced-chance": figure(side["balanced/release"].mean() - 1 / len(set(labels)), 0.5, n),
            "release-friction": figure(lift, 0.5, n),
            "all-eigenvalues": figure(hits[every].mean() - hits["eigenvalues"].mean(), 0.5, n),
        },
        "boundaries": {"gradient": figure(side["gradient"].mean(), side["gradient"].std(), n)},
    }
    verdicts = []
    # Thresholds where the lower end of the interval is expected: verdicts flip as often as they can.
    for claim, metric, threshold in (
        ("spatial_cv", "spatial_cv.corrected", 0.275),
        ("gradient", "boundaries.gradient", 0.176),
        ("mode_share", "modes.share", 0.374),
    ):
        node = calibrated
        for key in metric.split("."):
            node = node[key]
        low, high = node["ci95"]
        state = "holds" if low > threshold else "fails" if high < threshold else "inconclusive"
        verdicts.append(
            {
                "claim": claim,
                "metric": metric,
                "title": claim,
                "question": "q1",
                "verdict": state,
                "threshold": threshold,
            }
        )
    return {
        "id": "s",
        "model": {"name": "m", "sha256": "0" * 64},
        "dataset": {"name": "d", "sha256": "d", "preprocessing": "", "n_images": n, "classes": None},
        "seed": 0,
        "device": "cpu",
        "protocol": {},
        "timings": {},
        "verdicts": verdicts,
        "measurements": {"calibrated": calibrated},
    }


@pytest.mark.parametrize("how", ["paired", "paired in 13 groups", "unpaired"])
def test_equal_models_seldom_fail_a_run(how):
    """The same truth on both sides: at most 1 % of the runs are red, though many verdicts flip."""
    rng = np.random.default_rng(1)
    groups = np.arange(260) % 13 if "groups" in how else None
    runs, red, flipped, certain, moved = 300, 0, 0, 0, 0
    for _ in range(runs):
        a, b = simulated(rng, 260, groups=groups)
        if how == "unpaired":
            a, b = replace(a, arrays=None), replace(simulated(rng, 260)[1], arrays=None)
        found = compare(a, b)
        red += bool(found.regressions())
        certain += any(flip.outcome in ("worse", "lost") for flip in found.verdicts)
        flipped += bool(found.regressions("flip"))
        moved += any(m.outcome.endswith("worse") for m in found.metrics)
    assert flipped / runs > 0.1, "the control has power"
    assert certain / runs <= 0.05, "flips by chance are said to be certain"
    assert red / runs <= 0.01
    assert moved / runs <= 0.06, "joint intervals are wholly below 0 in more than 2.5 % of the runs"


@pytest.mark.parametrize(
    ("metric", "n"),
    [
        ("error", 600),
        ("spatial_cv.corrected", 600),
        ("boundaries.gradient", 600),
        ("modes.share", 600),
        ("lifts.balanced-chance", 2000),
    ],
)
def test_a_real_change_is_found_in_its_metric(metric, n):
    """Four smallest changes in the bad direction: found almost always; half of one: hardly ever."""
    rng = np.random.default_rng(2)
    bad = -4 * METRICS[metric].better

    def rate(size, runs=30):
        hits = 0
        for _ in range(runs):
            found = compare(*simulated(rng, n, {metric: size}))
            hits += next(m for m in found.metrics if m.metric == metric).outcome in REGRESSIONS
        return hits / runs

    assert rate(bad) > 0.8
    assert rate(bad / 8) < 0.05
    assert rate(-bad) == 0


def test_the_documented_table_is_the_one_in_use():
    text = (Path(__file__).parents[2] / "docs" / "comparison.md").read_text()
    words = {1: "larger", -1: "smaller", 0: "neither"}
    for question, metric in metrics():
        row = f"| `{metric.name}` | {question.id} | {metric.title} | {words[metric.better]} | "
        assert row + f"{size(metric.smallest, metric.unit)} |" in text, metric.name
    assert text.count("\n| `") == len(METRICS)


def test_every_claims_figure_is_a_metric_whose_better_side_is_the_claims():
    for claim in claims():
        assert METRICS[claim.metric.name] is claim.metric
        assert claim.metric.better == (1 if claim.comparison == ">" else -1), claim.name

"""Every question at once: the keys, what they do without labels or decoder, and that they are pure."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from geolip_theorems.questions import Study, ask, claims, metrics

from ..make import random_maps

KEYS = ["error", "spatial_cv", "class_cosine", "modes", "probes", "lifts", "boundaries"]
QUICK = {"n_permutations": 99}
CLAIMS = ["spatial_cv.corrected", "class_cosine.min", "modes.share", "lifts.balanced-chance",
          "lifts.release-patch_means", "lifts.release-friction", "lifts.all-eigenvalues",
          "boundaries.gradient"]  # fmt: skip


def calibrated(maps, **how):
    return ask(Study(maps, **how)).figures


def figures(tree, path=""):
    """Every figure in a result, by its path."""
    if isinstance(tree, dict):
        if "value" in tree:
            yield path, tree
        for key, branch in tree.items():
            yield from figures(branch, f"{path}.{key}" if path else key)
    elif isinstance(tree, list):
        for i, branch in enumerate(tree):
            yield from figures(branch, f"{path}.{i}")


@pytest.fixture(scope="module")
def result():
    return calibrated(random_maps(60, 4, 4, 2, 3), **QUICK)


def test_every_claim_has_a_whole_figure(result):
    assert list(result) == KEYS
    found = dict(figures(result))
    assert [claim.metric.name for claim in claims()] == CLAIMS
    assert {metric.name for _, metric in metrics()} <= set(found)
    for path, figure in found.items():
        assert set(figure) >= {"value", "ci95", "n", "method"}, path
        if figure["ci95"] is not None:
            low, high = figure["ci95"]
            assert low <= figure["value"] <= high, path
    for path in ("class_cosine.min", "modes.share", "spatial_cv.corrected"):
        assert 0 < found[path]["p"] <= 1
        assert found[path]["null"]


def test_it_can_be_written_as_json(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_it_is_repeatable_and_leaves_its_input(result):
    subject = random_maps(60, 4, 4, 2, 3)
    before = copy.deepcopy(vars(subject))
    assert calibrated(subject, **QUICK) == result
    for name, value in vars(subject).items():
        assert np.array_equal(value, before[name]) if isinstance(value, np.ndarray) else value == before[name]


def test_without_labels_three_questions_run():
    subject = random_maps(30, 4, 4, 2, 3)
    subject.labels = subject.classes = None
    result = calibrated(subject, **QUICK)
    assert [result[key] for key in ("class_cosine", "probes", "lifts")] == [None] * 3
    assert result["spatial_cv"]["corrected"]["value"] is not None
    assert result["boundaries"]["gradient"]["value"] is not None
    assert "p" not in result["modes"]["share"]


def test_without_optional_maps():
    subject = random_maps(40, 3, 5, 2, 3)
    for name in (
        "error_only",
        "error_without",
        "error_half",
        "settle",
        "input_var",
        "input_mean",
        "gradient",
    ):
        setattr(subject, name, None)
    result = calibrated(subject, **QUICK)
    assert result["modes"]["share"]["method"] == "the maps hold no error_without"
    assert result["boundaries"]["gradient"] is None
    assert set(result["probes"]) & {"settle", "patch_means"} == set()


def test_groups_are_used_everywhere():
    subject = random_maps(60, 4, 4, 2, 3)
    subject.groups = np.arange(60) // 4 + 100
    result = calibrated(subject, **QUICK)
    found = dict(figures(result))
    for path in CLAIMS:
        assert "group" in found[path]["method"], path
    assert result["class_cosine"]["min"]["null"]["shuffled"] == "signs of groups"


def test_order_of_images_does_not_matter_to_what_is_not_drawn():
    subject = random_maps(40, 4, 4, 2, 3)
    order = np.random.default_rng(0).permutation(40)
    other = copy.deepcopy(subject)
    for name, value in vars(subject).items():
        if isinstance(value, np.ndarray) and len(value) == 40:
            setattr(other, name, value[order])
    subject.error_only = subject.error_without = other.error_only = other.error_without = None
    a, b = (dict(figures(calibrated(m, **QUICK))) for m in (subject, other))
    for path in ("spatial_cv.corrected", "spatial_cv.raw", "spatial_cv.stability", "class_cosine.raw_min",
                 "boundaries.gradient", "boundaries.regions.edge-center", "modes.energy.0"):  # fmt: skip
        assert a[path]["value"] == pytest.approx(b[path]["value"], rel=1e-6), path


def test_one_class_has_no_class_questions():
    subject = random_maps(20, 4, 4, 2, 1)
    assert calibrated(subject, **QUICK)["lifts"] is None


def test_nulls_decide_no_value_and_no_interval():
    """Controls are measured without them; what they are for, p, changes."""
    maps = random_maps(60, 4, 4, 2, 3)
    whole, short = (ask(Study(maps, **how)) for how in ({}, {"n_permutations": 1, "n_null": 1}))
    differing = 0
    for _, metric in metrics():
        full, less = metric.of(whole.figures), metric.of(short.figures)
        assert [less[key] for key in ("value", "ci95", "n")] == [full[key] for key in ("value", "ci95", "n")]
        differing += less.get("p") != full.get("p")
    assert differing >= 3
    for name, values in whole.values.items():
        np.testing.assert_array_equal(short.values[name], values)

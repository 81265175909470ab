"""Figures do not depend on the error's unit: an error times any factor gives the same ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geolip_theorems.questions.boundaries.measure import measure as boundaries
from geolip_theorems.questions.classes.measure import measure as class_cosines
from geolip_theorems.questions.modes import MODES
from geolip_theorems.questions.readout import RELEASE
from geolip_theorems.questions.spatial import SPATIAL
from geolip_theorems.questions.study import Study
from geolip_theorems.stats.grids import NO_ERROR, mode_energy

from ..make import maps as made_maps
from ..make import random_maps

SQUARES = ("pixel_var",)
ERRORS = ("error", "error_half", "error_only", "error_without")
FACTORS = st.floats(-30, 30).map(lambda exponent: 10.0**exponent)


def scaled(maps, factor):
    """The maps of the same model with errors in another unit, float64."""
    new = {name: np.asarray(getattr(maps, name), np.float64) * factor for name in ERRORS}
    new |= {name: np.asarray(getattr(maps, name), np.float64) * factor**2 for name in SQUARES}
    return type(maps)(**{**vars(maps), **new})


def numbers(tree):
    """Every number in nested figures, in order."""
    if isinstance(tree, dict):
        return [n for key in sorted(tree) if key not in ("method", "pairs") for n in numbers(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [n for one in tree for n in numbers(one)]
    return [] if tree is None or isinstance(tree, str) else [float(tree)]


def spatial_figures(maps):
    return SPATIAL.measure(Study(maps, n_null=9)).figures["spatial_cv"]


def structures(maps):
    """The figures of questions 1, 2, 3 and 6 that have no unit."""
    yield spatial_figures(maps)
    yield class_cosines(Study(maps, n_permutations=9), n_splits=4).figures["class_cosine"]
    yield MODES.measure(Study(maps, n_permutations=9)).figures["modes"]["share"]
    found = boundaries(Study(maps), n_permutations=9).figures["boundaries"]
    yield {name: found[name] for name in ("gradient", "gradient_given_brightness", "regions")}


@settings(max_examples=25, deadline=None)
@given(FACTORS)
def test_errors_times_a_factor_give_the_same_figures(factor):
    maps = random_maps(n=24, gh=4, gw=4)
    for here, there in zip(structures(scaled(maps, 1.0)), structures(scaled(maps, factor)), strict=True):
        assert numbers(there) == pytest.approx(numbers(here), rel=1e-6, abs=1e-9)


def test_another_pattern_is_another_figure():
    """The control: numbers that do depend on the maps are compared."""
    first, second = random_maps(n=24, gh=4, gw=4), random_maps(n=24, gh=4, gw=4, seed=1)
    for here, there in zip(structures(first), structures(second), strict=True):
        assert numbers(there) != pytest.approx(numbers(here), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_probes_read_the_same_from_errors_in_another_unit(factor):
    maps = random_maps(n=60, gh=4, gw=4)
    maps.error = (maps.error + maps.labels[:, None, None]).astype(np.float32)
    here, there = (
        RELEASE.measure(Study(scaled(maps, f))).figures["probes"]["release"] for f in (1.0, factor)
    )
    assert there["value"] == pytest.approx(here["value"], abs=1 / 60)  # one image may lie on the boundary
    assert here["value"] > 0.5


def test_a_pattern_keeps_its_cv_at_any_error():
    """A pattern of one CV, at the mean squared errors of poor and of the best published models."""
    rng = np.random.default_rng(0)
    pattern = rng.gamma(1.0, 1.0, (40, 8, 8))
    squared = pattern.var((1, 2), ddof=1) / pattern.mean((1, 2)) ** 2
    for error in (1e-2, 5e-6, 2.8e-10, 3e-13):
        found = spatial_figures(made_maps(pattern * error, pixel_var=np.zeros(pattern.shape)))
        assert found["corrected"]["value"] == pytest.approx(np.sqrt(squared.mean()))


def test_without_any_error_the_figure_is_undefined_and_says_so():
    zero = np.zeros((30, 4, 4))
    found = spatial_figures(made_maps(zero, pixel_var=zero))
    assert {f["method"] for f in found.values()} == {NO_ERROR}
    labelled = made_maps(zero, labels=np.arange(30) % 3)
    found = class_cosines(Study(labelled, n_permutations=9)).figures["class_cosine"]
    assert found["min"]["value"] is None
    assert found["min"]["method"] == NO_ERROR


def test_an_image_without_error_has_no_part_in_it():
    rng = np.random.default_rng(1)
    error, var = rng.gamma(2.0, 1.0, (30, 4, 4)), rng.gamma(2.0, 1.0, (30, 4, 4))
    error[3], var[3] = 0, 0
    rest = np.arange(30) != 3
    whole, part = (spatial_figures(made_maps(error[r], pixel_var=var[r])) for r in (slice(None), rest))
    assert whole["corrected"]["value"] == part["corrected"]["value"]
    assert whole["corrected"]["n"] == 29


def test_mode_energies_of_any_scale_add_up():
    S = np.random.default_rng(2).gamma(2.0, 1.0, (5, 4)).astype(np.float32)
    S[0] = 0
    for factor in (1e-30, 1e-12, 1.0, 1e30):
        energy = mode_energy(S * np.float32(factor))
        assert energy[0].tolist() == [0] * 4
        assert energy[1:] == pytest.approx(mode_energy(S)[1:], rel=1e-5)
        assert energy[1:].sum(-1) == pytest.approx(1)

"""The script's protocol against an independent computation of every figure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geolip_theorems.io.errors import InputError
from geolip_theorems.script.protocol import (
    class_sums,
    region_masks,
    script_accuracies,
    script_protocol,
    spatial_cv,
)

from ..make import maps, random_maps
from .reference import reference

KEYS = [
    "counts",
    "spatial_cv",
    "class_error",
    "class_cosine",
    "regions",
    "mode_energy",
    "full_mse",
    "probes",
    "top_positions",
    "overall",
]


def differences(given, expected, path=""):
    """Paths at which two nested results differ by more than float rounding."""
    if isinstance(expected, dict):
        if set(given) != set(expected):
            return [f"{path}: keys {set(given) ^ set(expected)}"]
        return [d for k in expected for d in differences(given[k], expected[k], f"{path}/{k}")]
    if isinstance(expected, list) and expected and not isinstance(expected[0], list):
        pairs = zip(given, expected, strict=True)
        return [d for i, (g, e) in enumerate(pairs) for d in differences(g, e, f"{path}/{i}")]
    if isinstance(expected, (float, np.floating)):
        close = given is not None and given == pytest.approx(expected, rel=2e-5, abs=1e-8)
        return [] if close else [f"{path}: {given} is not {expected}"]
    return [] if given == expected else [f"{path}: {given} is not {expected}"]


@pytest.mark.parametrize(
    ("shape", "absent"),
    [((60, 5, 7, 3, 4), ()), ((90, 8, 8, 4, 10), (3, 9)), ((40, 3, 9, 2, 2), ()), ((70, 4, 4, 16, 5), ())],
)
@pytest.mark.parametrize("seed", [0, 3])
def test_every_figure_equals_the_independent_one(shape, absent, seed):
    n, gh, gw, D, n_classes = shape
    subject = random_maps(n, gh, gw, D, n_classes, seed, absent)
    given = script_protocol(subject, seed, max_maps=50, max_mode_images=13)
    assert list(given) == KEYS
    assert differences(given, reference(subject, seed, 50, 13)) == []


def test_the_comparison_can_fail():
    subject = random_maps()
    other = script_protocol(subject, 1)
    assert any("probes" in d for d in differences(other, reference(subject, 0)))
    subject.error[0, 0, 0] *= 2
    assert any("spatial_cv" in d for d in differences(other, reference(subject, 1)))


def test_without_labels_only_the_label_free_figures():
    subject = random_maps()
    subject.labels = subject.classes = None
    given = script_protocol(subject)
    assert [key for key in KEYS if given[key] is not None] == ["counts", "spatial_cv", "overall"]


def test_names_default_to_numbers():
    subject = random_maps(n_classes=3)
    subject.classes = None
    assert list(script_protocol(subject)["class_error"]) == ["0", "1", "2"]


def test_a_single_patch_has_no_spatial_figures():
    given = script_protocol(random_maps(gh=1, gw=1))
    assert given["spatial_cv"] is None
    assert given["overall"]["hot_patches"] is None
    assert given["regions"]["class0"]["edge"] is None


def test_script_accuracies_hold_the_single_split():
    subject = random_maps()
    spread = script_accuracies(subject, range(4))
    for name, probe in script_protocol(subject, 2)["probes"].items():
        assert spread[name]["test"][2] == probe["test"]
        assert spread[name]["mean"] == pytest.approx(np.mean(spread[name]["test"]))
        assert spread[name]["std"] == pytest.approx(np.std(spread[name]["test"], ddof=1))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3, np.int64), "labels have shape"),
        (np.zeros(60), "labels have dtype"),
        (np.full(60, -1), "labels hold -1"),
        (np.full(60, 4), "labels go up to 4 but there are 4 class names"),
    ],
)
def test_bad_labels_are_one_line(labels, message):
    subject = random_maps()
    subject.labels = labels
    with pytest.raises(InputError, match=message) as caught:
        script_protocol(subject)
    assert "\n" not in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 6),
    gh=st.integers(1, 7),
    gw=st.integers(1, 7),
    scale=st.floats(0.01, 100),
    data=st.data(),
)
def test_laws_of_the_maps(n, gh, gw, scale, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    error = rng.gamma(2.0, 1.0, (n, gh, gw)) + 0.1
    order = rng.permutation(n)
    np.testing.assert_array_equal(spatial_cv(error[order]), spatial_cv(error)[order])
    np.testing.assert_allclose(spatial_cv(error * scale), spatial_cv(error), rtol=1e-6)
    labels = np.arange(n) % 2
    means = class_sums(error, labels, 2).means()
    np.testing.assert_array_equal(class_sums(error[order], labels[order], 2).means().shape, means.shape)
    np.testing.assert_allclose(class_sums(error[order], labels[order], 2).means(), means, rtol=1e-12)
    masks = region_masks(gh, gw)
    whole = sum(error[:, masks[r]].sum() for r in ("center", "edge"))
    assert whole == pytest.approx(error.sum())
    assert not (masks["corner"] & masks["center"]).any()
    assert masks["corner"].sum() == 4 * (gh // 4) * (gw // 4)


def test_scaling_the_error_leaves_the_cosine():
    subject = random_maps()
    before = script_protocol(subject)["class_cosine"]
    scaled = maps(subject.error * 7, **{k: v for k, v in vars(subject).items() if k != "error"})
    assert script_protocol(scaled)["class_cosine"] == pytest.approx(before, rel=1e-6)


def test_global_random_state_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    script_protocol(random_maps())
    assert torch.equal(torch.get_rng_state(), before)

"""Which of its references a figure equals, and what is made of it."""

import numpy as np
import pytest

from geolip_theorems.model.published import PUBLISHED as VERSIONS
from geolip_theorems.questions.published.free import PATCHES_ALONE, Free
from geolip_theorems.questions.published.judging import FREE, PUBLISHED, TWINS, judged
from geolip_theorems.questions.published.values import Published, digest, entries, published

RANDOM = Free(5.0, 0.1, 400)


def around(value, seed=0, spread=0.1):
    return value + spread * np.random.default_rng(seed).standard_normal(32)


def twins(value):
    return [around(value + 0.01 * k, seed=k + 1) for k in range(6)]


@pytest.mark.parametrize(
    ("own", "others", "free", "kind"),
    [
        (5.0, 5.0, RANDOM, "free"),
        (5.0, 8.0, RANDOM, "free"),
        (8.0, 8.0, RANDOM, "architecture"),
        (8.0, 8.0, None, "architecture"),
        (8.0, 5.0, RANDOM, "learned"),
        (8.0, 5.0, None, "learned"),
        (5.4, 5.0, RANDOM, "open"),
    ],
)
def test_classes(own, others, free, kind):
    found = judged("figure", around(own), twins(others), margin=0.4, free=free)
    assert found["class"] == kind
    assert found["reading"].endswith(f": {kind}")


def test_without_twins_a_figure_apart_from_random_rows_is_open():
    assert judged("figure", around(8.0), (), margin=0.4, free=RANDOM)["class"] == "open"
    assert judged("figure", around(8.0), twins(5.0)[:2], margin=0.4, free=RANDOM)["class"] == "open"


def test_a_wide_interval_is_open():
    found = judged("figure", around(5.0, spread=5.0), twins(5.0), margin=0.4, free=RANDOM)
    assert (found["class"], found["references"][FREE]["equal"]) == ("open", None)


def test_twins_that_differ_widely_say_nothing():
    scattered = [around(5.0 + k, seed=k) for k in range(6)]
    found = judged("figure", around(7.5), scattered, margin=0.4, free=RANDOM)
    assert found["references"][TWINS]["equal"] is None


def test_the_published_value_has_its_own_margin():
    said = Published(5.2, 0.05, "2026-06", "README")
    found = judged("figure", around(5.0), twins(5.0), margin=0.4, free=RANDOM, said=said)
    assert found["contradicted"]
    assert found["references"][PUBLISHED]["source"] == "README"
    assert found["class"] == "free"
    met = judged("figure", around(5.2), twins(5.0), margin=0.4, said=Published(5.2, None, "", ""))
    assert not met["contradicted"]


def test_the_reading_names_every_reference():
    found = judged("band", around(5.0), twins(5.0), margin=0.4, free=RANDOM)
    low, high = found["ci95"]
    twin = found["references"][TWINS]["value"]
    beside = f"equal to random rows (5), equal to untrained networks ({twin:.4g}): free"
    assert found["reading"] == f"band {found['value']:.4g} [{low:.4g}, {high:.4g}]: {beside}"
    alone = judged("x", around(0.0), margin=1, free=PATCHES_ALONE)
    assert "patches that do not see each other" in alone["reading"]


def test_published_values_are_of_versions_there_are():
    assert {version for entry in entries() for version in entry["versions"]} <= {*VERSIONS}
    assert all(entry["date"] and entry["source"] for entry in entries())
    assert len(digest()) == 16


def test_published_values_are_found_by_version_and_images():
    assert published("v40_freckles_noise", "ratio", "images").value == 2.32
    band = published("v40_freckles_noise", "cv", "noise")
    assert (band.value, band.margin) == pytest.approx((0.215, 0.015))
    assert published("v40_freckles_noise", "s_delta", "noise").value == 0.055
    names = ("mean_friction", "rank", "ratio")
    shown = [published("v40_freckles_noise", name, "images", "cifar10").shown for name in names]
    assert shown == ["12.19 ± 0.08", "3.8 to 3.83", "2.32"]
    assert published("v40_freckles_noise", "s_delta", "images") is None
    assert published("v40_freckles_noise", "mean_friction", "images", "digits") is None
    assert published("freckles_embedded", "ratio", "images") is None

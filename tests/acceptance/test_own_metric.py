"""A function of the maps with a decorator is a metric like the suite's own, and never from the cache."""

import numpy as np
import pytest
from torch import nn

from geolip_theorems import measure as measure_model
from geolip_theorems import metric
from geolip_theorems.io.errors import InputError
from geolip_theorems.questions import Study, metrics
from geolip_theorems.questions.own import measure
from geolip_theorems.results import companion

from ..make import random_maps
from .conftest import HERE

TEST = "test_no_patch_dominates[own.worst_patch < 0.02-svae_d4-scenes]"


class Halved(nn.Module):
    """Half of an image."""

    patch_size = 4

    def forward(self, images):
        return images / 2


@pytest.fixture(scope="module")
def run(suite, tmp_path_factory):
    return suite(HERE / "own_metric.py", "--controls", 3, folder=tmp_path_factory.mktemp("metric"))


def test_it_has_an_interval_twins_and_properties(run):
    (verdict,) = run.subject["verdicts"]
    assert (verdict["claim"], verdict["title"]) == (
        "own.worst_patch < 0.02",
        "share of the error in the worst patch < 0.02",
    )
    values = companion.of_subject(run.subject, run.results.parent)["per_image/own/worst_patch"]
    assert verdict["value"] == pytest.approx(values.mean())
    low, high = verdict["ci95"]
    assert low < verdict["value"] < high
    assert verdict["attribution"]["twin"]["n"] == 3
    outcome, properties = run.junit[TEST]
    assert outcome == {"fails": "failure", "inconclusive": "skipped", "holds": "passed"}[verdict["verdict"]]
    assert properties["value"] == str(verdict["value"])
    assert "share of the error in the worst patch" in (run.folder / "report/report.html").read_text()


def test_it_is_a_metric_like_any_other_and_a_new_one_of_its_name_replaces_it(own_registry):
    @metric
    def flat(maps):
        return np.zeros(len(maps.error))

    @metric(better=+1, smallest=0.5)
    def flat(maps):  # noqa: F811
        """one"""
        return np.ones(len(maps.error))

    (found,) = [known for _, known in metrics() if known.name == "own.flat"]
    assert (found.title, found.better, found.smallest) == ("one", 1, 0.5)
    study = Study(random_maps())
    assert measure(study).figures["own"]["flat"]["value"] == 1
    assert (measure(study).values["own/flat"] == 1).all()


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda maps: np.ones(3), r"gave shape \(3,\); expected one finite number \(or NaN\) per image"),
        (lambda maps: np.full(len(maps.error), np.inf), "gave infinite numbers"),
        (lambda maps: maps.nothing, "cannot be computed: AttributeError: .*nothing"),
    ],
)
def test_what_a_function_may_not_give_is_said_in_a_line(own_registry, function, line):
    function.__name__ = "wrong"
    metric(function)
    with pytest.raises(InputError, match=line):
        measure(Study(random_maps()))


def test_nothing_of_it_is_kept_in_the_cache(own_registry, tmp_path):
    """A function's answer may change between two runs on the same maps."""
    answers = iter([1.0, 2.0])

    @metric
    def changing(maps):
        return np.full(len(maps.error), next(answers))

    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)
    told = [
        measure_model(Halved(), images, cache_dir=tmp_path, claims=[]).measurements["calibrated"]["own"]
        for _ in range(2)
    ]
    assert [found["changing"]["value"] for found in told] == [1.0, 2.0]

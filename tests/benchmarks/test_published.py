"""The table of the published claims: its cells, and what the release script printed."""

from types import SimpleNamespace

import pytest

from benchmarks.published import SCRIPT, cell, script_figures, table
from geolip_theorems.questions import Study
from tests.make import random_maps


def study(version, images="cifar10"):
    named = {"model": SimpleNamespace(name=version), "images": SimpleNamespace(name=images)}
    return Study(random_maps(), **named)


def test_the_scripts_figures_stand_beside_what_it_printed_of_this_version_on_these_images():
    asked = study("v40_freckles_noise")
    found = dict(script_figures(asked))
    assert list(found) == [f"script · {path}" for path in SCRIPT]
    flat = asked.maps.error.reshape(60, -1).astype(float)
    mean = found["script · spatial_cv.mean"]
    assert mean["value"] == pytest.approx((flat.std(1, ddof=1) / flat.mean(1)).mean(), rel=1e-5)
    assert mean["references"]["the published value"]["value"] == 0.3972
    assert mean["contradicted"] == (abs(mean["value"] - 0.3972) > 0.03972)
    assert dict(script_figures(study("v40_freckles_noise", "digits"))) == {}
    assert dict(script_figures(study("freckles_embedded"))) == {}


def test_a_cell_has_figure_interval_class_and_mark():
    one = {"value": 0.9125, "ci95": (0.9, 0.925), "class": "free", "contradicted": True}
    assert cell(one) == "0.9125 [0.9, 0.925] free **contradicted**"
    assert cell({**one, "ci95": None, "contradicted": False}) == "0.9125 free"
    assert cell(None) == cell({**one, "value": None}) == "–"
    assert list(table({"a": {"x": one}, "b": {}}))[2] == f"| x | {cell(one)} | – |"

"""Whether friction is one for all classes: on values with a known truth."""

import numpy as np

from geolip_theorems.questions import Study
from geolip_theorems.questions.published.margins import CLASSES
from geolip_theorems.questions.published.measure import class_spread
from tests.make import maps


def study(n=120, classes=3, **more):
    labels = np.arange(n) % classes if classes else None
    return Study(maps(np.ones((n, 2, 2)), labels=labels, **more))


def test_the_class_that_is_furthest_decides():
    asked = study()
    noise = 0.02 * np.random.default_rng(0).standard_normal(120)
    found = class_spread(4 + noise + np.array([0, 0, 0.3])[asked.labels], asked)
    assert abs(found["value"] - 0.2) < 0.01
    assert found["ci95"][0] > CLASSES


def test_classes_alike_are_shown_to_be():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        found = class_spread(4 + 0.1 * rng.standard_normal(120), study())
        hits += found["ci95"][0] == 0 and found["ci95"][1] < CLASSES + 0.02
    assert hits > 270


def test_what_cannot_be_told_says_why():
    values = np.ones(120)
    assert "no labels" in class_spread(values, study(classes=0))["method"]
    assert "fewer than 6" in class_spread(values, study(groups=np.arange(120) % 4))["method"]
    values[3] = -np.inf
    assert "friction of 0" in class_spread(values, study())["method"]

"""The bank that comes with the suite: it fits today's code, can be measured again, is calibrated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.calibration import untrained
from benchmarks.calibration.untrained import rates, table, units_of
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.questions import claims
from geolip_theorems.run.analyse import measured_twins
from geolip_theorems.run.bank import BANKED, bank_file, banked
from geolip_theorems.run.controls import chosen_images, compared
from geolip_theorems.run.subject import RunOptions, open_subject

LARGEST = 1 << 20  # bytes per file
# Rounding of another processor moves errors by a part in a million: a rank correlation by less than 1e-4, a
# patch or an image near a tie to the other side.
CLOSE, FLIPS = 1e-3, {"lifts": 0.01, "modes": 5e-3}


def twins_of(subject):
    found = banked(subject, *chosen_images(subject), claims())
    return found.twins if found else []


SHIPPED = [dataset for dataset in BANKED if bank_file(dataset).exists()]


def test_the_default_images_have_twins():
    assert "digits" in SHIPPED


@pytest.fixture(scope="module", params=SHIPPED)
def kept(request):
    """The embedded model on an image set, and the bank's twins for it."""
    subject = open_subject("freckles_embedded", request.param, RunOptions(offline=True))
    return subject, twins_of(subject)


def test_the_bank_fits_the_default_run(kept):
    subject, twins = kept
    assert len(twins) >= 30, "the bank is of other code or images: make bank"
    assert len({twin.sha256 for twin in twins}) == len(twins)
    assert bank_file(subject.images.name).stat().st_size < LARGEST
    for twin in twins:
        assert set(twin.figures) == {claim.metric.name for claim in claims()}
        assert all(figure["ci95"] for figure in twin.figures.values())


def test_a_pair_measured_again_is_the_banks(tmp_path):
    subject = open_subject("freckles_embedded", "digits", RunOptions(offline=True))
    first, second = twins_of(subject)[:2]
    again = measured_twins(subject, (first.seed, second.seed), MapsCache(tmp_path))
    for twin, other, found in zip((first, second), (second, first), again, strict=True):
        for name, figure in twin.figures.items():
            close = FLIPS.get(name.partition(".")[0], CLOSE)
            assert found.figures[name]["value"] == pytest.approx(figure["value"], abs=close), name
            assert found.figures[name]["ci95"] == pytest.approx(figure["ci95"], abs=2 * close), name
        gradient = found.parts["boundaries.gradient"]
        np.testing.assert_allclose(gradient, twin.parts["boundaries.gradient"], atol=2e-3)
        assert np.abs(gradient - other.parts["boundaries.gradient"]).max() > 0.1, "any twin would pass"


def test_untrained_subjects_are_rarely_called_anything(kept):
    """Each twin against the others; the table of docs/calibration.md rests on a hundred."""
    subject, twins = kept
    found = rates(twins, units_of(subject))
    assert {r.claim for r in found} == {claim.name for claim in claims()}
    assert all(r.subjects == len(twins) and r.twins == len(twins) - 1 for r in found)
    assert [r.refusals() for r in found if r.refusals()] == [], table({"bank": found})


def test_a_rule_that_ignores_the_twins_spread_is_refused(kept, monkeypatch):
    def only_images(claim, subject, twins, units):
        name = claim.metric.name
        mean = float(np.mean([twin.figures[name]["value"] for twin in twins]))
        figure = twins[0].figures[name] | {"value": mean}
        return compared(claim, subject, [replace(twin, figures={name: figure}) for twin in twins], units)

    monkeypatch.setattr(untrained, "compared", only_images)
    subject, twins = kept
    assert any(r.refusals() for r in rates(twins, units_of(subject)))

"""The bank that comes with the suite: it fits today's code, can be measured again, is calibrated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geolip_theorems import calibration_twins
from geolip_theorems.analysis import measured_twin
from geolip_theorems.bank import BANKED, bank_file, banked_twins
from geolip_theorems.calibration_twins import rates, table
from geolip_theorems.claims import CLAIMS
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.subject import RunOptions, open_subject
from geolip_theorems.twins import compared, control_images

LARGEST = 1 << 20  # bytes a file
# Rounding of another processor moves errors by a part in a million: a rank correlation by less than 1e-4, a
# patch or an image near a tie to the other side.
CLOSE = {"release_chance": 0.01, "release_friction": 0.01, "all_eigenvalues": 0.01, "mode_share": 5e-3}


@pytest.fixture(scope="module", params=BANKED)
def kept(request):
    """The embedded model on an image set, and the bank's twins for it."""
    subject = open_subject("freckles_embedded", request.param, RunOptions(offline=True))
    return subject, banked_twins(subject, *control_images(subject))


def test_the_bank_fits_the_default_run(kept):
    subject, twins = kept
    assert len(twins) >= 30, "the bank is of other code or images: make bank"
    assert len({twin.sha256 for twin in twins}) == len(twins)
    assert bank_file(subject.images.name).stat().st_size < LARGEST
    for twin in twins:
        assert set(twin.figures) == {claim.name for claim in CLAIMS}
        assert all(figure["ci95"] for figure in twin.figures.values())


def test_a_pair_measured_again_is_the_banks(tmp_path):
    subject = open_subject("freckles_embedded", "digits", RunOptions(offline=True))
    images, ablated = control_images(subject)
    first, second = banked_twins(subject, images, ablated)[:2]
    cache = MapsCache(tmp_path)
    for twin, other in ((first, second), (second, first)):
        again = measured_twin(subject, twin.seed, images, ablated, cache)
        for claim in CLAIMS:
            close = CLOSE.get(claim.name, 1e-3)
            value, ends = again.figures[claim.name]["value"], again.figures[claim.name]["ci95"]
            assert value == pytest.approx(twin.figures[claim.name]["value"], abs=close), claim.name
            assert ends == pytest.approx(twin.figures[claim.name]["ci95"], abs=2 * close), claim.name
        gradient = again.parts["gradient"]
        np.testing.assert_allclose(gradient, twin.parts["gradient"], atol=2e-3)
        assert np.abs(gradient - other.parts["gradient"]).max() > 0.1, "any twin would pass"


def test_untrained_subjects_are_rarely_called_anything(kept):
    """Each twin against the others; the table of docs/calibration.md rests on a hundred."""
    subject, twins = kept
    groups = subject.images.take(control_images(subject)[0]).groups
    found = rates(twins, groups)
    assert {r.claim for r in found} == {claim.name for claim in CLAIMS}
    assert all(r.subjects == len(twins) and r.twins == len(twins) - 1 for r in found)
    assert [r.refusals() for r in found if r.refusals()] == [], table({"bank": found})


def test_a_rule_that_ignores_the_twins_spread_is_refused(kept, monkeypatch):
    def only_images(claim, subject, twins, groups):
        values = [twin.figures[claim.name]["value"] for twin in twins]
        figure = twins[0].figures[claim.name] | {"value": float(np.mean(values))}
        alike = [replace(twin, figures={claim.name: figure}) for twin in twins]
        return compared(claim, subject, alike, groups)

    monkeypatch.setattr(calibration_twins, "compared", only_images)
    subject, twins = kept
    groups = subject.images.take(control_images(subject)[0]).groups
    assert any(r.refusals() for r in rates(twins, groups))

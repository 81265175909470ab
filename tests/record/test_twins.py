"""Whom a subject is compared with: the bank's twins where they fit its run exactly, else its own draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geolip_theorems import analysis, bank, companion
from geolip_theorems.analysis import analyse, measured_twin
from geolip_theorems.claims import CLAIMS
from geolip_theorems.errors import InputError
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.measures.attribution import inflation_of
from geolip_theorems.subject import RunOptions, open_subject
from geolip_theorems.twins import Measured, compared, control_images, drawn_seeds

GOLDEN = str(Path(__file__).parents[1] / "data" / "svae_d4.pt")
OPTIONS = RunOptions(max_images=60, image_size=32, ablation_images=20, controls=3, offline=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return MapsCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def subject():
    return open_subject(GOLDEN, "scenes", OPTIONS)


@pytest.fixture(scope="module")
def twins(subject, cache):
    return [measured_twin(subject, seed, *control_images(subject), cache) for seed in (1, 2, 3)]


@pytest.fixture
def banked(subject, twins, tmp_path, monkeypatch):
    """A bank for just this subject's run."""
    path = tmp_path / "twins-scenes.npz"
    bank.write_bank(path, bank.bank_key(subject, *control_images(subject)), twins)
    monkeypatch.setattr(bank, "bank_file", lambda dataset: path)
    return path


def test_a_draw_is_the_subjects_and_the_runs():
    seeds = drawn_seeds("ab" * 32, 0, 10)
    assert seeds == drawn_seeds("ab" * 32, 0, 12)[:10]
    others = [*drawn_seeds("ab" * 32, 1, 10), *drawn_seeds("ac" * 32, 0, 10)]
    assert len({*seeds, *others}) == 30
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_without_a_bank_twins_are_drawn_for_the_subject(subject, cache):
    record = analyse(subject, cache).record
    controls = record.measurements["controls"]
    assert controls["source"] == "drawn"
    expected = drawn_seeds(subject.model.sha256, 0, 3)
    assert [twin["seed"] for twin in controls["twins"]] == expected
    again = analyse(replace(subject, options=replace(OPTIONS, seed=1)), cache).record
    seeds = [twin["seed"] for twin in again.measurements["controls"]["twins"]]
    assert not set(seeds) & set(expected)


def test_a_bank_that_fits_spares_the_twins(subject, cache, banked, twins, monkeypatch):
    monkeypatch.setattr(analysis, "measured_twin", None)  # would be called to draw one
    record = analyse(subject, cache).record
    controls = record.measurements["controls"]
    assert controls["source"] == "bank"
    assert [twin["seed"] for twin in controls["twins"]] == [1, 2, 3]
    assert [twin["gradient"] for twin in controls["twins"]] == [t.figures["gradient"] for t in twins]
    assert all(verdict.attribution["twin"]["n"] == 3 for verdict in record.verdicts)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"probe": "conv"},
        {"max_images": 59},
        {"image_size": 64},
        {"normalize": "imagenet"},
        {"ablation_images": 19},
        {"control_images": 50},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_bank_of_anything_else_is_not_used(subject, banked, options):
    other = open_subject(GOLDEN, "scenes", replace(OPTIONS, **options))
    assert bank.banked_twins(other, *control_images(other)) == []
    assert len(bank.banked_twins(subject, *control_images(subject))) == 3


@pytest.mark.parametrize("name", ["EXTRACTION_VERSION", "MEASURES_VERSION"])
def test_a_bank_of_another_version_is_not_used(subject, banked, monkeypatch, name):
    monkeypatch.setattr(bank, name, 10_000)
    assert bank.banked_twins(subject, *control_images(subject)) == []


def test_another_shape_finds_no_twins(subject, banked):
    other = open_subject("random:freckles_embedded", "scenes", OPTIONS)
    assert other.images.sha256 == subject.images.sha256
    assert bank.banked_twins(other, *control_images(other)) == []


def test_more_twins_than_the_bank_has_are_drawn(subject, cache, banked):
    more = replace(subject, options=replace(OPTIONS, controls=4))
    controls = analyse(more, cache).record.measurements["controls"]
    assert (controls["source"], len(controls["twins"])) == ("drawn", 4)


def test_a_twin_of_the_bank_is_not_compared_with_itself(subject, banked, twins):
    itself = replace(subject, model=replace(subject.model, sha256=twins[1].sha256))
    assert [t.seed for t in bank.banked_twins(itself, *control_images(itself))] == [1, 3]


def test_the_bank_keeps_what_comparisons_need(subject, banked, twins):
    """Answers, ranges and intervals from the file are those from the measured twins."""
    read = bank.read_bank(banked)[1]
    one_more = Measured(twins[0].figures, twins[0].parts)
    for claim in CLAIMS:
        fresh, kept = (compared(claim, one_more, [*some, *some], None) for some in (twins[1:], read[1:]))
        assert kept.attributed == fresh.attributed
        if fresh.twin:
            np.testing.assert_allclose(kept.twin["range"], fresh.twin["range"], rtol=1e-6)
            np.testing.assert_allclose(kept.difference["ci95"], fresh.difference["ci95"], rtol=1e-5)
        if inflation_of(claim.metric) != 1:  # whole numbers, so nothing is rounded
            np.testing.assert_array_equal(read[0].parts[claim.name], twins[0].parts[claim.name])


@pytest.mark.parametrize("damage", ["cut", "about", "rows"])
def test_a_damaged_bank_is_refused_in_one_line(subject, banked, damage):
    if damage == "cut":
        banked.write_bytes(banked.read_bytes()[:200])
    else:
        arrays = companion.read(banked)
        if damage == "about":
            arrays[bank.ABOUT] = np.array("{}")
        else:
            arrays["parts/gradient"] = arrays["parts/gradient"][:1]
        companion.write(banked, arrays)
    with pytest.raises(InputError, match="install the suite again, or write it with: make bank") as caught:
        bank.banked_twins(subject, *control_images(subject))
    assert "\n" not in str(caught.value)

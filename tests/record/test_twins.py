"""Whom a subject is compared with: the bank's twins where they fit its run exactly, else its own draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.io import arrays as npz
from geolip_theorems.io.errors import InputError
from geolip_theorems.questions import claims, metrics
from geolip_theorems.questions.readout import measure as readout
from geolip_theorems.run import bank, controls
from geolip_theorems.run.analyse import _Work, analyse, measured_references, measured_twins, unwatched
from geolip_theorems.run.controls import chosen_images, compared, drawn_seeds
from geolip_theorems.run.references import REFERENCES
from geolip_theorems.run.subject import RunOptions, open_subject
from geolip_theorems.stats.units import Units

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
    return list(measured_twins(subject, (1, 2, 3), cache))


@pytest.fixture
def banked(subject, twins, cache, tmp_path, monkeypatch):
    """A bank for just this subject's run."""
    path = tmp_path / "twins-scenes.npz"
    references = measured_references(subject, 1, cache)
    bank.write_bank(path, bank.Bank(bank.bank_key(subject, *chosen_images(subject)), twins, references))
    monkeypatch.setattr(bank, "bank_file", lambda dataset: path)
    return path


def found_for(subject, asked=None):
    found = bank.banked(subject, *chosen_images(subject), claims() if asked is None else asked)
    return found.twins if found else []


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
    monkeypatch.setattr(_Work, "twin", None)  # would be called to draw one
    record = analyse(subject, cache).record
    controls = record.measurements["controls"]
    assert controls["source"] == "bank"
    assert [twin["seed"] for twin in controls["twins"]] == [1, 2, 3]
    kept = [twin.figures["boundaries.gradient"] for twin in twins]
    assert {one["name"] for one in controls["references"]} == {one.name for one in REFERENCES}
    assert [twin["gradient"] for twin in controls["twins"]] == kept
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
    assert found_for(other) == []
    assert len(found_for(subject)) == 3


@pytest.mark.parametrize("name", ["EXTRACTION_VERSION", "MEASURES_VERSION"])
def test_a_bank_of_another_version_is_not_used(subject, banked, monkeypatch, name):
    monkeypatch.setattr(bank, name, 10_000)
    assert found_for(subject) == []


def test_another_shape_finds_no_twins(subject, banked):
    other = open_subject("random:freckles_embedded", "scenes", OPTIONS)
    assert other.images.sha256 == subject.images.sha256
    assert found_for(other) == []


def test_a_metric_of_somebody_elses_is_not_the_banks(subject, banked):
    """Under the same name as one of the bank's: what it measures nobody here knows."""
    own = claims()[0]
    unclaimed = next(m for _, m in metrics() if all(m is not claim.metric for claim in claims()))
    other = replace(own, metric=replace(own.metric))
    assert found_for(subject, [own])
    assert found_for(subject, [own, other]) == []
    assert found_for(subject, [own, unclaimed > 0]) == []


def test_the_controls_ablate_few_images_and_their_figures_are_not_those_of_more(subject, cache, monkeypatch):
    """Both parts of the same maps, one after the other through the same cache."""
    work = _Work(subject, cache, unwatched)
    read = work.maps(subject, subject.ablated())
    found = []
    for most in (20, 5):
        monkeypatch.setattr(controls, "CONTROL_ABLATIONS", most)
        images, ablated = chosen_images(subject)
        assert len(ablated) == most
        found.append(
            work.control(read.maps.take(images, ablated), read, claims()).figures["modes.share"]["n"]
        )
    assert found == [20, 5]


def test_references_of_the_bank_are_those_measured(banked, cache, subject):
    read = bank.read_bank(banked).references
    measured = measured_references(subject, 1, cache)
    assert [one.name for one in read] == [one.name for one in measured] == ["zero", "last layer"]
    assert all(one.figures == other.figures for one, other in zip(read, measured, strict=True))
    np.testing.assert_allclose(
        read[1].parts["boundaries.gradient"], measured[1].parts["boundaries.gradient"], rtol=1e-6
    )
    another = measured_references(subject, 2, cache)
    assert read[1].figures != another[1].figures, "any seed's would do"


def test_more_twins_than_the_bank_has_are_drawn(subject, cache, banked):
    more = replace(subject, options=replace(OPTIONS, controls=4))
    controls = analyse(more, cache).record.measurements["controls"]
    assert (controls["source"], len(controls["twins"])) == ("drawn", 4)


def test_a_twin_of_the_bank_is_not_compared_with_itself(subject, banked, twins):
    itself = replace(subject, model=replace(subject.model, sha256=twins[1].sha256))
    assert [t.seed for t in found_for(itself)] == [1, 3]


def test_the_bank_keeps_what_comparisons_need(subject, banked, twins):
    """Answers, ranges and intervals from the file are those from the measured twins."""
    read = bank.read_bank(banked).twins
    units = Units.of(None, len(chosen_images(subject)[0]))
    for claim in claims():
        name = claim.metric.name
        fresh, kept = (compared(claim, twins[0], [*some, *some], units) for some in (twins[1:], read[1:]))
        assert kept.attributed == fresh.attributed
        if fresh.twin:
            np.testing.assert_allclose(kept.twin["range"], fresh.twin["range"], rtol=1e-6)
            np.testing.assert_allclose(kept.difference["ci95"], fresh.difference["ci95"], rtol=1e-5)
        if claim.metric.estimator.cross_validated:  # whole numbers, so nothing is rounded
            np.testing.assert_array_equal(read[0].parts[name], twins[0].parts[name])


@pytest.mark.parametrize("damage", ["cut", "about", "rows"])
def test_a_damaged_bank_is_refused_in_one_line(subject, banked, damage):
    if damage == "cut":
        banked.write_bytes(banked.read_bytes()[:200])
    else:
        arrays = npz.read(banked)
        if damage == "about":
            arrays[bank.ABOUT] = np.array("{}")
        else:
            arrays["parts/boundaries/gradient"] = arrays["parts/boundaries/gradient"][:1]
        npz.write(banked, arrays)
    with pytest.raises(InputError, match="install the suite again, or write it with: make bank") as caught:
        found_for(subject)
    assert "\n" not in str(caught.value)


def test_quick_verdicts_are_told_one_by_one_before_the_probes(subject, banked, tmp_path, monkeypatch):
    cache, told, slow = MapsCache(tmp_path / "cache"), [], []
    cross_validated = readout.cross_validated

    def probes(features, labels, *rest, **how):
        slow.append([verdict.claim for verdicts in told for verdict in verdicts])
        return cross_validated(features, labels, *rest, **how)

    monkeypatch.setattr(readout, "cross_validated", probes)
    record = analyse(subject, cache, tell=told.append).record
    quick = [v.claim for v in record.verdicts if v.question in ("q1", "q2", "q3", "q6")]
    assert [verdict.claim for verdicts in told for verdict in verdicts] == quick
    assert len(told) > 2
    assert quick in slow  # the subject's own, whatever the controls did meanwhile
    same = {v.claim: (v.verdict, v.value) for v in record.verdicts}
    assert all(same[v.claim] == (v.verdict, v.value) for verdicts in told for v in verdicts)
    told.clear()
    analyse(subject, cache, tell=told.append)
    assert told == []  # nothing was new


def test_what_fails_meanwhile_fails_the_analysis(subject, banked, tmp_path, monkeypatch):
    def fail(*_):
        raise InputError("the controls cannot be measured")

    monkeypatch.setattr(_Work, "control", fail)
    with pytest.raises(InputError, match="controls cannot"):
        analyse(subject, MapsCache(tmp_path / "cache"))


def test_figures_for_few_claims_are_not_those_for_all(subject, cache):
    """Of one claim the controls fit no probe; through the same cache all claims then have theirs."""
    work = _Work(subject, cache, unwatched)
    read = work.maps(subject, subject.ablated())
    images, ablated = chosen_images(subject)
    part, spatial = read.maps.take(images, ablated), claims()[:1]
    assert work.control(part, read, spatial).figures.keys() == {spatial[0].metric.name}
    figures = work.control(part, read, claims()).figures
    assert all(figures[claim.metric.name]["value"] is not None for claim in claims())

"""References: what is fitted is fitted right; only what is beyond all of them is called the training's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geolip_theorems import measure
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.data.sources import load_images
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import extract_patches, read_config
from geolip_theorems.model.references import with_fitted_last_layer
from geolip_theorems.model.sources import load_model, random_twin
from geolip_theorems.run.options import RunOptions
from geolip_theorems.run.references import LAST_LAYER, MATCHED, REFERENCES, fitting_images, reference_subject
from geolip_theorems.run.subject import live_subject
from geolip_theorems.stats.attribution import Beside, beside, beyond_all
from tests.signals import ConvAutoencoder

GOLDEN = Path(__file__).parents[1] / "data" / "svae_d4.pt"


@pytest.fixture(scope="module")
def model():
    return load_model(str(GOLDEN))[0]


@pytest.fixture(scope="module")
def images():
    return load_images("scenes", image_size=16, max_images=120)


def test_the_last_layer_is_numpys_least_squares(model, images):
    twin, pixels = random_twin(model.config, 3), images.tensor(0, 60)
    fitted = with_fitted_last_layer(twin, pixels)
    seen = []
    hook = twin.dec_out.register_forward_hook(lambda layer, x, y: seen.append(x[0]))
    twin(pixels)
    hook.remove()
    hidden = seen[0].double().numpy().reshape(-1, twin.config.hidden)
    target = extract_patches(pixels, twin.patch_size).double().numpy().reshape(len(hidden), -1)
    solution = np.linalg.lstsq(np.c_[hidden, np.ones(len(hidden))], target, rcond=None)[0]
    best = np.square(np.c_[hidden, np.ones(len(hidden))] @ solution - target).mean()
    error = float((fitted(pixels)["recon"] - pixels).square().mean())
    assert error == pytest.approx(best, rel=0.02)
    assert error < 0.5 * float((twin(pixels)["recon"] - pixels).square().mean())
    kept = {name for name, w in fitted.state_dict().items() if torch.equal(w, twin.state_dict()[name])}
    changed = set(twin.state_dict()) - kept
    assert {name for name in changed if not name.startswith("boundary_smooth")} == {
        "dec_out.weight",
        "dec_out.bias",
    }


def test_a_decoder_that_ends_otherwise_has_no_such_fit(images):
    config = read_config(
        {"model_type": "aleph", "V": 8, "D": 4, "patch_size": 4, "hidden": 16, "decode_mode": "dict"}
    )
    assert with_fitted_last_layer(random_twin(config, 1), images.tensor(0, 8)) is None


def test_references_have_the_subjects_error_and_never_see_its_images(model, images):
    subject = live_subject(model, images, RunOptions(controls=3), "m")
    chosen, pixels = np.arange(0, 56), images.tensor(0, 56)
    mse = 0.003
    fitted_on = fitting_images(subject, chosen).tensor()
    assert len(fitted_on) == 64
    assert not any(torch.equal(one, other) for one in fitted_on for other in pixels)
    for reference in REFERENCES:
        other = reference_subject(reference, subject, chosen, mse, 5)
        assert len(other.images) == 56
        error = float((other.model.model(pixels)["recon"] - pixels).square().mean())
        if reference.name in MATCHED:
            assert 0.5 < error / mse < 2, reference.name
        if reference.name == "zero":
            assert error == pytest.approx(float(pixels.square().mean()))


def test_what_cannot_be_made_says_why():
    images = from_arrays(
        np.random.default_rng(0).integers(0, 256, (70, 8, 8, 3)).astype(np.uint8), name="a", channels=3
    )
    subject = live_subject(ConvAutoencoder().eval(), images, RunOptions(controls=3), "m")
    named = {reference.name: reference for reference in REFERENCES}
    for name, why in ((LAST_LAYER, "no twins"), ("blur", "mse=5")):
        with pytest.raises(InputError, match=why):
            reference_subject(named[name], subject, np.arange(6), 5.0, 5)
    assert reference_subject(named["zero"], subject, np.arange(6), 5.0, 5) is not None
    for controls, said in ((3, ["No random-weight twins"]), (0, [])):
        notes = measure(subject.model.model, images, controls=controls, ablation_images=0).notes
        found = [n["text"].partition(":")[0] for n in notes if not n["questions"]]
        assert found == said


ARRAYS = np.random.default_rng(0).standard_normal((3, 1, 200))


@pytest.mark.parametrize(("lead", "comparison", "answer"), [
    (1.0, ">", True), (-1.0, ">", False), (0.0, ">", None), (1.0, "<", False), (-1.0, "<", True),
])  # fmt: skip
def test_a_reference_is_beaten_where_the_paired_interval_says_so(lead, comparison, answer):
    own, other = ARRAYS[0] + lead, ARRAYS[0] + 0.1 * ARRAYS[1]
    figures = [{"value": float(x.mean()), "ci95": [-9.0, 9.0]} for x in (own, other)]
    found = beside("r", *figures, comparison, own=own, other=other)
    assert found.beyond is answer
    assert found.difference == pytest.approx(own.mean() - other.mean())
    assert found.ci95[0] < found.difference < found.ci95[1]


def test_without_arrays_intervals_are_joined_and_without_a_figure_there_is_nothing():
    one, two = {"value": 1.0, "ci95": [0.5, 1.5]}, {"value": 0.2, "ci95": [-0.1, 0.5]}
    assert beside("r", one, two, ">").ci95 == pytest.approx(
        [0.8 - np.hypot(0.5, 0.3), 0.8 + np.hypot(0.5, 0.3)]
    )
    assert beside("r", one, {}, ">") is None


def verdicts(**answers):
    return [Beside(name, 0.0, 0.0, [0.0, 0.0], answer) for name, answer in answers.items()]


@pytest.mark.parametrize(("twins", "answers", "whole"), [
    (True, {"zero": True, "pca": True, "last layer": True}, True),
    (True, {"pca": True, "last layer": True}, True),
    (None, {"pca": True, "last layer": True}, None),
    (True, {"pca": True, "last layer": False}, False),
    (False, {"pca": True, "last layer": True}, False),
    (True, {"zero": True, "last layer": True}, None),  # no codec of the same error
    (True, {"pca": True}, None),  # no fit of a last layer
])  # fmt: skip
def test_training_is_what_nothing_else_gives(twins, answers, whole):
    assert beyond_all(twins, verdicts(**answers), (MATCHED, (LAST_LAYER,))) is whole


def test_a_run_has_them_beside_every_claim(model, images):
    """The subjects are controls: an untrained network, and one whose last layer alone is fitted."""
    subjects = [random_twin(model.config, 9)]
    subjects.append(with_fitted_last_layer(subjects[0], images.tensor(0, 60)))
    for subject, codecs in zip(subjects, ((), MATCHED), strict=True):
        record = measure(subject, images, controls=3, ablation_images=8)
        kept = record.measurements["controls"]["references"]
        assert [one["name"] for one in kept] == [reference.name for reference in REFERENCES]
        assert "" not in {one["missing"] for one in kept if one["name"] not in (*codecs, "zero", LAST_LAYER)}
        assert {one["name"]: one["missing"] for one in kept if one["missing"]}.keys() == {*MATCHED} - {
            *codecs
        }
        by_claim = {verdict.claim: verdict for verdict in record.verdicts}
        assert {one["name"] for one in by_claim["gradient"].references} == {"zero", LAST_LAYER, *codecs}
        assert "zero" not in {one["name"] for one in by_claim["mode_share"].references}
        assert [verdict.claim for verdict in record.verdicts if verdict.training] == []

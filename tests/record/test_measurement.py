"""``measure``: a live model and arrays give the record of the command line."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import geolip_theorems
from geolip_theorems import load_model, measure
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import extract_patches
from geolip_theorems.model.sources import LoadedModel
from geolip_theorems.questions.boundaries import gradient_correlation
from geolip_theorems.run import subject
from geolip_theorems.run.analyse import analyse
from geolip_theorems.run.subject import RunOptions, open_subject
from geolip_theorems.run.verdicts import adjust

GOLDEN = str(Path(__file__).parents[1] / "data" / "svae_d4.pt")


@pytest.fixture
def model():
    return load_model(GOLDEN)[0]


def pixels(n=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), np.uint8)


def test_the_record_is_the_command_lines(model, tmp_path):
    options = RunOptions(max_images=40, ablation_images=8, controls=0, offline=True)
    subject = open_subject(GOLDEN, "scenes", options)
    wanted = analyse(subject, MapsCache(tmp_path)).record
    adjust([wanted])
    images = load_images("scenes", image_size=16, max_images=40)
    found = measure(model, images, ablation_images=8)
    assert found.measurements == wanted.measurements
    assert found.verdicts == wanted.verdicts


def test_arrays_of_both_kinds_are_taken(model):
    as_bytes = measure(model, pixels(), ablation_images=4)
    floats = torch.from_numpy(pixels()).permute(0, 3, 1, 2).float() / 255
    as_floats = measure(model, floats, ablation_images=4)
    assert as_bytes.measurements == as_floats.measurements
    assert {v.verdict for v in as_bytes.verdicts if v.question in ("q2", "q4", "q5")} == {"not measured"}


class Halves(nn.Module):
    """A module of its own that gives half of what it sees; 3 channels unless it says otherwise."""

    patch_size = 4

    def forward(self, images):
        patches = extract_patches(images, 4).unflatten(-1, (4 * images.shape[1], 4))
        U, S, Vt = torch.linalg.svd(patches, full_matrices=False)
        return {"recon": images / 2, "svd": {"U": U, "S": S, "Vt": Vt}}


def halves(channels):
    model = Halves()
    model.channels = channels
    return model


def coloured(channels, n=40):
    return np.random.default_rng(1).integers(0, 256, (n, 16, 16, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_models_of_other_channels_are_measured(channels):
    as_bytes = coloured(channels)
    found = measure(halves(channels), as_bytes, np.arange(40) % 2)
    assert found.measurements["calibrated"]["boundaries"]["gradient"]["n"] == 40
    assert found.dataset["preprocessing"] == "totensor"
    as_floats = torch.from_numpy(as_bytes).permute(0, 3, 1, 2).float() / 255
    assert measure(halves(channels), as_floats, np.arange(40) % 2).measurements == found.measurements
    again = measure(halves(channels), coloured(channels) // 2, np.arange(40) % 2)
    assert again.measurements != found.measurements


def test_bytes_are_shown_in_the_models_channels():
    grey = measure(halves(1), pixels())
    assert grey.dataset["preprocessing"] == "totensor+luma"
    repeated = measure(Halves(), coloured(1))
    assert repeated.dataset["preprocessing"] == "totensor+repeat3"
    assert repeated.measurements == measure(Halves(), coloured(1).repeat(3, axis=3)).measurements


@pytest.mark.parametrize(
    ("channels", "images", "says"),
    [
        (
            1,
            from_arrays(pixels(4)),
            "have 3 channels, the model takes 1 channel; open .* channels=1, or set the",
        ),
        (1, torch.zeros(4, 3, 16, 16), r"the model takes 1 channel; give \(N, 1, H, W\), or set the"),
        (5, pixels(4), "have 3 channels; the model takes 5 channels: give an .npz"),
        (0, pixels(4), "the model's channels is '0'; expected the number of channels"),
        (True, pixels(4), "the model's channels is 'True'"),
        ((1, 2), pixels(4), r"the model's channels is '\(1, 2\)'"),
    ],
)
def test_channels_that_do_not_fit_are_one_line(channels, images, says):
    with pytest.raises(InputError, match=says) as caught:
        measure(halves(channels), images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 5])
def test_an_image_set_is_opened_in_the_models_channels(channels, monkeypatch):
    def opened(name, **options):
        return LoadedModel(halves(channels), name, "a test", "0" * 64, "builtin", {"img_size": 16}, "0.5/0.5")

    monkeypatch.setattr(subject, "open_model", opened)
    options = RunOptions(max_images=32, offline=True)
    assert open_subject("halves", "noise", options).images.tensor().shape == (32, channels, 16, 16)
    if channels == 1:
        images = open_subject("halves", "digits", options).images
        assert images.preprocessing == "resize16+totensor+luma+normalize(0.5/0.5)"
        return
    with pytest.raises(InputError, match="digits: the images have 3 channels; the model takes 5"):
        open_subject("halves", "digits", options)


def test_the_model_is_left_as_it_was(model):
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    measure(model, pixels(8), ablation_images=2)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_twins_can_be_asked_for_and_a_terminal_shows_them_counted(model, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    record = measure(model, pixels(), ablation_images=4, controls=3)
    shown = sys.stderr.getvalue()
    assert all(part in shown for part in ("extracting model-arrays", "/40 [", "random-weight twins", "/4 ["))
    assert len(record.measurements["controls"]["twins"]) == 3
    about = {verdict.claim: verdict.attribution for verdict in record.verdicts}
    assert about["spatial_cv"]["twin"]["n"] == 3
    for claim in ("spatial_cv", "gradient"):
        assert "paired over images" in about[claim]["difference"]["method"]


def test_what_would_decide_counts_groups_where_images_depend_on_each_other(model):
    def verdict(groups, threshold):
        claims = [gradient_correlation > threshold]
        return measure(model, pixels(), groups=groups, ablation_images=0, claims=claims).verdicts[0]

    for groups, words in ((np.arange(40) // 4, "groups of images ("), (None, "images would")):
        first = verdict(groups, 0.0)
        again = verdict(groups, (first.value + first.ci95[0]) / 2)
        assert again.verdict == "inconclusive"
        assert words in again.reason
        assert ("groups" in again.reason) == (groups is not None)
        assert again.n_to_decide > 40


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_notebook_shows_progress_and_clears_it(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    measure(model, pixels(), ablation_images=0, claims=[], show_progress=False)
    assert capsys.readouterr().err == ""
    measure(model, pixels(), ablation_images=0, claims=[])
    shown = capsys.readouterr().err
    assert "extracting model-arrays:   0%" in shown
    assert "measuring" in shown
    assert shown.endswith(" \r")


def test_progress_shows_nothing_in_a_pipe(model, capsys):
    measure(model, pixels(), ablation_images=0, claims=[])
    assert capsys.readouterr().err == ""


def test_two_twins_show_nothing(model):
    verdict = measure(model, pixels(), ablation_images=4, controls=2).verdicts[0]
    assert verdict.attributed is None
    assert "at least 3 are needed" in verdict.attribution["reason"]


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (np.zeros((4, 16, 16)), None, r"\(4, 16, 16\);.* images\[:, None\]"),
        (np.zeros((4, 16, 16), np.uint8), None, r"images\[\.\.\., None\]"),
        (np.zeros((4, 16, 16, 1)), None, r"channels second"),
        (torch.full((4, 3, 16, 16), torch.nan), None, "NaN"),
        (pixels(4), np.zeros(4, int), "one class"),
        (pixels(4), np.arange(4), "at least 2"),
        (pixels(4), np.arange(3), "labels"),
        (np.zeros((4, 15, 16, 3), np.uint8), None, "not a multiple"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_arrays_are_one_line(model, images, labels, says):
    with pytest.raises(InputError, match=says) as caught:
        measure(model, images, labels)
    assert "\n" not in str(caught.value)


def test_bad_models_are_one_line(model):
    with pytest.raises(InputError, match="no patch_size"):
        measure(torch.nn.Linear(1, 1), pixels(4))
    model.dec_out.bias.data[0] = torch.nan
    with pytest.raises(InputError, match=r"dec_out\.bias has non-finite values"):
        measure(model, pixels(4))


def test_the_package_names_are_public():
    assert set(geolip_theorems.__all__) == {
        "PatchSVAE",
        "claim",
        "load_model",
        "measure",
        "metric",
        "read_records",
    }
    with pytest.raises(AttributeError) as caught:
        _ = geolip_theorems.mesure
    assert (caught.value.name, caught.value.obj) == ("mesure", geolip_theorems), "Python suggests from these"
    assert "measure" in dir(geolip_theorems)


def test_constant_images_are_measured(model):
    """Every feature is the same for every image: nothing is told, and nothing breaks."""
    found = measure(model, np.full((40, 64, 64, 3), 128, np.uint8), np.arange(40) % 4, ablation_images=8)
    assert not [verdict.claim for verdict in found.verdicts if verdict.verdict == "holds"]

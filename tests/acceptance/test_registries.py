"""A signal, an image source, a backend and an architecture, each in a file, are where the suite's own are."""

import json
import re
import runpy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from geolip_theorems.cli import main
from geolip_theorems.conduit import conduit, conduit_from_svd
from geolip_theorems.conduit.backends import BACKENDS, warn_once
from geolip_theorems.data.sources import load_images, names
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.sources import open_model
from geolip_theorems.probes.signals import LIFTS
from geolip_theorems.questions.readout.measure import OVER_CHANCE, probe_accuracies
from geolip_theorems.results import companion
from geolip_theorems.run.options import SUBJECT_OPTIONS

from ..make import random_maps
from .conftest import HERE, ROOT

Q4 = ROOT / "theorems" / "theorem3_release_fidelity" / "test_q4_release_probe.py"
CONFIG = {"model_type": "linear", "V": 8, "D": 3, "patch_size": 8, "img_size": 32}


def enter(name):
    """Run a toy's file, as a conftest.py or a plugin would be."""
    runpy.run_path(str(HERE / f"{name}.py"))


@pytest.fixture(scope="module")
def weights():
    """Of the linear architecture: a matrix and its transpose, so that something of an image comes back."""
    matrix = torch.linalg.qr(torch.randn(192, 24, generator=torch.Generator().manual_seed(0)))[0]
    zeros = {"there.bias": torch.zeros(24), "back.bias": torch.zeros(192)}
    there, back = (part.clone(memory_format=torch.contiguous_format) for part in (matrix.T, matrix))
    return {"there.weight": there, "back.weight": back, **zeros}


@pytest.fixture(scope="module")
def checkpoint(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "lines.pt"
    torch.save({"config": CONFIG, "model_state_dict": weights}, path)
    return path


@pytest.fixture(scope="module")
def run(suite, checkpoint, tmp_path_factory):
    """Question 4 of the linear model on shades of grey, brightness among the signals."""
    plugins = [f"-ptests.acceptance.{name}" for name in ("brightness", "shades", "linear")]
    folder = tmp_path_factory.mktemp("run")
    return suite(*plugins, Q4, "--controls", 1, folder=folder, model=checkpoint, dataset="shades")


def test_a_source_is_opened_by_its_name(run):
    assert (run.subject["id"], run.subject["dataset"]["source"]) == (
        "lines-shades",
        "64 images of grain, dark or bright",
    )
    assert run.subject["dataset"]["n_images"] == 60, run.text
    assert run.subject["dataset"]["classes"] == ["dark", "bright"]


def test_an_architecture_is_read_measured_and_has_twins(run, weights, own_registry):
    model = run.subject["model"]
    assert (model["implementation"], model["config"]["model_type"]) == ("builtin", "linear")
    enter("shades")
    pixels = load_images("shades", image_size=32, max_images=60).tensor().numpy()
    patches = pixels.reshape(60, 3, 4, 8, 4, 8).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 192)
    matrix = weights["back.weight"].numpy()
    error = np.square(patches - patches @ matrix @ matrix.T).mean()
    assert run.subject["measurements"]["calibrated"]["error"]["value"] == pytest.approx(error, rel=1e-5)
    assert len(run.subject["measurements"]["controls"]["twins"]) == 1


def test_an_architecture_nobody_registered_is_refused(checkpoint):
    with pytest.raises(InputError, match="model_type is 'linear', and the built-in models read 'v1' and"):
        open_model(str(checkpoint), implementation="builtin")


def test_a_signal_is_probed_and_kept(run):
    calibrated = run.subject["measurements"]["calibrated"]
    figure = calibrated["probes"]["brightness"]
    assert figure["value"] > 0.95, "brightness is the class"
    assert figure["ci95"][0] > calibrated["probes"]["chance"]
    hits = companion.of_subject(run.subject, run.results.parent)["per_image/hits/brightness"]
    assert hits.mean() == pytest.approx(figure["value"])
    assert set(calibrated["lifts"]) == {*LIFTS, OVER_CHANCE}, "the lifts' intervals do not depend on it"


def test_a_signal_is_in_the_terminal_and_in_the_reports_figures(run):
    value = run.subject["measurements"]["calibrated"]["probes"]["brightness"]["value"]
    (row,) = (line for line in run.text.splitlines() if line.strip().startswith("brightness"))
    assert f"{100 * value:.1f} %" in row
    html = (run.folder / "report" / "report.html").read_text(encoding="utf-8")
    section = re.search(r'<section id="q4".*?</section>', html, re.S).group(0)
    assert "brightness" in re.search(r"<h\d[^>]*>Accuracy of the probes.*?</figure>", section, re.S).group(0)
    assert "R release, E eigenvalues, F friction, B brightness." in section
    assert "Cannot draw" not in html


def test_a_signal_nobody_registered_is_not_probed(own_registry):
    maps = random_maps(40, 2, 2, 2, 2)
    how = {"repeats": 1}
    without, _, _ = probe_accuracies(maps, maps.labels, **how)
    enter("brightness")
    figures, _, hits = probe_accuracies(maps, maps.labels, **how)
    assert set(figures) - set(without) == {"brightness"}
    assert hits["brightness"].shape == (1, 40)
    maps.input_mean = None
    assert "brightness" not in probe_accuracies(maps, maps.labels, **how)[0]


def test_a_source_is_in_lists_and_errors(own_registry, capsys):
    with pytest.raises(InputError, match="unknown dataset 'shades'"):
        load_images("shades")
    enter("shades")
    with pytest.raises(InputError, match="did you mean 'shades'"):
        load_images("shade")
    with pytest.raises(InputError, match="the images have 3 channels; the model takes 5"):
        load_images("shades", channels=5)
    main(["datasets", "--json"])
    assert {
        "name": "shades",
        "kind": "known",
        "about": "grain on a dark or on a bright ground",
    } in json.loads(capsys.readouterr().out)


def test_the_help_names_every_source():
    assert set(names()) <= set(re.findall(r"\w+", SUBJECT_OPTIONS["--dataset"]["help"]))


def test_sources_are_listed_without_torch():
    code = "import sys; from geolip_theorems.cli import main; main(['datasets']); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.fixture
def grams():
    """(5, 4, 4), with Vt and S whose Gram matrices they are."""
    Vt = torch.linalg.qr(torch.randn(5, 4, 4, generator=torch.Generator().manual_seed(0)))[0]
    S = torch.tensor([4.0, 3.0, 2.0, 1.0]).expand(5, 4)
    return Vt.mT @ (S.square()[..., None] * Vt), Vt, S


def test_a_backend_solves(own_registry, grams):
    A, Vt, S = grams
    with pytest.raises(InputError, match="unknown conduit backend 'eigh'"):
        conduit(A, backend="eigh")
    enter("eigh")
    packet = conduit(A, backend="eigh")
    np.testing.assert_allclose(packet.eigenvalues, [[1, 4, 9, 16]] * 5, rtol=1e-5)
    assert (packet.friction == 1).all()
    assert (conduit_from_svd(Vt, S, "eigh")[0] == 1).all()
    assert not (conduit_from_svd(Vt, S, "torch")[0] == 1).any(), "the control"
    damaged = A.clone()
    damaged[3, 0, 1] += 1
    with pytest.raises(InputError, match=r"A\[3\] is not symmetric"):
        conduit(damaged, backend="eigh")
    with pytest.raises(InputError, match="did you mean 'eigh'"):
        conduit(A, backend="eihg")


def test_torch_takes_over_from_a_backend_that_cannot(own_registry, grams):
    enter("eigh")
    BACKENDS.add(replace(BACKENDS["eigh"], usable=lambda device: False))
    warn_once.cache_clear()
    with pytest.warns(UserWarning, match="eigh is not available for cpu tensors; using torch"):
        friction = conduit(grams[0], backend="eigh").friction
    assert torch.equal(friction, conduit(grams[0], backend="torch").friction)

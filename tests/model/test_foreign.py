"""Models that the original package reads: only after our own reader, and only if it is there."""

import importlib
import os
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from geolip_theorems import measure
from geolip_theorems.io.errors import InputError
from geolip_theorems.model import hub
from geolip_theorems.model.architectures import PatchSVAE
from geolip_theorems.model.foreign import INSTALL
from geolip_theorems.model.sources import open_model
from geolip_theorems.model.writing import save_safetensors

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"

# A stand-in with the original's interface: reads any pickle, and its version 2 is another architecture.
PACKAGE = """
import torch
from torch import nn

class Other(nn.Module):
    patch_size = 4

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, images):
        b, c, h, w = images.shape
        p = images.reshape(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, 12, 4)
        U, S, Vt = torch.linalg.svd(p, full_matrices=False)
        return {"recon": images * self.gain, "svd": {"U": U, "S": S, "Vt": Vt}}

def load_model(checkpoint_path, device):
    content = torch.load(checkpoint_path, weights_only=False)
    model = Other()
    model.load_state_dict(content["model_state_dict"])
    return model, content["config"]
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package geolip_svae that can be imported."""
    (tmp_path / "packages" / "geolip_svae").mkdir(parents=True)
    (tmp_path / "packages" / "geolip_svae" / "__init__.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delitem(sys.modules, "geolip_svae", raising=False)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("geolip_svae", None)


def version_2(tmp_path, **extra):
    path = tmp_path / "second.pt"
    weights = {"gain": torch.tensor(0.5)}
    torch.save({"model_state_dict": weights, "config": {"model_type": "v2", "img_size": 16}, **extra}, path)
    return path


def test_auto_gives_other_architectures_to_the_original_package(tmp_path, stand_in):
    loaded = open_model(str(version_2(tmp_path)))
    assert loaded.implementation == "geolip"
    assert type(loaded.model).__module__ == "geolip_svae"
    record = measure(loaded.model, np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8))
    verdicts = {v.claim: v for v in record.verdicts}
    assert verdicts["spatial_cv"].verdict in ("holds", "fails", "inconclusive")
    assert verdicts["mode_share"].verdict == "not measured"  # its decoder cannot be run apart
    assert verdicts["spatial_cv"].attributed is None  # and it has no twins


def test_version_1_stays_with_the_built_in_model(stand_in):
    assert open_model(str(DATA / "svae_d4.pt")).implementation == "builtin"


def test_a_hostile_file_never_reaches_the_original_package(tmp_path, stand_in):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = version_2(tmp_path, extra=Bomb())
    with pytest.raises(InputError, match="reading it would run code"):
        open_model(str(path), implementation="geolip")
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)  # the stand-in's way
    assert (tmp_path / "ran").exists()


def test_a_name_in_a_file_does_not_choose_what_is_said_of_it(tmp_path, monkeypatch):
    """Whatever it is called, code that a file names is told as code, not as damage."""
    module = types.ModuleType("damaged")

    class Thing:
        pass

    Thing.__module__, Thing.__qualname__, module.Thing = "damaged", "Thing", Thing
    monkeypatch.setitem(sys.modules, "damaged", module)
    torch.save({"model_state_dict": {}, "config": {}, "extra": Thing}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="reading it would run code"):
        open_model(str(tmp_path / "model.pt"))


V1 = {"V": 12, "D": 4, "patch_size": 4, "hidden": 24, "depth": 1, "n_cross_layers": 1, "img_size": 16}
SAID = {"channels": 3, "activation": "gelu", "activations": {"dec_in": "gelu"}, "row_norm": "sphere"}
SAID = {**SAID, "linear_readout_power": 1, "linear_readout": False, "svd_mode": "default"}


def version_1(tmp_path, *, state="model_state_dict", name="first.pt", **config):
    path = tmp_path / name
    torch.save({state: {"gain": torch.tensor(0.5)}, "config": {**V1, **config}}, path)
    return path


def refused(path) -> str:
    with pytest.raises(InputError) as caught:
        open_model(str(path), implementation="geolip")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("config", [{}, SAID, dict.fromkeys(SAID)], ids=["absent", "said", "null"])
def test_defaults_are_no_reason_to_refuse(tmp_path, stand_in, config):
    assert open_model(str(version_1(tmp_path, **config)), implementation="geolip").implementation == "geolip"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("channels", 1),
        ("activation", "relu"),
        ("activations", {"dec_in": "gelu", "enc_block_inner": "mish"}),
        ("activations", "relu"),
        ("row_norm", "layernorm"),
        ("svd_mode", "batch_shared"),
        ("linear_readout", True),
    ],
)
def test_a_key_that_the_original_leaves_out_is_refused_by_name(tmp_path, stand_in, key, value):
    said = refused(version_1(tmp_path, **{key: value}))
    assert key in said
    assert repr(value) in said


def test_an_aleph_that_becomes_another_model_is_refused(tmp_path, stand_in):
    import geolip_svae

    path = version_1(tmp_path, model_type="aleph", address="none", decode_mode="mlp")
    assert "leaves out model_type='aleph'" in refused(path)
    geolip_svae.Other.decode_mode = "mlp"
    assert open_model(str(path), implementation="geolip").implementation == "geolip"


def test_a_version_that_passes_a_key_on_is_trusted_with_it(tmp_path, stand_in):
    import geolip_svae

    path = version_1(tmp_path, svd_mode="fp32")
    assert "svd_mode='fp32'" in refused(path)
    geolip_svae.Other.svd_mode = "fp32"
    assert open_model(str(path), implementation="geolip").implementation == "geolip"


def test_our_reader_checks_the_config_first(tmp_path, monkeypatch):
    monkeypatch.setattr("geolip_theorems.model.foreign.installed", lambda _: False)
    assert "hidden=-1" in refused(version_1(tmp_path, hidden=-1))
    assert "row_norm='none'" in refused(version_1(tmp_path, row_norm="none"))


def test_layouts_that_the_original_does_not_read_are_named(tmp_path, stand_in):
    assert "its layout is model_state," in refused(version_1(tmp_path, state="model_state"))
    twin = open_model(f"random:{DATA / 'svae_d4.pt'}").model
    torch.save(twin.state_dict(), tmp_path / "bare.pt")
    save_safetensors(tmp_path / "whole.safetensors", twin, {})
    assert "its layout is bare state dict" in refused(tmp_path / "bare.pt")
    assert "its layout is safetensors" in refused(tmp_path / "whole.safetensors")


def test_the_install_is_pinned_and_stays_out_of_the_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pinned = project["dependency-groups"]["geolip"]
    assert {line.split(" @ ")[0] for line in pinned} == {"geolip-core", "geolip-svae"}
    assert all(re.search(r"\.git@[0-9a-f]{40}$", line) for line in pinned)
    extras = project["project"]["optional-dependencies"]
    published = [*project["project"]["dependencies"], *(line for lines in extras.values() for line in lines)]
    assert not [line for line in published if "@" in line]
    assert "hatch" not in project["tool"] or "metadata" not in project["tool"]["hatch"]
    assert f"$ {INSTALL.split(' (')[0]}\n" in (ROOT / "README.md").read_text()


def test_without_the_package_the_message_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr("geolip_theorems.model.foreign.installed", lambda _: False)
    with pytest.raises(InputError, match=r"needs the geolip-svae package; install it with pip install"):
        open_model(str(DATA / "svae_d4.pt"), implementation="geolip")


@pytest.mark.skipif(
    not hub.installed("geolip_svae"),
    reason="geolip-svae is not installed: pip install --no-deps --group geolip",
)
@pytest.mark.parametrize("case", ["svae_d4", "svae_d16"])
def test_the_original_and_the_built_in_model_agree(case):
    original = open_model(str(DATA / f"{case}.pt"), implementation="geolip")
    ours = open_model(str(DATA / f"{case}.pt"), implementation="builtin")
    assert not isinstance(original.model, PatchSVAE)
    assert original.sha256 == ours.sha256
    with np.load(DATA / f"{case}_io.npz") as io:
        images = torch.from_numpy(io["images"])
    torch.testing.assert_close(
        original.model(images)["recon"], ours.model(images)["recon"], rtol=0, atol=1e-5
    )

"""Models that the original package reads: only after our own reader, and only if it is there."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from geolip_theorems import measure
from geolip_theorems.errors import InputError
from geolip_theorems.model import hub
from geolip_theorems.model.patch_svae import PatchSVAE
from geolip_theorems.model.sources import open_model

DATA = Path(__file__).parents[1] / "data"

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

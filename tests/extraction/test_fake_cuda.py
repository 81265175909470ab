"""A tile on a CUDA device that is not there: devices, shapes, and how often the host waits."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from geolip_theorems.conduit import cuda_backend
from geolip_theorems.extraction.patch_maps import make_decoder, tile_maps
from geolip_theorems.model.architectures import PatchSVAE, SVAEConfig, fast_forward

IMAGES, SIDE, GRID = 5, 32, (8, 8)


@pytest.fixture
def tile(monkeypatch):
    """(maps of a tile, questions not asked, launches of the kernel), all of it fake."""
    # The host waits for two answers: whether a matrix failed in the kernel, and whether all is finite.
    answers, launches = [False, True], []
    # Only the kernel cannot run on fake tensors; it is given tensors of one device.
    devices = lambda kernel, *arrays: launches.append((kernel, {x.device.type for x in arrays}))  # noqa: E731
    monkeypatch.setattr(cuda_backend, "run", devices)
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: answers.pop(0))
    monkeypatch.setitem(sys.modules, "cuda.core", SimpleNamespace())

    def run(device="cuda"):
        with FakeTensorMode(), torch.inference_mode():
            with torch.device("cuda"):
                model = PatchSVAE(SVAEConfig(V=16, D=4, patch_size=4, hidden=32, depth=1, n_cross_layers=1))
            images = torch.rand(IMAGES, 3, SIDE, SIDE, device=device)
            forward, decoder = fast_forward(model), make_decoder(model, GRID)
            return tile_maps(forward, 4, images, np.arange(IMAGES) < 2, decoder), answers, launches

    return run


def test_a_tile_runs_on_cuda_and_comes_back(tile):
    maps, answers, launches = tile()
    assert {value.device.type for value in maps.values()} == {"cpu"}
    assert maps["error"].shape == (IMAGES, *GRID)
    assert maps["friction"].shape == (IMAGES, *GRID, 4)
    assert maps["error_only"].shape == maps["error_without"].shape == (2, *GRID, 4)
    assert not answers  # a third question would have found none
    assert launches == [("solve", {"cuda"}), ("telemetry", {"cuda"})]


def test_a_tensor_on_the_wrong_device_is_found(tile):
    """Negative control: the images left on the CPU."""
    with pytest.raises(RuntimeError, match="device"):
        tile("cpu")

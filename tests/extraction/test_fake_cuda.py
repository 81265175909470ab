"""A tile on a CUDA device that is not there: devices, shapes, and how often the host waits and copies."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from geolip_theorems.conduit import cuda_backend
from geolip_theorems.data.transforms import Transform, _order
from geolip_theorems.extraction import tiles
from geolip_theorems.extraction.patch_maps import make_decoder, tile_maps
from geolip_theorems.model.architectures import PatchSVAE, SVAEConfig, fast_forward

IMAGES, SIDE, GRID = 5, 32, (8, 8)
NO_LAUNCH = {
    "view",
    "_unsafe_view",
    "expand",
    "slice",
    "select",
    "permute",
    "transpose",
    "t",
    "unsqueeze",
    "detach",
}
NO_LAUNCH |= {
    "reshape",
    "alias",
    "unbind",
    "split",
    "split_with_sizes",
    "empty",
    "squeeze",
    "diagonal",
    "unfold",
}


class Operations(TorchDispatchMode):
    """Counts the operations; those that make a copy on the CPU by a name of their own."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, kwargs = function.name().split("::")[1].split(".")[0], kwargs or {}
        self.names["to the CPU" if kwargs.get("device") == torch.device("cpu") else name] += 1
        return function(*args, **kwargs)

    def launches(self) -> int:
        return sum(count for name, count in self.names.items() if name not in NO_LAUNCH)


@pytest.fixture
def tile(monkeypatch):
    """(maps of a tile, questions not asked, launches of the kernel, operations), all of it fake."""
    # The host waits for two answers: whether a matrix failed in the kernel, and whether all is finite.
    answers, launches = [], []

    # Only the kernel cannot run on fake tensors; it is given tensors of one device.
    def launch(kernel, *arrays):
        launches.append((kernel, {x.device.type for x in arrays}))

    monkeypatch.setattr(cuda_backend, "run", launch)
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: answers.pop(0))
    monkeypatch.setitem(sys.modules, "cuda.core", SimpleNamespace())

    def run(device="cuda", ablated=2):
        answers[:], launches[:] = [False, True], []
        with FakeTensorMode(), torch.inference_mode():
            with torch.device("cuda"):
                model = PatchSVAE(SVAEConfig(V=16, D=4, patch_size=4, hidden=32, depth=1, n_cross_layers=1))
            images = torch.rand(IMAGES, 3, SIDE, SIDE, device=device)
            forward, decoder = fast_forward(model), make_decoder(model, GRID)
            with Operations() as operations:
                maps = tile_maps(forward, 4, images, np.arange(IMAGES) < ablated, decoder)
        return maps, answers, launches, operations

    return run


def test_a_tile_runs_on_cuda_and_comes_back(tile):
    maps, answers, launches, _ = tile()
    assert {value.device.type for value in maps.values()} == {"cpu"}
    assert maps["error"].shape == (IMAGES, *GRID)
    assert maps["friction"].shape == (IMAGES, *GRID, 4)
    assert maps["error_only"].shape == maps["error_without"].shape == (2, *GRID, 4)
    assert not answers  # a third question would have found none
    assert launches == [("solve", {"cuda"}), ("telemetry", {"cuda"})]


def test_bytes_become_images_on_the_device(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)  # fake tensors cannot
    images = np.zeros((3, 20, 16, 3), np.uint8)
    _order(Transform(8), images.shape[1:])  # found on the CPU, with true images
    with FakeTensorMode():
        found = Transform(8).of_one_size(images, torch.device("cuda"))
    assert (found.device.type, found.dtype, found.shape) == ("cuda", torch.float32, (3, 3, 10, 8))


def test_all_maps_come_back_in_one_copy(tile):
    assert tile()[3].names["to the CPU"] == 1


def test_an_ablated_image_takes_few_launches(tile):
    """All its modes in one call of the decoder."""
    none, one, two = (tile(ablated=count)[3].launches() for count in (0, 1, 2))
    assert two - one <= 60
    assert none <= 250


def test_a_tensor_on_the_wrong_device_is_found(tile):
    """Negative control: the images left on the CPU."""
    with pytest.raises(RuntimeError, match="device"):
        tile("cpu")


@pytest.mark.parametrize(("device", "count"), [("cuda", 2), ("cpu", 1)])
def test_each_thread_has_a_stream_of_its_own(monkeypatch, device, count):
    """On a CPU there is none, the negative control."""
    seen, both = [], Barrier(2)

    def runner(start, stop):
        seen.append(current[0] if device == "cpu" else current[-1])
        both.wait()

    current = [None]

    @contextlib.contextmanager
    def stream(chosen):
        current.append(chosen)
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: SimpleNamespace(wait_stream=lambda other: None))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    runner.device, runner.model = torch.device(device), torch.nn.Identity()
    monkeypatch.setattr(tiles, "architecture_of", lambda model: True)
    threads = tiles.ThreadRunners(runner)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(threads, (0, 1), (1, 2)))
    assert len(set(map(id, seen))) == count

"""Extraction by several threads, processes and Ray workers: the same bits, and nothing lost when one dies."""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from geolip_theorems.data.imageset import ImageSet, from_arrays
from geolip_theorems.data.stores import ArrayStore, GeneratedStore
from geolip_theorems.extraction import tiles
from geolip_theorems.extraction.engines import (
    GET_RAY,
    _connected,
    import_ray,
    in_processes,
    on_ray,
    spread,
)
from geolip_theorems.extraction.extract import Extraction, extract
from geolip_theorems.extraction.shards import cut
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import SVAEConfig
from geolip_theorems.model.sources import random_twin

COUNT, SHARD = 43, 8  # the last shard and the last tile are short
ABLATED = np.array([3, 4, 30])
CONFIG = SVAEConfig(V=8, D=4, patch_size=4, hidden=16, depth=1, n_cross_layers=1)


class DeadlyStore(ArrayStore):
    """Kills its process the first time that certain images are asked for, and only then."""

    def __init__(self, images, mark: Path, at: int) -> None:
        super().__init__(images)
        self.mark, self.at = mark, at

    def tensor(self, index):
        if self.at in index and not self.mark.exists():
            self.mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().tensor(index)


@pytest.fixture(scope="module")
def model():
    return random_twin(CONFIG, 1)


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(COUNT, 3, 16, 24, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def images(pixels):
    return from_arrays(pixels)


def bytes_of(flow):
    """Each shard's arrays as bytes, by number."""
    return {shard.number: {name: a.tobytes() for name, a in arrays.items()} for shard, arrays in flow}


@pytest.fixture(scope="module")
def alone(model, images):
    """What one thread of this process computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return bytes_of(Extraction(model, images, ablated=ABLATED).run(cut(COUNT, SHARD)))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_show(model, images, alone, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = bytes_of(Extraction(model, images, ablated=ABLATED).run(cut(COUNT, SHARD)))
        assert torch.get_num_threads() == threads  # as it was
    finally:
        torch.set_num_threads(before)
    assert found == alone


@pytest.mark.parametrize("batch", [1, 8, 17, 1000])
def test_the_batch_does_not_show(model, images, alone, batch):
    assert bytes_of(Extraction(model, images, ablated=ABLATED, batch=batch).run(cut(COUNT, SHARD))) == alone


def test_the_order_of_shards_does_not_show(model, images, alone):
    shards = cut(COUNT, SHARD)
    found = bytes_of(Extraction(model, images, ablated=ABLATED).run([shards[4], shards[1]]))
    assert found == {4: alone[4], 1: alone[1]}


def test_without_workers_nothing_is_spread(model, images):
    extraction = Extraction(model, images)
    assert spread(extraction) is extraction
    assert extraction.engine is None
    assert spread(extraction, 2).engine.func is in_processes


def deadly(pixels, tmp_path):
    """An image set that kills the process that first asks for image 20."""
    mark = tmp_path / "dead"
    store = DeadlyStore(pixels.numpy(), mark, 20)
    return ImageSet("deadly", "a test", store, "as-given"), mark


def test_processes_give_the_same_bits_and_a_dead_one_is_replaced(model, pixels, alone, tmp_path):
    images, mark = deadly(pixels, tmp_path)
    said = []
    extraction = Extraction(model, images, ablated=ABLATED, say=said.append)
    found = bytes_of(in_processes(extraction, cut(COUNT, SHARD), 2))
    assert mark.exists()
    assert "a worker process died" in said[0]
    assert found == alone


def test_an_error_in_a_worker_process_is_one_line(model, pixels):
    broken = random_twin(CONFIG, 1)
    with torch.no_grad():
        broken.dec_out.bias.fill_(torch.inf)
    extraction = Extraction(broken, from_arrays(pixels), ablated=ABLATED)
    with pytest.raises(InputError, match="recon is not finite for image 0"):
        bytes_of(in_processes(extraction, cut(COUNT, SHARD), 1))


def test_what_cannot_be_sent_is_said(model, pixels):
    class Local(torch.nn.Module):
        patch_size = 4

    extraction = Extraction(Local(), from_arrays(pixels), ablated=[])
    with pytest.raises(InputError, match=r"cannot be sent to a worker.*--workers 0"):
        bytes_of(in_processes(extraction, cut(COUNT, SHARD), 1))


def test_ray_gives_the_same_bits_and_a_dead_worker_is_replaced(model, pixels, alone, tmp_path):
    pytest.importorskip("ray", reason=GET_RAY)
    images, mark = deadly(pixels, tmp_path)
    extraction = Extraction(model, images, ablated=ABLATED)
    found = bytes_of(on_ray(extraction, cut(COUNT, SHARD), 2, None))
    assert mark.exists()
    assert found == alone


class CallingStore(ArrayStore):
    """Has the process that asked called by a signal when it is read, then takes its time."""

    def __init__(self, images) -> None:
        super().__init__(images)
        self.caller = os.getpid()

    def tensor(self, index):
        os.kill(self.caller, signal.SIGTERM)
        time.sleep(5)
        return super().tensor(index)


def test_under_ray_an_error_is_one_line_and_a_signal_ends_it(model, pixels):
    pytest.importorskip("ray", reason=GET_RAY)
    broken = random_twin(CONFIG, 1)
    with torch.no_grad():
        broken.dec_out.bias.fill_(torch.inf)
    with pytest.raises(InputError, match=r"^the model's recon is not finite for image 0"):
        bytes_of(on_ray(Extraction(broken, from_arrays(pixels), ablated=ABLATED), cut(COUNT, SHARD), 1, None))

    def end(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pytest.exit("terminated")

    before = signal.signal(signal.SIGTERM, end)
    try:
        images = ImageSet("calling", "a test", CallingStore(pixels.numpy()), "as-given")
        with pytest.raises(pytest.exit.Exception):
            bytes_of(on_ray(Extraction(model, images, ablated=ABLATED), cut(COUNT, SHARD), 1, None))
    finally:
        signal.signal(signal.SIGTERM, before)


def stand_in(init):
    """Ray as far as a connection goes."""
    return SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=lambda: None)


def test_where_nobody_answers_is_said_before_ray_waits_for_it():
    def init(**_):
        pytest.fail("Ray was asked")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for given in (address, f"ray://{address}"):
            with (
                pytest.raises(
                    InputError, match=f"cannot be reached '{given}' .*refused.*check --ray-address"
                ),
                _connected(stand_in(init), given, 1),
            ):
                pass


def test_a_ray_that_dies_while_it_starts_is_one_line():
    def init(**_):
        raise Exception("The current node timed out during startup.\nmore")

    said = r"^Ray cannot be reached on this machine \(The current node timed out during startup.\)"
    with pytest.raises(InputError, match=said), _connected(stand_in(init), None, 1):
        pass


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are POSIX")
def test_ray_takes_no_signal_from_the_run_and_hears_no_closed_terminal():
    def masked():
        return signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def init(address, **_):
        assert address == "local"  # not a cluster that somebody else started here
        assert signal.SIGHUP in masked()  # what is started now inherits that
        signal.signal(signal.SIGTERM, lambda *_: None)

    handler, mask = signal.getsignal(signal.SIGTERM), masked()
    with _connected(stand_in(init), None, 1):
        assert signal.getsignal(signal.SIGTERM) is handler
        assert masked() == mask


def test_without_ray_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'geolip-theorems\[ray\]'"):
        import_ray()


@pytest.mark.parametrize("most", [4, 3, 1])
def test_out_of_memory_halves_and_goes_on(model, images, monkeypatch, most):
    sizes, said, whole = [], [], extract(model, images, ablated=ABLATED)

    def tight(forward, ps, batch, *rest):
        sizes.append(len(batch))
        if len(batch) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return tile_maps(forward, ps, batch, *rest)

    tile_maps = tiles.tile_maps
    monkeypatch.setattr(tiles, "tile_maps", tight)
    extraction = Extraction(model, images, ablated=ABLATED, say=said.append)
    shards = [arrays for _, arrays in extraction.run(cut(COUNT, COUNT))]
    assert said[0] == "out of memory at 8 images; going on with 4"
    assert max(sizes[-3:]) <= most
    for name in ("error", "S", "input_var", "error_without"):
        np.testing.assert_allclose(shards[0][name], getattr(whole, name), rtol=2e-5, atol=1e-7, err_msg=name)


def test_out_of_memory_at_one_image_is_one_line(model, images, monkeypatch):
    def fail(*arguments):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiles, "tile_maps", fail)
    with pytest.raises(InputError, match="cannot hold the forward pass of one image"):
        extract(model, images, ablated=ABLATED)


def test_threads_that_want_the_same_block_make_it_once(model):
    made = []

    def generate(number):
        made.append(number)
        time.sleep(0.05)
        return torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(number)), None

    store = GeneratedStore(generate, block=64, length=128, size=(16, 16), recipe="a test")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        extract(model, ImageSet("made", "a test", store, "as-given"), ablated=[])
    finally:
        torch.set_num_threads(before)
    assert made == [0, 1]

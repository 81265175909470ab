"""CIFAR-10: its real file format, what is refused unread, filling the cache, and what `auto` does."""

from __future__ import annotations

import hashlib
import http.server
import os
import pickle
import socket
import struct
import tarfile
import threading
import time

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from geolip_theorems.data.sources import cifar10 as cifar
from geolip_theorems.data.sources import load_images
from geolip_theorems.io.errors import InputError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
N = 40


def rows(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (N, 3072), np.uint8)


# --- the format, written as Python 2 wrote it --------------------------------------------------------


def _string(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text


def _int(value: int) -> bytes:
    return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)


def python2_batch(data: np.ndarray, labels: list[int]) -> bytes:
    """The bytes Python 2's cPickle gave for a batch: strings of bytes, NumPy's classes by name."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n"
        + b"cnumpy\nndarray\n"
        + b"K\x00\x85"
        + _string(b"b")
        + b"\x87R"
    )
    dtype = b"cnumpy\ndtype\n" + _string(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + _string(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    state = (
        b"(K\x01"
        + _int(len(data))
        + _int(data.shape[1])
        + b"\x86"
        + dtype
        + b"\x89"
        + _string(data.tobytes())
    )
    items = {
        b"batch_label": _string(b"testing batch 1 of 1"),
        b"labels": b"](" + b"".join(_int(label) for label in labels) + b"e",
        b"data": array + state + b"tb",
        b"filenames": b"](" + b"".join(_string(b"%d.png" % k) for k in range(len(labels))) + b"e",
    }
    return b"\x80\x02}(" + b"".join(_string(key) + value for key, value in items.items()) + b"u."


def batch(seed=0) -> bytes:
    return python2_batch(rows(seed), [(7 * k + seed) % 10 for k in range(N)])


def meta() -> bytes:
    return pickle.dumps({"num_cases_per_batch": N, "label_names": NAMES, "num_vis": 3072}, protocol=2)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small CIFAR-10 in the real layout, taken for the published one; its root."""
    root = tmp_path / "root"
    folder = root / cifar.FOLDER
    folder.mkdir(parents=True)
    contents = {name: batch(k + 1) for k, (name, _) in enumerate(CIFAR10.train_list)}
    contents |= {cifar.TEST: batch(), cifar.META: meta()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(cifar, "MD5", md5)
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [[cifar.TEST, md5[cifar.TEST]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5[cifar.META]})
    return root


@pytest.fixture
def archive(published, tmp_path, monkeypatch):
    """The same as a .tar.gz, the folder gone; its path outside the cache."""
    path = tmp_path / "served.tar.gz"
    folder = published / cifar.FOLDER
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, cifar.FOLDER)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    monkeypatch.setattr(cifar, "ARCHIVE_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def test_what_is_published_is_what_torchvision_knows():
    ours = cifar.FOLDER, cifar.ARCHIVE, cifar.URL, cifar.ARCHIVE_MD5
    assert ours == (CIFAR10.base_folder, CIFAR10.filename, CIFAR10.url, CIFAR10.tgz_md5)
    meta_file = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    assert dict([*CIFAR10.test_list, meta_file]) == cifar.MD5
    assert [name for name, _ in CIFAR10.train_list] == cifar.TRAIN
    assert (cifar.TEST, CIFAR10.meta["key"]) == (CIFAR10.test_list[0][0], "label_names")


def test_the_writer_of_this_test_writes_the_real_format():
    found = pickle.loads(batch(), encoding="latin1")
    assert np.array_equal(found["data"], rows())
    assert found["data"].dtype == np.uint8


def test_images_and_labels_are_torchvisions(published):
    theirs = CIFAR10(published, train=False)
    ours = load_images("cifar10", image_size=32, data_root=published, offline=True)
    assert np.array_equal(ours.store.images, theirs.data)
    assert ours.labels.tolist() == theirs.targets
    assert ours.classes == tuple(theirs.classes)
    assert torch.equal(ours.tensor(0, 1)[0], torch.from_numpy(rows()[0].reshape(3, 32, 32)) / 255)
    inside = load_images("cifar10", image_size=32, data_root=published / cifar.FOLDER, offline=True)
    assert inside.sha256 == ours.sha256
    assert ours.substitute_for is None


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_newer_pickles_of_the_same_data_are_read_too(protocol):
    content = pickle.dumps({"data": rows(), "labels": [0] * N}, protocol=protocol)
    assert np.array_equal(cifar.unpickle(content, "x")["data"].uint8(3072), rows())


# --- what is not read --------------------------------------------------------------------------------


class _Runs:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def _shell(marker):
    return pickle.dumps(_Runs(os.system, (f"touch {marker}",)), protocol=2)


HOSTILE = {
    "a shell command": _shell,
    "in the labels": lambda m: pickle.dumps({"data": rows(), "labels": _Runs(os.system, (f"touch {m}",))}),
    "eval": lambda m: pickle.dumps(_Runs(eval, (f"open({str(m)!r}, 'w')",))),
    "builtins getattr": lambda m: b"cbuiltins\ngetattr\n.",
    "numpy's own loader": lambda m: b"cnumpy\nload\n(Vx.npy\ntR.",
    "numpy with dots": lambda m: b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93.",
    "extension registry": lambda m: b"\x82\x01.",
    "persistent id": lambda m: b"Px\n.",
    "patching the array": lambda m: b"\x80\x02cnumpy\nndarray\n}U\x01ac_codecs\nencode\nsb.",
    "truncated": lambda m: batch()[: len(batch()) // 2],
    "empty": lambda m: b"",
    "a list": lambda m: pickle.dumps([1]),
    "bytes it has not got": lambda m: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_run_nothing_even_under_the_right_hash(case, published, tmp_path, monkeypatch):
    marker = tmp_path / "it_ran"
    content = HOSTILE[case](marker)
    (published / cifar.FOLDER / cifar.TEST).write_bytes(content)
    monkeypatch.setitem(cifar.MD5, cifar.TEST, hashlib.md5(content).hexdigest())
    with pytest.raises(
        InputError, match=r"is not one of CIFAR-10's files|not in CIFAR-10's format"
    ) as caught:
        load_images("cifar10", data_root=published, offline=True)
    assert str(caught.value).isprintable()
    assert not marker.exists()


def test_the_hostile_pickle_would_run_elsewhere(tmp_path):
    pickle.loads(_shell(tmp_path / "it_ran"))
    assert (tmp_path / "it_ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        {"labels": [0] * N},
        {"data": rows(), "labels": 3},
        {"data": rows()[:, :3000], "labels": [0] * N},
        {"data": rows().astype(np.int64), "labels": [0] * N},
        {"data": np.asfortranarray(rows()), "labels": [0] * N},
        {"data": rows(), "labels": [0] * 3},
        {"data": rows(), "labels": [11] * N},
        {"data": "text", "labels": [0] * N},
    ],
)
def test_other_contents_are_one_line(content, published, monkeypatch):
    content = pickle.dumps(content, protocol=2)
    (published / cifar.FOLDER / cifar.TEST).write_bytes(content)
    monkeypatch.setitem(cifar.MD5, cifar.TEST, hashlib.md5(content).hexdigest())
    with pytest.raises(InputError) as caught:
        load_images("cifar10", data_root=published, offline=True)
    assert str(caught.value).isprintable()


def test_a_file_with_another_hash_is_not_even_read(published, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "unpickle", lambda *_: pytest.fail("it was read"))
    (published / cifar.FOLDER / cifar.TEST).write_bytes(_shell(tmp_path / "it_ran"))
    with pytest.raises(InputError, match=r"test_batch has the MD5 .* it is not read"):
        load_images("cifar10", data_root=published, offline=True)
    assert not (tmp_path / "it_ran").exists()


# --- the cache ---------------------------------------------------------------------------------------


def test_an_archive_put_into_the_cache_by_hand_is_unpacked(archive, published):
    archive.rename(published / cifar.ARCHIVE)
    images = load_images("cifar10", image_size=32, data_root=published, offline=True)
    assert len(images) == N
    assert len(CIFAR10(published, train=True)) == 5 * N  # torchvision finds all it looks for


def test_another_archive_is_not_unpacked(archive, published):
    (published / cifar.ARCHIVE).write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"has the MD5 .* it is not unpacked"):
        load_images("cifar10", data_root=published)
    assert not (published / cifar.FOLDER).exists()


def test_offline_says_how_to_fill_the_cache(tmp_path):
    start = time.monotonic()
    with pytest.raises(
        InputError, match="--offline forbids a download; to fill the cache by hand put"
    ) as caught:
        load_images("cifar10", data_root=tmp_path / "none", offline=True)
    assert cifar.URL in str(caught.value)
    assert str(tmp_path / "none") in str(caught.value)
    assert time.monotonic() - start < 1
    assert not (tmp_path / "none").exists()


class _Handler(http.server.BaseHTTPRequestHandler):
    content, pause, status = b"", 0.0, 200

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()
        for start in range(0, len(self.content), 1 << 14):
            time.sleep(self.pause)
            try:
                self.wfile.write(self.content[start : start + (1 << 14)])
            except OSError:
                return

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    handler = type("Handler", (_Handler,), {})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr(cifar, "URL", f"http://127.0.0.1:{running.server_port}/{cifar.ARCHIVE}")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield handler
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("spec", ["cifar10", "auto"])
def test_it_is_downloaded_when_it_can_be(spec, server, archive, published, capsys):
    server.content = archive.read_bytes()
    images = load_images(spec, image_size=32, data_root=published)
    assert (images.name, len(images), images.substitute_for) == ("cifar10", N, None)
    assert ("downloading" in capsys.readouterr().err) == (spec == "cifar10")
    server.status = 500  # from now on the cache must do
    again = load_images(spec, image_size=32, data_root=published)
    assert again.sha256 == images.sha256
    assert sorted(os.listdir(published)) in ([cifar.FOLDER], [cifar.FOLDER, "cifar10.lock"])


def test_a_wrong_download_leaves_nothing(server, archive, published):
    server.content = archive.read_bytes()[:-1]
    with pytest.raises(InputError, match="it is not unpacked"):
        load_images("cifar10", data_root=published)
    assert [name for name in os.listdir(published) if name != "cifar10.lock"] == []


def test_auto_takes_the_digits_and_says_so(server, archive, published, monkeypatch):
    monkeypatch.setattr("geolip_theorems.data.sources.auto.AUTO_SECONDS", 0.2)
    server.content, server.pause = bytes(1 << 20), 0.05
    start = time.monotonic()
    images = load_images("auto", data_root=published)
    assert time.monotonic() - start < 3
    assert images.name == "digits"
    assert images.substitute_for.startswith("cifar10: it is not in the cache and 127.0.0.1")
    assert "takes longer than 0.2 s" in images.substitute_for
    server.status = 404
    with pytest.raises(
        InputError, match=r"not in the cache and 127\.0\.0\.1 gives no answer .*to fill the cache"
    ):
        load_images("cifar10", data_root=published)  # a named set is never replaced


def test_a_silent_network_costs_no_more_than_the_time_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(cifar, "URL", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        start = time.monotonic()
        with pytest.raises(InputError, match="gives no answer"):
            load_images("cifar10", data_root=tmp_path)
        assert time.monotonic() - start < 2


def test_auto_survives_a_cache_it_cannot_use(published, tmp_path):
    offline = load_images("auto", data_root=tmp_path / "none", offline=True)
    assert offline.substitute_for == "cifar10: it is not in the cache, and --offline forbids a download"
    (published / cifar.FOLDER / cifar.TEST).write_bytes(b"damaged")
    assert "cannot be used" in load_images("auto", data_root=published).substitute_for
    (tmp_path / "file").write_text("")
    for spec, expected in (("auto", "digits"), ("digits", "digits")):
        assert load_images(spec, data_root=tmp_path / "file" / "below").name == expected
    with pytest.raises(InputError, match="cannot be filled") as caught:
        load_images("cifar10", data_root=tmp_path / "file" / "below")
    assert str(caught.value).isprintable()

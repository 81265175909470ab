"""What is read from the cache is what was asked for and what was computed, whatever stands there."""

import json
import os
import shutil
import time

import numpy as np
import pytest

from geolip_theorems.extraction import entry as entry_module
from geolip_theorems.extraction.entry import _write_signed, read_meta
from geolip_theorems.extraction.housekeeping import entries, prune, verify
from geolip_theorems.extraction.shards import LEDGER, META, Layout, ShardStore
from geolip_theorems.io.errors import InputError
from tests.extraction.sources import KEY, SHARDS, Never, Numbers, cache_in
from tests.extraction.test_cache import check, flip, shard_rows

DEEP = b"[" * 100_000
pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and pipes of this kind are POSIX")


def never():
    raise AssertionError("computed again")


def edit(path, change):
    """Change a signed file and sign it again, as somebody would who wants to be believed."""
    content = json.loads(path.read_text())
    content.pop("sha256")
    change(content)
    path.write_text(json.dumps({"sha256": entry_module._signature(content), **content}))


def put(kind, path):
    """Something else in place of a file."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        (path / "within").mkdir(parents=True)
    elif kind == "dangling link":
        path.symlink_to(path.parent / "nowhere")
    elif kind == "deep":
        path.write_bytes(DEEP)
    else:
        path.write_bytes(kind)


# --- what was written is what was computed ---------------------------------------------------------------


def test_rows_damaged_while_they_are_written_are_written_again(tmp_path, monkeypatch):
    written, said = [], []
    write = ShardStore.write

    def damaging(self, shard, arrays):
        write(self, shard, arrays)
        written.append(shard.number)
        if written == [0, 1]:
            flip(self.folder / "S.npy", shard_rows(self.folder, "S", 5))

    monkeypatch.setattr(ShardStore, "write", damaging)
    found = cache_in(tmp_path, say=said.append).maps(KEY, Numbers())
    check(found.maps)
    assert written == [0, 1, 2, 1]
    assert found.computed == SHARDS
    assert any("S.npy has another checksum" in line for line in said)


def test_a_disk_that_gives_back_other_bytes_is_one_line(tmp_path, monkeypatch):
    write = ShardStore.write

    def damaging(self, shard, arrays):
        write(self, shard, arrays)
        flip(self.folder / "S.npy", shard_rows(self.folder, "S", shard.start))

    monkeypatch.setattr(ShardStore, "write", damaging)
    with pytest.raises(InputError, match="gives back other bytes than were written") as caught:
        cache_in(tmp_path).maps(KEY, Numbers())
    assert "\n" not in str(caught.value)


# --- analyses --------------------------------------------------------------------------------------------


def result(x):
    return lambda: ({"x": x}, {"y": np.arange(3.0)})


def same(found, x):
    return found[0] == {"x": x} and np.array_equal(found[1]["y"], np.arange(3.0))


def test_analyses_are_kept_beside_the_maps(tmp_path):
    cache = cache_in(tmp_path)
    read = cache.maps(KEY, Numbers())
    assert same(cache.analysis(read, {"what": 1}, result(1.5)), 1.5)
    assert same(cache.analysis(cache.maps(KEY, Never()), {"what": 1}, never), 1.5)
    assert same(cache.analysis(read, {"what": 2}, result(2)), 2)
    assert cache.analysis(read, {"what": 3}, lambda: ({}, {})) == ({}, {})


def test_an_analysis_ends_with_a_shard_it_was_made_from(tmp_path):
    """The shard is made again to the same bytes; what was measured on the damaged ones must not stay."""
    cache = cache_in(tmp_path)
    read = cache.maps(KEY, Numbers())
    flip(read.entry / "S.npy", shard_rows(read.entry, "S", 5))
    cache.analysis(read, {"what": 1}, result("of damaged maps"))
    again = cache.maps(KEY, Numbers())
    assert again.computed == 1
    assert same(cache.analysis(again, {"what": 1}, result("of these")), "of these")
    assert len(list(read.entry.glob("analysis-*.json"))) == 1


def kept_analysis(tmp_path, say):
    cache = cache_in(tmp_path, say=say)
    read = cache.maps(KEY, Numbers())
    cache.analysis(read, {"what": 1}, result(1.5))
    return cache, read, next(read.entry.glob("analysis-*.json"))


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_text(path.read_text()[:-4]),
        lambda path: path.write_text(path.read_text().replace("1.5", "1.4")),
        lambda path: edit(path, lambda content: content.update(result=[1.5])),
        lambda path: edit(path, lambda content: content.update(arrays={"file": 7})),
        lambda path: edit(path, lambda content: content.update(arrays="x")),
        lambda path: edit(path, lambda content: content["key"].update(what=2)),
        lambda path: edit(path, lambda content: content["key"].update(maps="0" * 64)),
        lambda path: edit(path, lambda content: content.pop("key")),
        lambda path: path.with_suffix(".npz").unlink(),
        lambda path: flip(path.with_suffix(".npz"), 60),
        *(lambda path, kind=kind: put(kind, path) for kind in ("pipe", "folder", "dangling link", "deep")),
        *(lambda path, kind=kind: put(kind, path.with_suffix(".npz")) for kind in ("pipe", "folder")),
        lambda path: put(b"[1, 2]", path),
        lambda path: put(b"\xff\xfe", path),
        lambda path: put(b'{"sha256": null}', path),
    ],
)
def test_a_damaged_analysis_is_done_again(tmp_path, harm):
    said = []
    cache, read, path = kept_analysis(tmp_path, said.append)
    harm(path)
    assert same(cache.analysis(read, {"what": 1}, result(1.5)), 1.5)
    assert any("damaged" in line for line in said)
    assert same(cache.analysis(read, {"what": 1}, never), 1.5)


def test_another_analysis_under_this_name_is_not_this_one(tmp_path):
    cache, read, path = kept_analysis(tmp_path, lambda line: None)
    cache.analysis(read, {"what": 2}, result(2.5))
    (other,) = {*read.entry.glob("analysis-*.json")} - {path}
    shutil.copy(other, path)
    shutil.copy(other.with_suffix(".npz"), path.with_suffix(".npz"))
    assert same(cache.analysis(read, {"what": 1}, result(1.5)), 1.5)


# --- entries ---------------------------------------------------------------------------------------------


def test_another_entry_under_this_name_is_not_this_one(tmp_path):
    said = []
    cache = cache_in(tmp_path, say=said.append)
    mine = cache.maps(KEY, Numbers()).entry
    other = cache.maps({"weights": "other"}, Numbers(2.0)).entry
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    assert set(verify(next(entry for entry in entries(cache) if entry.key == mine.name))) == {-1}
    check(cache.maps(KEY, Numbers()).maps)
    assert any("is damaged (meta.json)" in line for line in said)


def test_rows_of_another_entry_are_not_these(tmp_path):
    cache = cache_in(tmp_path)
    mine = cache.maps(KEY, Numbers()).entry
    other = cache.maps({"weights": "other"}, Numbers(2.0)).entry
    meta = (mine / META).read_bytes()
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    (mine / META).write_bytes(meta)
    source = Numbers()
    check(cache.maps(KEY, source).maps)
    assert source.computed == [0, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta["per_image"].update({"../../out": [2, 2]}),
        lambda meta: meta["per_image"].update({"/tmp/out": [2, 2]}),
        lambda meta: meta["per_image"].update({"surprise": [2, 2]}),
        lambda meta: meta["per_image"].pop("error"),
        lambda meta: meta["per_image"].update(error=[2, 3]),
        lambda meta: meta["per_image"].update(error=[0, 2]),
        lambda meta: meta["per_image"].update(error="22"),
        lambda meta: meta.update(images=10),
        lambda meta: meta.update(images="11"),
        lambda meta: meta.update(images=-11),
        lambda meta: meta.update(shard_images=0),
        lambda meta: meta.update(ablated=[1, 2]),
        lambda meta: meta.update(ablated=[6, 2, 1]),
        lambda meta: meta.update(ablated=[1, 2, 1 << 70]),
        lambda meta: meta.update(ablated=None),
        lambda meta: meta.update(absent=[]),
        lambda meta: meta.update(about={"model": {}}),
        lambda meta: meta.update(created="long ago"),
        lambda meta: meta.update(more=1),
        lambda meta: meta["key"].update(weights="c"),
    ],
)
def test_a_signed_meta_that_is_not_what_was_asked_is_damaged(tmp_path, change):
    said = []
    cache = cache_in(tmp_path / "cache", say=said.append)
    entry = cache.maps(KEY, Numbers()).entry
    edit(entry / META, change)
    assert all(type(found.images) is int for found in entries(cache))
    found = cache.maps(KEY, Numbers())
    assert found.computed == SHARDS
    check(found.maps)
    assert any("is damaged (meta.json)" in line for line in said)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_an_extraction_takes_only_its_own_layout():
    """The layouts of a real extraction; of the fields that do not fit, one at a time."""
    from dataclasses import replace

    from geolip_theorems.data.sources import load_images
    from geolip_theorems.extraction.extract import Extraction
    from geolip_theorems.model.architectures import SVAEConfig
    from geolip_theorems.model.sources import random_twin

    config = SVAEConfig(V=8, D=4, patch_size=4, hidden=16, depth=1, n_cross_layers=1)
    for images in (load_images("noise", image_size=16, max_images=9), load_images("scenes", max_images=3)):
        extraction = Extraction(random_twin(config, 1), images, ablated=[0, 2])
        layout = extraction.layout()
        assert extraction.fits(layout)
        assert not Extraction(extraction.model, images, ablated=[0, 1]).fits(layout)
        assert not extraction.fits(replace(layout, images=7))
        assert not extraction.fits(replace(layout, per_image={**layout.per_image, "x": (4, 4)}))
        assert not extraction.fits(replace(layout, per_image={**layout.per_image, "error": (3, 4)}))
        assert not extraction.fits(replace(layout, per_ablated={}))
        plain = Extraction(extraction.model, images, ablated=[])
        assert plain.fits(plain.layout())


PLACES = {
    "meta": lambda entry: entry / META,
    "array": lambda entry: entry / "S.npy",
    "ledger line": lambda entry: entry / LEDGER / "000001.json",
    "ledger": lambda entry: entry / LEDGER,
    "entry": lambda entry: entry,
    "lock": lambda entry: entry.with_name(f"{entry.name}.lock"),
}


@pytest.mark.parametrize("kind", ["pipe", "folder", "dangling link", "deep", b"{}", b"\xff"], ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_whatever_stands_in_place_of_a_file_is_damage(tmp_path, place, kind):
    """In particular a pipe does not hang, and nothing is written through a link."""
    cache = cache_in(tmp_path)
    entry = cache.maps(KEY, Numbers()).entry
    put(kind, PLACES[place](entry))
    for found in entries(cache):
        verify(found)
    check(cache.maps(KEY, Numbers()).maps)
    check(cache.maps(KEY, Never()).maps)
    assert not (PLACES[place](entry).parent / "nowhere").exists()


@pytest.mark.parametrize("place", ["meta", "array", "ledger line", "ledger", "entry", "lock"])
def test_nothing_is_written_through_a_link(tmp_path, place):
    cache = cache_in(tmp_path / "cache")
    entry = cache.maps(KEY, Numbers()).entry
    path, aim = PLACES[place](entry), tmp_path / "aim"
    path.rename(aim)
    path.symlink_to(aim)
    before = [(p, p.lstat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in sorted(aim.rglob("*"))]
    own = aim.is_file() and aim.read_bytes()
    check(cache.maps(KEY, Numbers(), {}).maps)
    cache_in(tmp_path / "cache", fresh_after=time.time()).maps(KEY, Numbers(2.0))
    assert [
        (p, p.lstat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in sorted(aim.rglob("*"))
    ] == before
    assert (aim.is_file() and aim.read_bytes()) == own


def test_the_cache_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    cache = cache_in(tmp_path / "link")
    cache.maps(KEY, Numbers())
    check(cache.maps(KEY, Never()).maps)
    assert [found.images for found in entries(cache)] == [11]
    (entry,) = prune(cache_in(tmp_path / "link", limit_gb=0.0))
    assert not entry.folder.exists()


def test_what_says_it_is_of_the_future_does_not_survive_a_refresh(tmp_path):
    cache = cache_in(tmp_path)
    read = cache.maps(KEY, Numbers())
    cache.analysis(read, {"what": 1}, result("old"))
    for path in (read.entry / LEDGER).iterdir():
        line = json.loads(path.read_text())
        path.write_text(json.dumps({**line, "written": time.time() + 1e6}))
    for path in read.entry.rglob("*"):
        os.utime(path, (time.time() + 1e6,) * 2)
    fresh = cache_in(tmp_path, fresh_after=time.time())
    again = fresh.maps(KEY, Numbers(2.0))
    check(again.maps, 2.0)
    assert same(fresh.analysis(again, {"what": 1}, result("new")), "new")


# --- other processes -------------------------------------------------------------------------------------


def test_an_entry_removed_while_it_is_read_is_extracted_again(tmp_path, monkeypatch):
    said = []
    cache = cache_in(tmp_path, say=said.append)
    entry = cache.maps(KEY, Numbers()).entry
    arrays, calls = ShardStore.arrays, []

    def removed_first(self):
        calls.append(0)
        if len(calls) == 1:
            shutil.rmtree(entry)
        return arrays(self)

    monkeypatch.setattr(ShardStore, "arrays", removed_first)
    check(cache.maps(KEY, Numbers()).maps)
    assert any("was removed meanwhile; extracting again" in line for line in said)


def test_a_cache_removed_again_and_again_is_one_line(tmp_path, monkeypatch):
    arrays = ShardStore.arrays

    def removed_first(self):
        shutil.rmtree(self.folder)
        return arrays(self)

    monkeypatch.setattr(ShardStore, "arrays", removed_first)
    with pytest.raises(InputError, match="cannot be written") as caught:
        cache_in(tmp_path).maps(KEY, Numbers())
    assert "\n" not in str(caught.value)


def test_maps_of_an_entry_that_was_removed_can_be_measured(tmp_path):
    cache = cache_in(tmp_path)
    read = cache.maps(KEY, Numbers())
    prune(cache_in(tmp_path, limit_gb=0.0))
    check(read.maps)
    assert same(cache.analysis(read, {"what": 1}, result(1.5)), 1.5)
    assert entries(cache) == []


def test_an_entry_above_4_gb_in_a_sparse_file(tmp_path):
    """Offsets beyond 32 bits: the last rows of 4.5 GB, of which the disk has a few kilobytes."""
    images = 1 << 20
    layout = Layout(images, {"error": (32, 34)}, np.arange(0), {})
    store = ShardStore(tmp_path / "large", layout, 4)
    store.folder.mkdir()
    (store.folder / LEDGER).mkdir()
    with open(store.folder / "error.npy", "wb") as file:
        file.write(store._headers["error"])
        file.truncate(store.bytes)
    last = store.shards[-1]
    rows = np.arange(4 * 32 * 34, dtype=np.float32).reshape(4, 32, 34)
    store.write(last, {"error": rows})
    assert store.bytes > 1 << 32
    np.testing.assert_array_equal(store.arrays()["error"][-4:], rows)
    assert not store.arrays()["error"][0].any()
    found, damaged = store.finished()
    assert (found, damaged) == ({last.number}, {})
    flip_at = store.bytes - 5
    with open(store.folder / "error.npy", "r+b") as file:
        file.seek(flip_at)
        file.write(b"\x01")
    assert store.finished()[1] == {last.number: "error.npy has another checksum"}


def test_the_key_in_meta_is_the_one_that_was_asked(tmp_path):
    entry = cache_in(tmp_path).maps({"b": (1, 2), "a": {"x": None}}, Numbers()).entry
    assert read_meta(entry).key == {"a": {"x": None}, "b": [1, 2]}
    renamed = entry.with_name("0" * 32)
    entry.rename(renamed)
    assert read_meta(renamed) is None
    _write_signed(renamed / META, read_meta(renamed) or _meta_of(renamed))
    assert read_meta(renamed) is None


def _meta_of(entry):
    return entry_module._read_signed(entry / META, entry_module.EntryMeta)

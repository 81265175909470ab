"""The cache: keyed by everything, filled shard by shard, one process extracts."""

import errno
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geolip_theorems.extraction import shards as shards_module
from geolip_theorems.extraction.cache import CACHE_VERSION, MapsCache, cache_key
from geolip_theorems.extraction.shards import LEDGER, META
from geolip_theorems.io.errors import InputError
from geolip_theorems.run.subject import RunOptions, open_subject
from tests.extraction.sources import IMAGES, KEY, SHARDS, Never, Numbers, cache_in

GOLDEN = str(Path(__file__).parents[1] / "data" / "svae_d4.pt")


def check(maps, value=1.0):
    wanted = Numbers(value)
    everything = next(iter(wanted.run([shards_module.Shard(0, 0, IMAGES)])))[1]
    for name, array in everything.items():
        np.testing.assert_array_equal(getattr(maps, name), array, err_msg=name)


def test_what_was_computed_is_read(tmp_path):
    cache = cache_in(tmp_path)
    first = cache.maps(KEY, Numbers())
    again = cache.maps(KEY, Never())
    assert (first.shards, first.computed, again.computed) == (SHARDS, SHARDS, 0)
    assert first.maps.arrays().keys() == again.maps.arrays().keys()
    check(first.maps)
    check(again.maps)
    np.testing.assert_array_equal(again.maps.ablated, [1, 2, 6])
    assert again.maps.patch_pixels == 16


def test_maps_without_ablation(tmp_path):
    maps = cache_in(tmp_path).maps(KEY, Numbers(ablated=())).maps
    assert maps.error_only is None
    assert maps.ablated is None


def test_the_size_of_a_shard_does_not_show(tmp_path):
    for size in (1, 3, IMAGES, 100):
        cache = MapsCache(tmp_path / str(size), shard_images=size)
        assert cache.maps(KEY, Numbers()).shards == -(-IMAGES // size)
        check(cache.maps(KEY, Never()).maps)


def test_another_key_is_another_entry(tmp_path):
    cache = cache_in(tmp_path)
    cache.maps(KEY, Numbers())
    other = cache.maps({**KEY, "weights": "c"}, Numbers(2.0))
    assert other.computed == SHARDS
    check(other.maps, 2.0)


def subject_with(**changes):
    options = RunOptions(max_images=40, offline=True, **changes)
    return open_subject(GOLDEN, "digits", options)


@pytest.mark.parametrize(
    "change",
    [{"weights": True}, {"max_images": 39}, {"image_size": 32}, {"normalize": "imagenet"}, {"ablation": 3}],
    ids=lambda change: next(iter(change)),
)
def test_everything_the_maps_depend_on_is_in_the_key(change):
    plain = subject_with()
    key = cache_key(plain.maps_key(plain.ablated()))
    if change == {"weights": True}:
        other = replace(plain, model=replace(plain.model, sha256="0" * 64)).maps_key(plain.ablated())
    elif change == {"ablation": 3}:
        other = plain.maps_key(np.arange(3))
    else:
        options = replace(plain.options, **change)
        other = open_subject(GOLDEN, "digits", options).maps_key(plain.ablated())
    assert cache_key(other) != key
    assert cache_key(subject_with().maps_key(plain.ablated())) == key


def shard_rows(folder, name, first):
    """The byte at which an image's row begins in an array's file."""
    array = np.load(folder / f"{name}.npy", mmap_mode="r")
    return array.offset + first * array[0].nbytes


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "redone", "names"),
    [
        ("flip", [1], "shard 2 of 3 is damaged (friction.npy has another checksum)"),
        ("flip ablated", [1], "shard 2 of 3 is damaged (error_only.npy has another checksum)"),
        ("truncate", [2], "shard 3 of 3 is damaged (error.npy is too short"),
        ("header", [0, 1, 2], "shard 1 of 3 is damaged (error.npy is too short or has another header)"),
        ("longer", [], None),
        ("missing", [0, 1, 2], "error.npy cannot be read"),
        ("ledger", [1], "shard 2 of 3 is damaged (000001.json cannot be read"),
        ("ledger swapped", [0, 1], "is of other images"),
        ("ledger lost", [1], "2 of 3 shards are there"),
        ("meta", [0, 1, 2], "is damaged (meta.json)"),
        ("meta edited", [0, 1, 2], "is damaged (meta.json)"),
    ],
)
def test_damage_is_named_and_only_what_is_damaged_is_done_again(tmp_path, harm, redone, names):
    said = []
    cache = cache_in(tmp_path, say=said.append)
    entry = cache.maps(KEY, Numbers()).entry
    error, ledger = entry / "error.npy", entry / LEDGER / "000001.json"
    if harm == "flip":
        flip(entry / "friction.npy", shard_rows(entry, "friction", 7))
    elif harm == "flip ablated":
        flip(entry / "error_only.npy", shard_rows(entry, "error_only", 2))  # image 6, in the second shard
    elif harm == "truncate":
        error.write_bytes(error.read_bytes()[:-5])
    elif harm == "header":
        flip(error, 70)
    elif harm == "longer":
        error.write_bytes(error.read_bytes() + b"\0" * 7)
    elif harm == "missing":
        error.unlink()
    elif harm == "ledger":
        ledger.write_text("{")
    elif harm == "ledger swapped":
        first, second = (entry / LEDGER / f"00000{k}.json" for k in (0, 1))
        one, two = first.read_text(), second.read_text()
        first.write_text(two)
        second.write_text(one)
    elif harm == "ledger lost":
        ledger.unlink()
    elif harm == "meta":
        (entry / META).write_text("{")
    else:
        (entry / META).write_text((entry / META).read_text().replace('"images": 11', '"images": 10'))
    source = Numbers()
    found = cache.maps(KEY, source)
    assert (source.computed, found.computed) == (redone, len(redone))
    check(found.maps)
    assert cache.maps(KEY, Never()).computed == 0
    if names:
        assert any(names in line for line in said), said


def test_an_interrupted_extraction_goes_on_from_its_last_shard(tmp_path):
    said = []
    cache = cache_in(tmp_path, say=said.append)
    with pytest.raises(KeyboardInterrupt):
        cache.maps(KEY, Numbers(stop_before=2))
    assert said == ["interrupted; 2 of 3 shards are kept: the same command goes on from there"]
    source = Numbers()
    found = cache.maps(KEY, source)
    assert source.computed == [2]
    assert (found.shards, found.computed) == (SHARDS, 1)
    check(found.maps)


def test_of_a_temporary_cache_nothing_is_said_to_be_kept(tmp_path):
    said = []
    cache = cache_in(tmp_path, say=said.append, temporary=True)
    with pytest.raises(KeyboardInterrupt):
        cache.maps(KEY, Numbers(stop_before=2))
    assert said == ["interrupted; nothing is kept, as the cache is a temporary one (--no-cache)"]


def test_interrupted_before_the_first_shard_there_is_nothing_to_read(tmp_path):
    said = []
    cache = cache_in(tmp_path, say=said.append)
    with pytest.raises(KeyboardInterrupt):
        cache.maps(KEY, Numbers(stop_before=0))
    assert said == ["interrupted; no shard was finished, so nothing is kept"]
    assert cache.maps(KEY, Numbers()).computed == SHARDS


def test_refresh_computes_again_once(tmp_path):
    cache_in(tmp_path).maps(KEY, Numbers())
    time.sleep(0.01)
    cache = cache_in(tmp_path, fresh_after=time.time())
    check(cache.maps(KEY, Numbers(2.0)).maps, 2.0)
    check(cache.maps(KEY, Never()).maps, 2.0)


def test_large_entries_are_verified_once_for_each_time_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shards_module, "TRUSTED_BYTES", 0)
    hashed = []
    digest = shards_module.ShardStore._digest
    monkeypatch.setattr(
        shards_module.ShardStore, "_digest", lambda self, *a: hashed.append(a) or digest(self, *a)
    )
    cache = cache_in(tmp_path)
    entry = cache.maps(KEY, Numbers()).entry
    cache.maps(KEY, Never())
    assert hashed
    hashed.clear()
    cache.maps(KEY, Never())
    assert not hashed
    flip(entry / "S.npy", shard_rows(entry, "S", 9))
    source = Numbers()
    check(cache.maps(KEY, source).maps)
    assert source.computed == [2]


@pytest.mark.parametrize("where", ["at the start", "in the middle"])
def test_a_full_disk_is_one_clear_line_and_nothing_half(tmp_path, monkeypatch, where):
    before = cache_in(tmp_path)
    before.maps({"other": 1}, Numbers())

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if where == "at the start":
            patch.setattr(shards_module, "_reserve", full)
        else:
            patch.setattr(shards_module, "write_atomically", full)
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)") as caught:
            cache_in(tmp_path).maps(KEY, Numbers())
    assert "\n" not in str(caught.value)
    left = [path.parent.name for path in tmp_path.rglob(META)]
    assert len(left) == (1 if where == "at the start" else 2)
    check(before.maps({"other": 1}, Never()).maps)
    assert cache_in(tmp_path).maps(KEY, Numbers()).computed == SHARDS


def test_an_unwritable_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written.*--cache-dir.*--no-cache") as caught:
        cache_in(tmp_path / "file" / "cache").maps(KEY, Numbers())
    assert "\n" not in str(caught.value)


def test_an_entry_of_the_old_format_is_not_read(tmp_path):
    old = tmp_path / "v1" / cache_key(KEY)
    old.mkdir(parents=True)
    (old / META).write_text(json.dumps({"sha256": {}, "written": time.time(), "classes": None}))
    assert cache_in(tmp_path).maps(KEY, Numbers()).computed == SHARDS
    newer = tmp_path / CACHE_VERSION / cache_key(KEY) / META
    newer.write_text((old / META).read_text())  # nor where the new one ought to be
    assert cache_in(tmp_path).maps(KEY, Numbers()).computed == SHARDS


def test_the_key_does_not_depend_on_the_order_of_its_parts():
    assert cache_key({"a": 1, "b": [2]}) == cache_key(json.loads('{"b": [2], "a": 1}'))
    assert cache_key({"a": 1}) != cache_key({"a": 2})

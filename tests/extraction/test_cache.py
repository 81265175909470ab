"""The cache: keyed by everything, whole or absent, one process extracts."""

import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geolip_theorems.errors import InputError
from geolip_theorems.extraction import Maps
from geolip_theorems.extraction.cache import META, MapsCache, cache_key
from geolip_theorems.subject import RunOptions, open_subject

GOLDEN = str(Path(__file__).parents[1] / "data" / "svae_d4.pt")
KEY = {"weights": "a", "images": "b"}


def some_maps(value=1.0, n=3):
    per_patch = np.full((n, 2, 2), value, np.float32)
    per_mode = np.full((n, 2, 2, 4), value, np.float32)
    return Maps(
        error=per_patch,
        pixel_var=per_patch,
        error_half=np.full((n, 2, 2, 2), value, np.float32),
        S=per_mode,
        friction=per_mode,
        settle=per_mode,
        error_only=None,
        error_without=None,
        ablated=None,
        input_mean=np.zeros((n, 2, 2, 3), np.float32),
        input_var=per_patch,
        gradient=per_patch,
        labels=np.arange(n),
        classes=tuple(map(str, range(n))),
        patch_pixels=16,
    )


def never():
    raise AssertionError("computed again")


def test_what_was_computed_is_read(tmp_path):
    cache = MapsCache(tmp_path)
    first, _, fresh = cache.maps(KEY, some_maps)
    again, _, stale = cache.maps(KEY, never)
    assert (fresh, stale) == (True, False)
    assert first.arrays().keys() == again.arrays().keys()
    for name, array in some_maps().arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    assert again.classes == ("0", "1", "2")
    assert again.patch_pixels == 16
    assert again.error_only is None


def test_another_key_is_another_entry(tmp_path):
    cache = MapsCache(tmp_path)
    cache.maps(KEY, some_maps)
    other, _, fresh = cache.maps({**KEY, "weights": "c"}, lambda: some_maps(2.0))
    assert fresh
    assert other.error[0, 0, 0] == 2.0


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
    key = cache_key(plain.maps_key(np.arange(5)))
    if change == {"weights": True}:
        other = replace(plain, model=replace(plain.model, sha256="0" * 64)).maps_key(np.arange(5))
    elif change == {"ablation": 3}:
        other = plain.maps_key(np.arange(3))
    else:
        options = replace(plain.options, **change)
        other = open_subject(GOLDEN, "digits", options).maps_key(np.arange(5))
    assert cache_key(other) != key
    assert cache_key(subject_with().maps_key(np.arange(5))) == key


@pytest.mark.parametrize("harm", ["flip", "truncate", "missing", "meta"])
def test_damaged_entries_are_named_and_done_again(tmp_path, harm):
    said = []
    cache = MapsCache(tmp_path, say=said.append)
    _, entry, _ = cache.maps(KEY, some_maps)
    file = entry / "error.npy"
    if harm == "flip":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    elif harm == "truncate":
        file.write_bytes(file.read_bytes()[:-5])
    elif harm == "missing":
        file.unlink()
    else:
        (entry / META).write_text("{")
    maps, _, fresh = cache.maps(KEY, some_maps)
    assert fresh
    np.testing.assert_array_equal(maps.error, some_maps().error)
    assert any("damaged" in line for line in said)


def test_an_interrupted_extraction_leaves_nothing_half(tmp_path):
    cache = MapsCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cache.maps(KEY, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert not list(tmp_path.rglob(META))
    assert cache.maps(KEY, some_maps)[2]


def test_refresh_computes_again_once(tmp_path):
    MapsCache(tmp_path).maps(KEY, some_maps)
    time.sleep(0.01)
    cache = MapsCache(tmp_path, fresh_after=time.time())
    assert cache.maps(KEY, lambda: some_maps(2.0))[0].error[0, 0, 0] == 2.0
    assert cache.maps(KEY, never)[0].error[0, 0, 0] == 2.0


def test_analyses_are_kept_beside_the_maps(tmp_path):
    cache = MapsCache(tmp_path)
    _, entry, _ = cache.maps(KEY, some_maps)
    assert cache.analysis(entry, {"what": 1}, lambda: {"x": 1.5}) == {"x": 1.5}
    assert cache.analysis(entry, {"what": 1}, never) == {"x": 1.5}
    assert cache.analysis(entry, {"what": 2}, lambda: {"x": 2}) == {"x": 2}


def test_the_size_limit_removes_what_was_used_longest_ago(tmp_path):
    cache = MapsCache(tmp_path)
    entries = [cache.maps({"n": n}, some_maps)[1] for n in range(3)]
    for age, entry in zip((30, 10, 20), entries, strict=True):
        os.utime(entry / META, (time.time() - age,) * 2)
    one = sum(f.stat().st_size for f in entries[0].iterdir())
    MapsCache(tmp_path, limit_gb=2.5 * one / 1e9).maps({"n": 3}, some_maps)
    assert [entry.exists() for entry in entries] == [False, True, False]


def test_an_unwritable_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written.*--cache-dir.*--no-cache") as caught:
        MapsCache(tmp_path / "file" / "cache").maps(KEY, some_maps)
    assert "\n" not in str(caught.value)


def _slow(folder, log):
    def compute():
        with open(log, "a") as file:
            file.write("computed\n")
        time.sleep(1.0)
        return some_maps()

    MapsCache(Path(folder)).maps(KEY, compute)


def test_one_process_extracts_and_the_others_wait(tmp_path):
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [context.Process(target=_slow, args=(str(tmp_path / "cache"), str(log))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert log.read_text() == "computed\n"


def test_the_key_does_not_depend_on_the_order_of_its_parts():
    assert cache_key({"a": 1, "b": [2]}) == cache_key(json.loads('{"b": [2], "a": 1}'))
    assert cache_key({"a": 1}) != cache_key({"a": 2})

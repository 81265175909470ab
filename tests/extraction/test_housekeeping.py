"""Listing, verifying and pruning the cache, from Python and from the command line."""

import json
import multiprocessing
import os
import time

import pytest
from filelock import FileLock

from geolip_theorems.cli import main
from geolip_theorems.extraction import housekeeping
from geolip_theorems.extraction.cache import CACHE_VERSION, MapsCache
from geolip_theorems.extraction.housekeeping import entries, prune, verify
from geolip_theorems.extraction.shards import META
from tests.extraction.sources import SHARDS, Never, Numbers, cache_in
from tests.extraction.test_cache import flip, shard_rows

ABOUT = {"model": "freckles", "dataset": "digits"}


@pytest.fixture
def filled(tmp_path):
    """A cache of three entries, used 30, 10 and 20 seconds ago, and one of the old format."""
    cache = cache_in(tmp_path)
    for n, age in enumerate((30, 10, 20)):
        entry = cache.maps({"n": n}, Numbers(), ABOUT).entry
        os.utime(entry / META, (time.time() - age,) * 2)
    old = tmp_path / "v1" / ("0" * 32)
    old.mkdir(parents=True)
    (old / "error.npy").write_bytes(b"x" * 1000)
    return cache


def numbers(found):
    return [entry.parts.get("n") for entry in found]


def test_entries_say_what_they_are_of(filled):
    found = entries(filled)
    assert numbers(found) == [1, 2, 0, None]
    first, last = found[0], found[-1]
    assert (first.about, first.images, first.shards, first.finished) == (ABOUT, 11, SHARDS, SHARDS)
    assert first.bytes == sum(f.stat().st_size for f in first.folder.rglob("*"))
    assert (first.format, first.current, last.format, last.current) == (CACHE_VERSION, True, "v1", False)


def test_verify_names_the_damaged_shard(filled):
    whole, damaged = entries(filled)[:2]
    flip(damaged.folder / "S.npy", shard_rows(damaged.folder, "S", 5))
    assert verify(whole) == {}
    assert verify(damaged) == {1: "S.npy has another checksum"}


def test_prune_removes_what_was_used_longest_ago(filled):
    one = entries(filled)[0].bytes
    small = MapsCache(filled.folder, limit_gb=2.5 * one / 1e9)
    assert numbers(prune(small)) == [None, 0]
    assert numbers(entries(small)) == [1, 2]


def test_a_write_beyond_the_limit_makes_room(filled):
    one = entries(filled)[0].bytes
    small = cache_in(filled.folder, limit_gb=2.5 * one / 1e9)
    small.maps({"n": 3}, Numbers())
    assert numbers(entries(small)) == [3, 1]


def test_an_entry_larger_than_the_limit_is_kept_for_its_own_run(tmp_path):
    tight = cache_in(tmp_path, limit_gb=0.0)
    tight.maps({"n": 0}, Numbers())
    tight.maps({"n": 0}, Never())


def _hold(path, ready, done):
    with FileLock(path):
        ready.set()
        done.wait(60)


@pytest.mark.parametrize("which", ["the entry", "an analysis"])
def test_what_another_process_has_locked_stays(filled, which):
    folder = entries(filled)[2].folder  # used longest ago
    lock = f"{folder}.lock" if which == "the entry" else folder / "analysis-1.json.lock"
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(lock, ready, done))
    process.start()
    try:
        assert ready.wait(60)
        assert [entry.busy for entry in entries(filled)] == [False, False, True, False]
        assert verify(entries(filled)[2]) is None
        removed = prune(MapsCache(filled.folder, limit_gb=0.0))
        assert 0 not in numbers(removed)
        assert folder.exists()
    finally:
        done.set()
        process.join(60)
    assert numbers(prune(MapsCache(filled.folder, limit_gb=0.0))) == [0]


def test_list_from_the_command_line(filled, capsys):
    assert main(["cache", "--cache-dir", str(filled.folder)]) == 0
    out = capsys.readouterr().out
    assert "freckles on digits" in out
    assert "3/3" in out
    assert "format v1, not read any more" in out
    assert main(["cache", "list", "--cache-dir", str(filled.folder), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["entries"]
    assert [entry["parts"].get("n") for entry in listed] == [1, 2, 0, None]


@pytest.mark.parametrize("words", [(), ("verify",), ("list", "--json")], ids=" ".join)
def test_names_that_attack_are_names(tmp_path, capsys, words):
    cache = cache_in(tmp_path / "::x\x1b[31m")
    cache.maps({}, Numbers(), {"model": "::error::a\n::b::\x1b]0;\udc80" + "x" * 5000, "dataset": "##[c]"})
    assert main(["cache", *words, "--cache-dir", str(cache.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if line.strip().startswith("::") or "##[" in line]
    assert max(map(len, lines)) < 2500


def test_verify_from_the_command_line(filled, capsys):
    folder = ["--cache-dir", str(filled.folder)]
    prune(filled)  # the old format
    assert main(["cache", "verify", *folder]) == 0
    damaged = entries(filled)[0]
    flip(damaged.folder / "S.npy", shard_rows(damaged.folder, "S", 0))
    capsys.readouterr()
    assert main(["cache", "verify", *folder]) == 1
    assert "shard 1 of 3: S.npy has another checksum" in capsys.readouterr().out


def test_prune_from_the_command_line(filled, capsys, monkeypatch):
    with monkeypatch.context() as patch:  # a file system that is read-only, also to root
        patch.setattr(housekeeping, "remove", lambda path: None)
        assert main(["cache", "prune", "--cache-dir", str(filled.folder), "--cache-limit", "0"]) == 2
        assert "4 entries of" in capsys.readouterr().err
    assert main(["cache", "prune", "--cache-dir", str(filled.folder), "--cache-limit", "0"]) == 0
    assert "removed 4 entries" in capsys.readouterr().out
    assert entries(filled) == []


def test_an_empty_cache(tmp_path, capsys):
    assert main(["cache", "--cache-dir", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.endswith("none, which does not exist\n")
    assert not (tmp_path / "none").exists()

"""Several processes at one cache, and processes that die."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from geolip_theorems.io.errors import InputError
from tests.extraction.sources import KEY, SHARDS, Numbers, cache_in, fill, hold

NOBODY = 65534
# The processes touch files only, so a copy of this one will do and starts at once.
METHODS = multiprocessing.get_all_start_methods()
context = multiprocessing.get_context("fork" if "fork" in METHODS else "spawn")


def wait_for(path, seconds=60.0):
    end = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert path.exists()


def test_one_process_extracts_and_the_others_wait(tmp_path):
    log = tmp_path / "log"
    processes = [context.Process(target=fill, args=(tmp_path / "cache", log, 0.5)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert log.read_text().split() == ["0", "1", "2"]


def test_who_waits_says_so_and_takes_over_from_the_dead(tmp_path):
    """The holder is killed while another waits: it goes on from the shard that is there."""
    ready = tmp_path / "ready"
    holder = context.Process(target=hold, args=(tmp_path / "cache", ready))
    holder.start()
    wait_for(ready)
    said = []

    def say(line):
        said.append(line)
        if "waiting" in line:
            os.kill(holder.pid, signal.SIGKILL)

    source = Numbers()
    found = cache_in(tmp_path / "cache", say=say).maps(KEY, source)
    holder.join(10)
    assert holder.exitcode == -signal.SIGKILL
    assert said[0] == "another process is computing the same; waiting for it"
    assert "1 of 3 shards are there" in said[1]
    assert source.computed == [1, 2]
    assert found.shards == SHARDS
    np.testing.assert_array_equal(found.maps.error[:, 0, 0], 1.0 + np.arange(11))


def unprivileged(folder, out):
    """Use the cache as a user who may not write to it."""
    if os.getuid() == 0:
        os.setuid(NOBODY)
    try:
        cache_in(folder).maps(KEY, Numbers())
        message = "written"
    except InputError as error:
        message = str(error)
    out.send(message)


def too_small_a_disk(folder, out):
    """Use the cache where no file may be larger than 300 bytes: the system itself refuses the allocation."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    try:
        cache_in(folder).maps(KEY, Numbers())
        message = "written"
    except InputError as error:
        message = str(error)
    out.send(message)


def as_user(number, folder, out, value):
    """Use the cache as one of its users."""
    os.setgroups([])
    os.setgid(number)
    os.setuid(number)
    os.umask(0o022)
    source = Numbers(value)
    try:
        found = float(cache_in(folder).maps(KEY, source).maps.error[0, 0, 0])
    except InputError as error:
        found = str(error)
    out.send((found, source.computed))


def run_as(number, folder, value):
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=as_user, args=(number, folder, send, value))
    process.start()
    process.join(60)
    assert receive.poll(0), "the process said nothing"
    return receive.recv()


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can be several users")
def test_a_cache_that_everybody_may_write(tmp_path):
    """Another's entry is read where it is whole and the system allows it, else refused in one line."""
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o777)
    for parent in (tmp_path, *tmp_path.parents[:-1]):
        if parent.stat().st_uid == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    first, second = NOBODY, NOBODY - 1
    assert run_as(first, folder, 1.0) == (1.0, [0, 1, 2])
    said, computed = run_as(second, folder, 2.0)
    assert "cannot be written (Permission denied)" in said
    assert said.isprintable()
    assert computed == []
    assert run_as(0, folder, 3.0) == (1.0, [])
    for path in folder.rglob("*"):  # as with a umask of 0, or a group that shares
        path.chmod(path.stat().st_mode | 0o666 | (0o111 if path.is_dir() else 0))
    assert run_as(second, folder, 2.0) == (1.0, [])
    entry = next(folder.glob("v*/*/error.npy"))
    entry.write_bytes(b"\0" * entry.stat().st_size)
    assert run_as(second, folder, 2.0) == (2.0, [0, 1, 2])


@pytest.mark.skipif(os.name != "posix", reason="users and limits of this kind are POSIX")
@pytest.mark.parametrize(
    ("attempt", "reason"), [(unprivileged, "Permission denied"), (too_small_a_disk, "File too large")]
)
def test_what_the_system_refuses_is_one_clear_line(tmp_path, attempt, reason):
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in tmp_path.parents:  # so that another user gets as far as the folder
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    receive, send = context.Pipe(duplex=False)
    if attempt is too_small_a_disk:
        folder.chmod(0o755)
    process = context.Process(target=attempt, args=(folder, send))
    process.start()
    process.join(60)
    assert receive.poll(0), "the process said nothing"
    message = receive.recv()
    assert "cannot be written" in message
    assert reason in message
    assert "\n" not in message
    assert not list(folder.rglob("*.npy"))

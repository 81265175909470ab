"""What torch's last bits depend on is set for a while and then as it was, also after an exception."""

from __future__ import annotations

import threading

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from geolip_theorems.model.threads import (
    ieee_float32,
    meanwhile,
    one_blas_thread,
    one_thread,
    seeded,
    thread_pool,
)


@pytest.fixture
def settings():
    """Two threads and TF32 wherever it can be, for the time of a test."""
    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    yield now
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])
    torch.backends.cudnn.allow_tf32 = before[2]


def now():
    return torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("enter", "inside"),
    [
        (one_thread, (1, "high", True)),
        (lambda: thread_pool(2), (1, "high", True)),
        (ieee_float32, (2, "highest", False)),
    ],
)
def test_settings_hold_inside_alone(settings, enter, inside):
    def fail():
        with enter():
            assert settings() == inside
            raise KeyError

    assert settings() == (2, "high", True)
    with pytest.raises(KeyError):
        fail()
    assert settings() == (2, "high", True)


def test_a_pools_threads_have_one_thread_each(settings):
    with thread_pool(2) as pool:
        assert list(pool.map(lambda _: torch.get_num_threads(), range(4))) == [1] * 4


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_blas_has_one_thread_until_the_last_who_asked_has_left():
    with threadpool_limits(2, "blas"):
        first, second = one_blas_thread(), one_blas_thread()
        assert blas_threads() == {2}
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


def test_draws_begin_at_a_seed_and_leave_the_generator_as_it_was():
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    with seeded(3):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(3):
        assert torch.equal(torch.rand(2), first)
    with seeded(4):
        assert not torch.equal(torch.rand(2), first)


def test_two_threads_do_not_draw_from_each_others_seed():
    found, begun = [], threading.Event()

    def draw():
        begun.set()
        with seeded(3):
            found.append(torch.rand(2))

    with seeded(5):
        other = threading.Thread(target=draw)
        other.start()
        begun.wait()
        own = torch.rand(2)
    other.join()
    for seed, drawn in ((5, own), (3, found[0])):
        with seeded(seed):
            assert torch.equal(torch.rand(2), drawn)


def test_what_is_done_meanwhile_runs_alone_and_what_is_not_begun_is_given_up(settings):
    gate, done = threading.Event(), []
    with pytest.raises(KeyError), meanwhile() as pool:  # noqa: PT012
        first = pool.submit(lambda: (gate.wait(), done.append(torch.get_num_threads())))
        second = pool.submit(done.append, "second")
        assert torch.get_num_threads() == 2
        gate.set()
        first.result()
        gate.clear()
        pool.submit(gate.wait, 0.2)
        second = pool.submit(done.append, "third")
        raise KeyError
    assert done == [1, "second"]
    assert second.cancelled()
    assert settings() == (2, "high", True)

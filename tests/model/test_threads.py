"""What torch's last bits depend on is set for a while and then as it was, also after an exception."""

from __future__ import annotations

import pytest
import torch

from geolip_theorems.model.threads import ieee_float32, one_thread, thread_pool


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

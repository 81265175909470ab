"""What torch's last bits depend on: its threads, which on a busy machine also wait spinning, and TF32."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch's operations of this thread run on it alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def ieee_float32() -> Iterator[None]:
    """On CUDA float32 is IEEE's, in cuDNN's convolutions too, whose default is TF32: 10 bits of 23."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    cudnn = torch.backends.cudnn
    try:
        with cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def thread_pool(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads, like this one, each run torch's operations alone; given up on an exception."""
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    with one_thread():
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

"""Torch on one thread: its last bits depend on how many there are, and on a busy machine they wait spinning."""

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
def thread_pool(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool; its threads' operations of torch, and this one's, run on their thread alone.

    Given up at once on an exception.
    """
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    with one_thread():
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

"""What last bits depend on: threads of torch and BLAS, which on a busy machine also wait spinning; TF32."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import scipy.linalg  # noqa: F401  (limits reach the libraries that are loaded)
import torch
from threadpoolctl import threadpool_limits

_drawing = threading.RLock()
_blas = threading.Lock()
_limits: list[threadpool_limits] = []  # one an asker; the first remembers what there was


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
def one_blas_thread() -> Iterator[None]:
    """NumPy's and SciPy's BLAS runs on its caller's thread alone: in the whole process, till all leave."""
    with _blas:
        _limits.append(threadpool_limits(1, "blas"))
    try:
        yield
    finally:
        with _blas:
            last = _limits.pop()
            if not _limits:
                last.restore_original_limits()


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Torch's global generators begin at a seed, and are afterwards as they were; one thread at a time."""
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with _drawing, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


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
def meanwhile() -> Iterator[ThreadPoolExecutor]:
    """One more thread, for what can be done beside; what it has not begun by an exception is not begun."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with one_blas_thread():
            yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)  # the thread's setting is that of threads yet to begin


@contextmanager
def thread_pool(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads, like this one, each run torch and BLAS alone; given up on an exception."""
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    with one_thread(), one_blas_thread():
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

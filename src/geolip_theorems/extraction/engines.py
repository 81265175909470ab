"""Shards spread over processes or a Ray cluster.

A tile runs on one thread whatever computes it, so the maps are the same to the last bit for any number of
workers on processors of one kind. The process that asked writes every shard; workers only compute.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import torch

from ..io.errors import InputError
from .extract import Extraction
from .shards import Shard
from .tiles import Arrays

RETRIES = 3  # times that workers which died are replaced
GET_RAY = "Ray is not installed; install it with: pip install 'geolip-theorems[ray]'"

Flow = Iterator[tuple[Shard, Arrays]]


def spread(
    extraction: Extraction, workers: int = 0, engine: str = "local", ray_address: str | None = None
) -> Extraction:
    """The extraction, told to run in this process, in worker processes or on Ray (``engine="ray"``).

    ``workers`` 0 is this process alone, with Ray one for each of its processors or GPUs; an address of None
    starts Ray on this machine.
    """
    if engine == "ray":
        extraction.engine = partial(on_ray, workers=workers, address=ray_address)
    elif workers:
        extraction.engine = partial(in_processes, workers=workers)
    return extraction


def in_processes(extraction: Extraction, shards: Sequence[Shard], workers: int) -> Flow:
    """Shards computed by worker processes, one for each GPU in turn where there are any.

    Raises:
        InputError: the model or the images cannot be sent to another process, or workers keep dying.
    """
    cargo = packed(extraction)
    left = {shard.number: shard for shard in shards}
    for attempt in range(RETRIES + 1):
        workers = min(workers, len(left))
        try:
            with _pool(cargo, workers) as pool:
                for shard, arrays in _as_they_come(pool, list(left.values()), 2 * workers):
                    del left[shard.number]
                    yield shard, arrays
            return
        except BrokenProcessPool:
            if attempt < RETRIES:
                extraction.say(f"a worker process died; replacing it, {len(left)} shards to go")
    raise InputError(
        f"worker processes died {RETRIES + 1} times; the system may be out of memory: use fewer --workers"
    )


def on_ray(extraction: Extraction, shards: Sequence[Shard], workers: int, address: str | None) -> Flow:
    """Shards computed by actors on a Ray cluster, which restarts those that die.

    Raises:
        InputError: Ray is not installed or not reachable, or model or images cannot be sent.
    """
    ray = import_ray()
    from ray.util import ActorPool

    cargo = packed(extraction)
    gpu = extraction.device.type == "cuda"
    with _connected(ray, address, workers):
        there = int(ray.cluster_resources().get("GPU" if gpu else "CPU", 1))
        count = min(workers or there, len(shards))
        actor = ray.remote(max_restarts=RETRIES, max_task_retries=RETRIES)(Worker)
        actor = actor.options(num_cpus=0 if gpu else 1, num_gpus=1 if gpu else 0)
        try:
            shared = ray.put(cargo)
            pool = ActorPool([actor.remote(shared) for _ in range(count)])
            yield from pool.map_unordered(lambda worker, shard: worker.compute.remote(shard), list(shards))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(str(error.cause)) from None  # Ray's own message is a whole traceback
            raise
        except SystemError as error:  # what a signal's handler raised while Ray's C code waited
            raise (error.__cause__ or error) from None
        except ray.exceptions.RayError as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"Ray's workers keep dying ({reason}); see Ray's logs") from None


class Worker:
    """Computes shards on a device, the extraction's own by default; no bit depends on the threads."""

    def __init__(self, cargo: bytes, device: str | None = None, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        content = pickle.loads(cargo)
        content["device"] = device or content["device"]
        content["model"] = content["model"].to(content["device"])
        self.extraction = Extraction(content.pop("model"), content.pop("images"), **content)

    def compute(self, shard: Shard) -> tuple[Shard, Arrays]:
        return next(iter(self.extraction.run([shard])))


def packed(extraction: Extraction) -> bytes:
    """What a worker needs of an extraction; ``InputError`` where it cannot be pickled."""
    on_cpu = extraction.device.type == "cpu"
    content: dict[str, Any] = {
        "model": extraction.model if on_cpu else copy.deepcopy(extraction.model).cpu(),
        "images": extraction.images,
        "device": extraction.device.type,
        "ablated": extraction.ablated,
        "batch": extraction.batch,
    }
    try:
        return pickle.dumps(content)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the model or the images cannot be sent to a worker ({reason}); use --workers 0"
        ) from None


def import_ray() -> Any:
    """The ``ray`` module; ``InputError`` says how to get it."""
    try:
        import ray
    except ImportError:
        raise InputError(GET_RAY) from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None, workers: int) -> Iterator[None]:
    """Ray up and running; shut down afterwards unless it was up before."""
    before = ray.is_initialized()
    if not before:
        local = {"num_cpus": workers or None, "include_dashboard": False} if address is None else {}
        try:
            with _signals_kept():
                _knock(address)
                ray.init(address=address or "local", log_to_driver=False, logging_level="error", **local)
        except Exception as error:  # a Ray that dies while it starts raises just that
            reason = str(error).splitlines()[0]
            where = repr(address) if address else "on this machine"
            raise InputError(f"Ray cannot be reached {where} ({reason}); check --ray-address") from None
    try:
        yield
    finally:
        if not before:
            ray.shutdown()


def _knock(address: str | None) -> None:
    """Raise OSError where nobody answers at ``host:port``, for which Ray itself waits many minutes."""
    place = urlsplit(address if address and "//" in address else f"//{address}")
    if place.port:
        socket.create_connection((place.hostname, place.port), timeout=20).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """This process's SIGTERM stays its own, and what is started meanwhile outlives a closed terminal."""
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    term, mask = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, term)


@contextmanager
def _pool(cargo: bytes, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes; on the way out with an exception they are ended, not waited for."""
    context = multiprocessing.get_context("spawn")  # a copy of a process with threads or CUDA is not safe
    numbers = context.SimpleQueue()
    for number in range(workers):
        numbers.put(number)
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(workers, context, _start, (cargo, numbers, threads))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


_worker: Worker | None = None


def _start(cargo: bytes, numbers: Any, threads: int) -> None:
    """Make this process a worker. The one that asked hears Ctrl-C; if it dies, so does this one."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    number = numbers.get()
    gpus = torch.cuda.device_count()
    on_gpu = pickle.loads(cargo)["device"] == "cuda" and gpus
    _worker = Worker(cargo, f"cuda:{number % gpus}" if on_gpu else None, threads)


def _die_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _compute(shard: Shard) -> tuple[Shard, Arrays]:
    return _worker.compute(shard)


def _as_they_come(pool: ProcessPoolExecutor, shards: list[Shard], ahead: int) -> Flow:
    """Results as they are ready, with at most ``ahead`` shards under way or waiting to be taken."""
    waiting: set[Future] = set()
    while shards or waiting:
        while shards and len(waiting) < ahead:
            waiting.add(pool.submit(_compute, shards.pop(0)))
        ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in ready:
            yield future.result()

"""Many matrices: chunks, indices beyond 32 bits, memory, and what compiling costs."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from geolip_theorems.conduit import conduit
from tests.conduit.matrices import grams

ALL = pytest.mark.skipif(not os.environ.get("CONDUIT_ALL_SIZES"), reason="CONDUIT_ALL_SIZES=1 compiles them")
TEN_MILLION = 10_000_000
COMPILE = """
import sys, time, torch
from geolip_theorems.conduit import conduit
from tests.conduit.matrices import clustered, grams
torch.set_num_threads(1)
n = int(sys.argv[1])
A = torch.cat([grams(300, n), clustered(40, n)])
start = time.process_time()
conduit(A, backend="numba")
print(time.process_time() - start)
"""


def resident() -> int:
    """The largest resident memory of this process so far, bytes."""
    resource = pytest.importorskip("resource")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def test_indices_have_64_bits(tmp_path):
    """Entry 2^31 of A and of the eigenvectors: the last tile of arrays that are holes elsewhere."""
    numba_backend = pytest.importorskip("geolip_theorems.conduit.numba_backend")
    batch, n, lanes = 2**29 + 64, 2, 64

    def sparse(name: str, *shape: int) -> np.ndarray:
        return np.memmap(tmp_path / name, np.float32, "w+", shape=shape)

    A, some = sparse("A", batch, n, n), grams(lanes, n)
    A[-lanes:] = some.numpy()
    shapes = [(batch, n), (batch, n, n), (batch, n), (batch, n), (batch, n), (batch,)]
    fields = [sparse(str(i), *shape) for i, shape in enumerate(shapes)]
    status = np.memmap(tmp_path / "status", np.uint8, "w+", shape=(batch,))
    expected = conduit(some)
    numba_backend.solve_tiles(
        (0,) * n, numba_backend.start_offsets(n), False, A, np.empty((0, n), np.float32), *fields, status,
        batch // lanes - 1, batch // lanes,
    )  # fmt: skip
    names = ("eigenvalues", "eigenvectors", "char_coeffs", "friction", "settle", "refinement_residual")
    for name, field in zip(names, fields, strict=True):
        assert np.array_equal(field[-lanes:], getattr(expected, name).numpy()), name


def test_ten_million_matrices():
    """Every row as by itself, in memory for the packet and little more."""
    some = grams(65_536, 2)
    A = some.repeat(-(-TEN_MILLION // len(some)), 1, 1)[:TEN_MILLION]
    conduit(some)
    before = resident()
    packet = conduit(A)
    packet_bytes = sum(value.untyped_storage().nbytes() for value in packet.tensors().values())
    assert resident() - before < packet_bytes + 256 * 2**20
    alone = conduit(A[-1000:])
    first = conduit(some)
    for name in ("eigenvalues", "eigenvectors", "friction", "settle", "refinement_residual", "rescued"):
        value = getattr(packet, name)
        assert torch.equal(value[-1000:], getattr(alone, name)), name
        assert torch.equal(value[: len(some)], getattr(first, name)), name


@pytest.mark.parametrize("n", [2, 16, *(pytest.param(n, marks=ALL) for n in (4, 6, 8, 12))])
def test_compiling_takes_less_than_thirty_seconds(n, tmp_path):
    """Processor time of a size's first call, with the repair of rows that need it, in an empty cache."""
    pytest.importorskip("numba")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", COMPILE, str(n)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert float(run.stdout) < (30 if n > 2 else 15)

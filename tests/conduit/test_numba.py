"""The compiled backend: the reference bit for bit, vectorised, safe to start several times at once."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geolip_theorems.conduit import conduit
from tests.conduit.matrices import COMPILED, REPORTED, clustered, grams, hard_matrix

numba = pytest.importorskip("numba")
DATA = Path(__file__).parents[1] / "data" / "conduit.npz"
TELEMETRY = ("char_coeffs", "friction", "settle", "extraction_order", "refinement_residual", "rescued")


def same(x: torch.Tensor, y: torch.Tensor) -> bool:
    return np.array_equal(x.numpy(), y.numpy(), equal_nan=x.dtype.is_floating_point)


def assert_equal_to_reference(A: torch.Tensor) -> None:
    ours, reference = conduit(A, backend="numba"), conduit(A, backend="torch")
    for name in TELEMETRY:
        assert same(getattr(ours, name), getattr(reference, name)), name
    own = ~ours.rescued
    assert same(ours.eigenvalues[own], reference.eigenvalues[own])
    assert same(ours.eigenvectors[own], reference.eigenvectors[own])


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 8, 12, 16])
def test_bit_for_bit_on_golden_kinds(n):
    with np.load(DATA) as golden:
        keys = [k for k in golden.files if k.startswith(f"n{n}_") and k.endswith("_A")]
        assert len(keys) == 11
        for key in keys:
            assert_equal_to_reference(torch.from_numpy(golden[key]))


@pytest.mark.parametrize("n", COMPILED)
@pytest.mark.parametrize("kind", REPORTED)
def test_bit_for_bit_on_every_kind(n, kind):
    """More matrices than a tile has lanes, and not a whole number of tiles."""
    assert_equal_to_reference(REPORTED[kind](75, n))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data(), n=st.sampled_from(COMPILED))
def test_bit_for_bit_on_hard_matrices(data, n):
    assert_equal_to_reference(
        torch.from_numpy(np.stack(data.draw(st.lists(hard_matrix(n), min_size=1, max_size=6))))
    )


@pytest.mark.parametrize(("n", "backend"), [(4, "numba"), (4, "torch"), (8, "numba")])
def test_a_row_depends_on_itself_alone(n, backend):
    """Order, batch size, neighbours (easy, hard or invalid) and threads never change a row."""
    A = torch.cat([grams(600, n), clustered(100, n)])
    A = A[torch.randperm(len(A), generator=torch.Generator().manual_seed(0))]
    whole = conduit(A, backend=backend)
    order = torch.randperm(len(A), generator=torch.Generator().manual_seed(1))
    shuffled = conduit(A[order], backend=backend)
    few = [conduit(A[i : i + 1], backend=backend) for i in (0, 31, 32, 699)]
    broken = A.clone()
    broken[::3] = torch.nan
    masked = conduit(broken, backend=backend, on_invalid="mask")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    big = conduit(A.repeat(3, 1, 1), backend=backend)
    torch.set_num_threads(threads)
    for name, value in whole.tensors().items():
        assert same(value[order], getattr(shuffled, name)), name
        assert same(value.repeat(3, *[1] * (value.ndim - 1)), getattr(big, name)), name
        rows = torch.arange(len(A)) % 3 != 0
        assert same(value[rows], getattr(masked, name)[rows]), name
        for i, packet in zip((0, 31, 32, 699), few, strict=True):
            assert same(value[i : i + 1], getattr(packet, name)), name


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize(
    ("n", "least"),
    [
        # Four A / s; three Laguerre divisions, a root and two more for the last root; polish; adjugate.
        (2, 4 + 4 + 2 + 2 * 3 + 2 * 2),
        # Loops: norm, A / s; two traces; Laguerre's four and a root; polish of seven roots; adjugate; test.
        (7, 3 + 2 + 5 + 7 + 2 + 3),
    ],
)
def test_divisions_are_vector_instructions(n, least):
    """The path is bound by divisions and roots: none of them may be scalar."""
    from geolip_theorems.conduit import numba_setup, numba_solver

    def divisions(kernel, signature) -> tuple[int, int]:
        """(vector, scalar) divisions and square roots in the compiled code."""
        compiled = numba.njit(**numba_setup.OPTIONS)(kernel)
        compiled.compile(signature)
        (assembly,) = compiled.inspect_asm().values()
        return tuple(len(re.findall(rf"\bv?(?:div|sqrt){kind}[sd]\s", assembly)) for kind in "ps")

    conduit(torch.diag(torch.arange(1.0, n + 1)), backend="numba")
    tiles = numba_solver.solve_tiles
    vector, scalar = divisions(tiles.py_func, next(s for s in tiles.signatures if s[0].count == n))
    assert vector >= least
    assert scalar == 0
    # Negative control: what one division by itself compiles to.
    assert divisions(lambda x, y: x / y, (numba.float64, numba.float64)) == (0, 1)


def test_several_processes_start_at_once(tmp_path):
    """Processes that compile into one empty cache at the same time get the right answer."""
    code = (
        "import torch; from geolip_theorems.conduit import conduit;"
        "A = torch.diag(torch.tensor([3., 1.])).repeat(5, 1, 1); A[0] = torch.eye(2);"
        "print(conduit(A, backend='numba').eigenvalues[4].tolist())"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    starts = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate()[0].strip() for process in starts] == ["[1.0, 3.0]"] * 3
    assert list(tmp_path.glob("conduit-*/**/*.nbc"))


@pytest.mark.parametrize("threads", [1, 2])
def test_repairs_run_on_any_number_of_threads(threads):
    """Four thousand matrices that all need repair: enough tiles for two threads."""
    vectors = torch.linalg.qr(torch.randn(4000, 4, 4, generator=torch.Generator().manual_seed(0)))[0]
    values = torch.tensor([1.0, 1.0, 2.0, 3.0])
    A = vectors @ torch.diag(values) @ vectors.mT
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        packet = conduit((A + A.mT) / 2, backend="numba")
    finally:
        torch.set_num_threads(before)
    assert packet.rescued.float().mean() > 0.5
    torch.testing.assert_close(packet.eigenvalues, values.expand(4000, 4), rtol=0, atol=1e-5)

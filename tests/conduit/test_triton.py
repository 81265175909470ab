"""The Triton kernel: interpreted on the CPU against the reference, and compiled for a GPU without one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu.checks import resources
from geolip_theorems.conduit import backends, conduit, conduit_from_svd
from geolip_theorems.conduit.cache import cache_directory
from tests.conduit.matrices import TOLERANCE, clustered, grams, residuals

triton = pytest.importorskip("triton")
quick_compiler = pytest.importorskip("geolip_theorems.conduit.triton_backend").quick_compiler
DATA = Path(__file__).parents[1] / "data" / "conduit.npz"


@pytest.fixture
def interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")


def same(x: torch.Tensor, y: torch.Tensor) -> bool:
    return np.array_equal(x.numpy(), y.numpy(), equal_nan=x.dtype.is_floating_point)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_interpreted_kernel_is_the_reference_bit_for_bit(interpreted, n):
    with np.load(DATA) as golden:
        keys = [k for k in golden.files if k.startswith(f"n{n}_") and k.endswith("_A")]
        A = torch.cat([torch.from_numpy(golden[k])[:4] for k in keys])
    ours, reference = conduit(A, backend="triton"), conduit(A, backend="torch")
    for name, value in reference.tensors().items():
        assert same(getattr(ours, name), value), name
    assert max(residuals(A, *ours.eigenpairs())) <= TOLERANCE


def test_interpreted_rows_do_not_depend_on_blocks(interpreted):
    A = torch.cat([grams(70, 3), clustered(9, 3)])
    order = torch.randperm(len(A), generator=torch.Generator().manual_seed(0))
    whole, shuffled = conduit(A, backend="triton"), conduit(A[order], backend="triton")
    for name, value in whole.tensors().items():
        assert same(value[order], getattr(shuffled, name)), name


def test_interpreted_fused_entry(interpreted):
    generator = torch.Generator().manual_seed(0)
    Vt, S = (
        torch.linalg.qr(torch.randn(20, 4, 4, generator=generator))[0],
        torch.rand(20, 4, generator=generator),
    )
    for ours, reference in zip(
        conduit_from_svd(Vt, S, "triton"), conduit_from_svd(Vt, S, "torch"), strict=True
    ):
        assert same(ours, reference)


def test_interpreted_larger_sizes_take_the_reference(interpreted):
    A = grams(5, 8)
    assert same(conduit(A, backend="triton").friction, conduit(A, backend="torch").friction)


def test_without_a_c_compiler_torch_takes_over(monkeypatch):
    """Triton's launcher is C; where nothing compiles it CUDA tensors take torch, with one warning."""
    cuda = torch.device("cuda")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("CC", "gcc")
    assert backends.choose("auto", cuda).name == "triton"
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    backends.warn_once.cache_clear()
    with pytest.warns(UserWarning, match="triton is not available for cuda tensors .*a C compiler"):
        assert backends.choose("auto", cuda) is backends.TORCH
    backends.warn_once.cache_clear()
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert backends.choose("triton", torch.device("cpu")).name == "triton"


def compiled(n: int):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from geolip_theorems.conduit.triton_kernels import kernel_module

    solve = kernel_module(n, cache_directory("triton_*.py"), False).solve
    pointers = {name: "*fp32" for name in solve.arg_names[:8]} | {"status": "*u8", "batch": "i32"}
    constants = {"LIMIT": 8e-6, "SKEW": 0.9e-10, "FUSED": False, "DEVICE": True, "BLOCK": 64}
    source = ASTSource(solve, {**pointers, **dict.fromkeys(constants, "constexpr")}, constexprs=constants)
    options = {"enable_fp_fusion": False, "num_warps": 2}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Triton's, with nothing in its cache."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("n", [2, 3, 4, 5])  # make gpu compiles 6 too, in twice the time of all these
def test_kernels_compile_for_a_gpu(compiler, n):
    """Ahead of time, for compute capability 9.0: rounded divisions and roots, and no fused multiply-add.

    Up to n = 4 a matrix fits a thread's 255 registers.
    """
    with quick_compiler():
        found = compiled(n)
    assembly = found["ptx"]
    assert "div.rn.f32" in assembly
    assert "sqrt.rn.f32" in assembly
    assert not re.search(r"\bdiv\.(full|approx)|\bsqrt\.approx", assembly)
    assert not re.search(r"\bfma\.rn", assembly)
    registers, spilled = resources(found["cubin"])
    assert registers <= 255
    assert (spilled == 0) == (n <= 4)  # 5 is the negative control


def test_the_pass_left_out_changes_nothing(compiler, monkeypatch, tmp_path):
    with quick_compiler():
        without = compiled(2)["cubin"]
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "another"))
    assert compiled(2)["cubin"] == without

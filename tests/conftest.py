"""Loaded once, before pytester's runs inside this process, which forget what they import: Numba's and
torch's registries do not bear a second import."""

import contextlib

import pytest

with contextlib.suppress(ImportError):
    import numba

    # Compiling loads what an import alone leaves for later.
    numba.njit(lambda x: x + 1)(1)


@pytest.fixture(autouse=True)
def _as_if_alone(monkeypatch):
    """Runs that tests start are no workers of the run they are tests of."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)

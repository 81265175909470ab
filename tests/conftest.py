"""Loaded once, before pytester's runs inside this process, which forget what they import: Numba's and
torch's registries do not bear a second import."""

import contextlib

with contextlib.suppress(ImportError):
    import numba

    # Compiling loads what an import alone leaves for later.
    numba.njit(lambda x: x + 1)(1)

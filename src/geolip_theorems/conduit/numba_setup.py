"""How the kernels are compiled and cached, and the constants they share."""

from __future__ import annotations

import numba
import numpy as np

from . import checks, repair
from .cache import cache_directory

# error_model: the default's check for division by zero is a branch, which stops vectorisation.
# nogil: Python threads run ranges of tiles side by side, so no threading layer is needed.
OPTIONS = {"error_model": "numpy", "nogil": True, "boundscheck": False, "fastmath": False}

# Matrices in a tile of the repair, and of the pass for the larger sizes: two float64 vectors of 64 bytes, and
# the Faddeev-LeVerrier matrices, which grow as n^3, stay in the second cache.
LANES = 16
FAILED, SUSPECT = 1, 2

D0, D1 = 0.0, 1.0
F0, F1 = np.float32(0), np.float32(1)
HALF = np.float32(0.5)
TEST_LIMIT, SUSPECT_ASYMMETRY = np.float32(repair.TEST_LIMIT), np.float32(checks.SUSPECT_ASYMMETRY)


CACHE_DIRECTORY = cache_directory("numba_*.py")


def inlined(function):
    """A part of a kernel, compiled into its callers."""
    return numba.njit(forceinline=True, **OPTIONS)(function)


def compiled(function):
    """A kernel, kept in CACHE_DIRECTORY whatever NUMBA_CACHE_DIR says elsewhere in the process."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE_DIRECTORY)
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    finally:
        numba.config.CACHE_DIR = before

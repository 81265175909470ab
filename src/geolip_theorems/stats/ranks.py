"""Rank correlations over the patches of each image."""

from __future__ import annotations

import numpy as np
import scipy


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of a with the same row of b, ties given their mean rank.

    Args:
        a, b: (N, P). A row of ``a`` without variation goes with nothing: 0. A row of ``b`` without
            variation has nothing to go with: NaN.

    Returns:
        (N,) float64.
    """
    x, y = (scipy.stats.rankdata(rows, axis=1) - (rows.shape[1] + 1) / 2 for rows in (a, b))
    xx, yy = np.square(x).sum(1), np.square(y).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (x * y).sum(1) / np.sqrt(xx * yy)
    return np.where(yy > 0, np.where(xx > 0, r, 0.0), np.nan)


def partial_rank_correlation(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Spearman's partial correlation of rows of a and b, the ranks of ``given`` removed from both, (N,).

    Where ``given`` does not vary over an image this is the plain correlation; where it orders ``b`` (or
    a) completely nothing is left: NaN (0).
    """
    ab, ag, bg = rank_correlation(a, b), rank_correlation(a, given), rank_correlation(b, given)
    ag, bg = np.nan_to_num(ag), np.nan_to_num(bg)
    left_a, left_b = 1 - ag**2, 1 - bg**2
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (ab - ag * bg) / np.sqrt(left_a * left_b)
    return np.where(left_b > 1e-9, np.where(left_a > 1e-9, r, np.where(np.isnan(ab), np.nan, 0.0)), np.nan)

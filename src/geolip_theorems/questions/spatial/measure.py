"""Question 1: does the error vary over patches beyond what sampling a patch's pixels makes it vary?"""

from __future__ import annotations

import numpy as np

from ...stats.estimators import RootMeanSquare, signed_root
from ...stats.figure import Figure, figure
from ...stats.grids import NO_ERROR, over, raw_mean
from ...stats.intervals import mean_figure, permutation_p
from ..base import Measured
from ..study import N_NULL, Study

MOST_IN_NULL = 200  # images; an even sample of more
ROOT = RootMeanSquare()
ONE_PATCH = "a grid of one patch has nothing to vary over"
ONE_PIXEL = "patches of one pixel: what its error varies by cannot be told from sampling"


def corrected_squared_cv(error: np.ndarray, pixel_var: np.ndarray, pixels: int) -> np.ndarray:
    """Squared spatial CV of each image without the part that independent pixels give.

    A patch's error is a mean over m pixels; with population variance v over these it carries a sampling
    variance estimated without bias by v / (m - 1), which is taken from the unbiased variance over patches.

    Args:
        error: (N, gh, gw). pixel_var: (N, gh, gw) population variance over pixels of the squared error
            averaged over channels.
        pixels: of a patch, its size squared.

    Returns:
        (N,) float64; NaN on a grid of one patch, for patches of one pixel, and where there is no error.
    """
    e = np.asarray(error, np.float64).reshape(len(error), -1)
    if e.shape[1] < 2 or pixels < 2:
        return np.full(len(e), np.nan)
    sampling = np.asarray(pixel_var, np.float64).reshape(len(e), -1).mean(1) / (pixels - 1)
    return over(e.var(1, ddof=1) - sampling, e.mean(1) ** 2, np.nan)


def spatial_cv(error: np.ndarray) -> np.ndarray:
    """Unbiased standard deviation over patches by the mean, per image: (N, gh, gw) -> (N,) float64."""
    flat = np.asarray(error, np.float64).reshape(len(error), -1)
    if flat.shape[1] < 2:
        return np.full(len(flat), np.nan)
    return over(flat.std(1, ddof=1), flat.mean(1), np.nan)


def measure(study: Study) -> Measured:
    """Figures of question 1 under ``spatial_cv``; values ``squared_cv`` and ``raw_cv``, (N,) float64.

    ``corrected``: root mean square over images, the verdict's, with ``p`` and ``null`` of the pixel shuffle.
    ``corrected_mean``: mean of the images' signed roots. ``raw``: mean, uncorrected. ``split_half``: from the
    covariance of the halves (N, gh, gw, 2) of a patch's pixels. ``stability``: correlation of the halves'
    maps, stepped up to whole patches (Spearman-Brown); these two are None without halves. Where nothing can
    be corrected values are None and their method says why.

    Cost: O(N gh gw), and ``study.n_null`` random maps of at most 200 images: 1.5 s for 256 patches.
    """
    error, pixel_var, pixels = study.maps.error, study.maps.pixel_var, study.maps.patch_pixels
    error_half, groups, n_null = study.maps.error_half, study.units, study.n_null
    squared = corrected_squared_cv(error, pixel_var, pixels)
    raw = spatial_cv(error)
    values = {"squared_cv": squared, "raw_cv": raw}
    if np.isnan(squared).all():
        why = ONE_PATCH if error[0].size < 2 else NO_ERROR if np.isnan(raw).all() else ONE_PIXEL
        none = figure(None, None, len(error), why)
        shown = none if np.isnan(raw).all() else mean_figure(raw, groups)
        figures = {"corrected": none, "corrected_mean": none, "raw": shown}
        return Measured({"spatial_cv": {**figures, "split_half": none, "stability": none}}, values)
    known = np.flatnonzero(np.isfinite(squared))
    some = known[np.linspace(0, len(known) - 1, min(len(known), MOST_IN_NULL)).astype(int)]
    null = shuffled_pixel_cv(error[some], pixel_var[some], pixels, study.seed, n_null)
    observed = float(np.sqrt(np.square(raw[some]).mean()))
    chance = {
        "mean": float(null.mean()),
        "q95": float(np.quantile(null, 0.95)),
        "of": "root mean square raw CV, pixels shuffled over the image",
        "observed": observed,
        "shuffles": n_null,
        "images": len(some),
    }
    p = permutation_p(observed, null, "greater", 1e-6 * observed)
    result: dict[str, Figure | None] = {
        "corrected": ROOT.figure(squared, groups) | {"p": p, "null": chance},
        "corrected_mean": mean_figure(signed_root(squared), groups),
        "raw": mean_figure(raw, groups),
        "split_half": None,
        "stability": None,
    }
    if error_half is not None:
        covariance, correlation = _halves(error_half)
        result["split_half"] = ROOT.figure(over(covariance, raw_mean(error) ** 2, np.nan), groups)
        stepped = 2 * correlation / np.maximum(1 + correlation, 1e-3)
        result["stability"] = mean_figure(stepped, groups)
    return Measured({"spatial_cv": result}, values)


def shuffled_pixel_cv(
    error: np.ndarray, pixel_var: np.ndarray, pixels: int, seed: int, n_null: int = N_NULL
) -> np.ndarray:
    """Root mean square raw CV of data sets whose pixels are dealt out anew over each image, (n_null,).

    Every patch then holds m draws from the image's pooled pixel errors, whose mean and variance the maps
    give exactly. Patch means of such draws are taken as gamma variables scaled to the image's mean, their
    shape such that the mean squared CV is that of the shuffle, s^2 / (m mean^2) with s^2 the unbiased pooled
    variance: P gammas of shape a over their mean have one of 1 / (a + 1/P).
    """
    e = np.asarray(error, np.float64).reshape(len(error), -1)
    patches, mean = e.shape[1], e.mean(1)
    pooled = np.asarray(pixel_var, np.float64).reshape(e.shape).mean(1) + e.var(1)
    count = patches * pixels
    with np.errstate(invalid="ignore", divide="ignore"):
        squared_cv = pooled * count / (count - 1) / pixels / mean**2
    shape = 1 / squared_cv[squared_cv > 0] - 1 / patches
    shape = np.maximum(shape, 1e-3).astype(np.float32)
    rng = np.random.default_rng(seed)
    out = np.zeros(n_null)
    for i in range(n_null):
        draw = rng.standard_gamma(shape[:, None], (len(shape), patches), dtype=np.float32)
        level = np.square(draw.mean(1))  # 0 where all but one underflow: all of the error in one patch
        ratio = np.divide(draw.var(1, ddof=1), level, out=np.full_like(level, patches), where=level > 0)
        out[i] = ratio.sum() / len(e)
    return np.sqrt(out)


def _halves(error_half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unbiased covariance and correlation over patches of the two half maps, (N,) each."""
    half = np.asarray(error_half, np.float64).reshape(len(error_half), -1, 2)
    centred = half - half.mean(1, keepdims=True)
    covariance = (centred[..., 0] * centred[..., 1]).sum(1) / (half.shape[1] - 1)
    spread = np.sqrt(np.square(centred).sum(1).prod(1)) / (half.shape[1] - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariance, np.where(spread > 0, covariance / spread, np.nan)

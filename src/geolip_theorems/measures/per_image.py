"""What single images add to the figures: the arrays by which two runs on the same images are compared.

Kept in a run's companion file (:mod:`geolip_theorems.companion`); how a metric's difference is formed from
them is in :mod:`geolip_theorems.metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .arrays import image_groups, image_labels
from .boundaries import brightness, partial_rank_correlation, rank_correlation
from .modes import costliest_modes, share_elsewhere
from .seed import spatial_cv
from .spatial import corrected_squared_cv, raw_mean

PREFIX = "per_image/"


def per_image_arrays(maps: Any, hits: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """The per-image arrays of a subject.

    Args:
        maps: see :class:`geolip_theorems.extraction.Maps`.
        hits: (R, N) bool a probe, whether the classifier not trained on an image named its class; or None.

    Returns:
        Under ``per_image/``, for N images, A of them ablated: ``position`` (N,) in the image set;
        ``label``, ``group`` (N,) where there are any; ``error`` mean release error; ``squared_cv``,
        ``raw_cv`` (question 1); ``error_map`` (N, gh, gw) float16 in units of ``error_map_scale`` (its
        largest value, so rounding is 0.05 %); ``ablated`` (A,) positions, ``other_mode`` (A,) share of the
        patches whose costliest mode is not the overall one;
        ``gradient``, ``contrast``, ``gradient_given_brightness`` (N,) rank correlations with the error
        (question 6); ``hits/PROBE``. float64 unless said; NaN where an image has no figure.

    Cost: three rankings of N x gh x gw values: 0.4 s for 2,000 images of 256 patches.
    """
    error = np.asarray(maps.error, np.float64)
    n = len(error)
    scale = float(error.max()) or 1.0
    found: dict[str, np.ndarray | None] = {
        "position": np.arange(n),
        "label": image_labels(maps),
        "group": image_groups(maps),
        "error": raw_mean(error),
        "squared_cv": corrected_squared_cv(maps.error, maps.pixel_var, maps.patch_pixels),
        "raw_cv": np.asarray(spatial_cv(maps.error), np.float64),
        "error_map": (error / scale).astype(np.float16),
        "error_map_scale": np.array(scale),
        **_correlations(maps, error.reshape(n, -1)),
    }
    if maps.error_without is not None and len(maps.error_without):
        found |= _ablations(maps, error)
    found |= {f"hits/{name}": np.asarray(values, bool) for name, values in (hits or {}).items()}
    return {PREFIX + name: array for name, array in found.items() if array is not None}


def packed(hits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Hits (R, N) as JSON values: bits in hexadecimal."""
    return {
        name: {"shape": list(rows.shape), "bits": np.packbits(rows).tobytes().hex()}
        for name, rows in hits.items()
    }


def unpacked(stored: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What :func:`packed` was given."""
    found = {}
    for name, entry in stored.items():
        repeats, n = entry["shape"]
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(entry["bits"]), np.uint8), count=repeats * n)
        found[name] = bits.reshape(repeats, n).astype(bool)
    return found


def _correlations(maps: Any, error: np.ndarray) -> dict[str, np.ndarray]:
    gradient = np.asarray(maps.gradient, np.float64).reshape(error.shape)
    bright = brightness(maps.input_mean).reshape(error.shape)
    variance = np.maximum(maps.input_var.reshape(error.shape), 0)  # as they are: ties depend on rounding
    return {
        "gradient": rank_correlation(error, gradient),
        "contrast": rank_correlation(error, np.sqrt(variance) / np.maximum(np.abs(bright), 1e-3)),
        "gradient_given_brightness": partial_rank_correlation(error, gradient, bright),
    }


def _ablations(maps: Any, error: np.ndarray) -> dict[str, np.ndarray]:
    dominant, overall = costliest_modes(error[maps.ablated], maps.error_without)
    return {
        "ablated": np.asarray(maps.ablated, np.int64),
        "other_mode": share_elsewhere(dominant, overall),
    }

"""Maps made up for tests, with known truth."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

FIELDS = [
    "error",
    "pixel_var",
    "error_half",
    "S",
    "friction",
    "settle",
    "input_var",
    "input_mean",
    "gradient",
    "error_only",
    "error_without",
    "ablated",
    "labels",
    "groups",
    "classes",
    "boundary",
]


def maps(error, **fields):
    """An object with every field of the Maps contract; those not given are None."""
    return SimpleNamespace(
        **{**dict.fromkeys(FIELDS), "error": np.asarray(error, np.float32), "patch_pixels": 16, **fields}
    )


def random_maps(n=60, gh=5, gw=7, D=3, n_classes=4, seed=0, absent=()):
    """Maps of positive noise in which no class differs from another."""
    rng = np.random.default_rng(seed)
    left = [c for c in range(n_classes) if c not in absent]
    labels = np.array(left)[np.arange(n) % len(left)].astype(np.int64)
    positive = lambda *shape: rng.gamma(3.0, 1.0, shape).astype(np.float32)  # noqa: E731
    return maps(
        positive(n, gh, gw),
        pixel_var=positive(n, gh, gw),
        error_half=positive(n, gh, gw, 2),
        S=-np.sort(-positive(n, gh, gw, D), axis=-1),
        friction=positive(n, gh, gw, D) ** 4,
        settle=rng.integers(0, 6, (n, gh, gw, D)).astype(np.float32),
        input_var=positive(n, gh, gw),
        input_mean=rng.random((n, gh, gw, 3)).astype(np.float32),
        gradient=positive(n, gh, gw),
        error_only=positive(n // 2, gh, gw, D) + 1,
        error_without=positive(n // 2, gh, gw, D) + 1,
        labels=labels,
        classes=tuple(f"class{c}" for c in range(n_classes)),
    )


def residual_maps(scale, pixels=16, seed=0, alike=0.0, labels=None, classes=None, **fields):
    """Maps of Gaussian residuals of independent pixels in three channels.

    Args:
        scale: (N, gh, gw) standard deviation of the residual in each patch: its square is the true map.
        pixels: a patch. alike: correlation of a pixel's channels; 1 for grey residuals.
    """
    rng = np.random.default_rng(seed)
    scale = np.asarray(scale, np.float64)
    residual = np.sqrt(1 - alike) * rng.standard_normal((*scale.shape, pixels, 3))
    residual += np.sqrt(alike) * rng.standard_normal((*scale.shape, pixels, 1))
    values = (residual * scale[..., None, None]) ** 2
    squared = values.mean(-1)
    half = pixels // 2
    return maps(
        squared.mean(-1),
        pixel_var=squared.var(-1).astype(np.float32),
        value_var=values.var((-1, -2)).astype(np.float32),
        error_half=np.stack([squared[..., :half].mean(-1), squared[..., half:].mean(-1)], -1).astype(
            np.float32
        ),
        patch_pixels=pixels,
        labels=labels,
        classes=classes,
        **fields,
    )

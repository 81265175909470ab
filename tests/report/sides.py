"""Subjects of which the release error alone was measured, made up."""

from __future__ import annotations

import numpy as np

from geolip_theorems.compare.pairing import Side
from geolip_theorems.questions.error import error
from geolip_theorems.stats.units import Units

N = 80
PROTOCOL = {"extraction": 1, "measures": 1, "probe": "ridge", "ablation_images": 0}


def images(seed: int) -> np.ndarray:
    """(80,) how hard each of some images is."""
    return np.random.default_rng(seed).gamma(3.0, 1.0, N)


def side(name: str, values: np.ndarray, dataset: str = "some", arrays: bool = True, **more) -> Side:
    """A subject with a release error for each image, (N,) values; ``more`` of its record."""
    n = len(values)
    about = {"name": dataset, "sha256": dataset, "preprocessing": "none", "n_images": n, "classes": None}
    subject = {
        "id": f"{name}-{dataset}",
        "model": {"name": name, "sha256": name},
        "dataset": about,
        "seed": 0,
        "device": "cpu",
        "protocol": PROTOCOL,
        "timings": {},
        "verdicts": [],
        "measurements": {"calibrated": {"error": error.estimator.figure(values, Units.of(None, n))}},
        **more,
    }
    kept = {"per_image/position": np.arange(n), "per_image/error": values}
    return Side(subject, kept if arrays else None, f"{name} (a run)")

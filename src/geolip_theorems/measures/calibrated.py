"""The calibrated protocol: every figure with its interval and its null, from one subject's maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import class_names, image_groups, image_labels, why_absent
from .boundaries import boundary_structure
from .classes import class_structure
from .modes import mode_structure, no_modes
from .probes import probe_accuracies
from .resampling import mean_figure
from .spatial import N_NULL, raw_mean, spatial_structure

MEASURES_VERSION = 4  # raised whenever a figure changes: cached analyses of another version are not used


def calibrated(
    maps: Any,
    seed: int = 0,
    *,
    n_permutations: int = 9999,
    n_null: int = N_NULL,
    probe: str = "ridge",
    device: str = "cpu",
) -> dict[str, Any]:
    """All calibrated figures of a subject.

    Args:
        maps: see :class:`geolip_theorems.extraction.Maps`; what needs a part that is None is left
            out, or has no value and says why.
        seed: of every random choice here.
        n_permutations: shuffles of the labels. n_null: of the pixels, see :func:`spatial_structure`. Only p
            values and nulls depend on the two.
        probe: ``"ridge"`` or ``"conv"``. device: of the probes' linear algebra, or the readout.

    Returns:
        ``error``, the mean release error; ``spatial_cv``, ``class_cosine``, ``modes``, ``probes``, ``lifts``,
        ``boundaries``; for what each holds see :func:`spatial_structure`, :func:`class_structure`,
        :func:`mode_structure`, :func:`probe_accuracies` and :func:`boundary_structure`. Every figure is a
        dict with ``value``, ``ci95``, ``n``, ``method`` and, where there is one, ``p`` and ``null``. Without
        labels ``class_cosine``, ``probes`` and ``lifts`` are None.

    Raises:
        InputError: labels or groups that do not fit.

    Cost: 2,000 images of 2,304 features: 27 s on two cores (49 s of processor time), four fifths of it
    the probes: see :func:`geolip_theorems.measures.nested.cross_validated`.
    """
    labels, groups = image_labels(maps), image_groups(maps)
    names = () if labels is None else class_names(maps, labels)
    many = labels is not None and len(np.unique(labels)) > 1
    probes = lifts = None
    if many:
        probes, lifts = probe_accuracies(maps, labels, groups=groups, seed=seed, probe=probe, device=device)
    return {
        "error": mean_figure(raw_mean(maps.error), groups, bootstrap=False),
        "spatial_cv": spatial_structure(
            maps.error,
            maps.pixel_var,
            maps.patch_pixels,
            error_half=maps.error_half,
            groups=groups,
            seed=seed,
            n_null=n_null,
        ),
        "class_cosine": class_structure(
            maps.error, labels, names, groups=groups, seed=seed, n_permutations=n_permutations
        )
        if many
        else None,
        "modes": no_modes(why_absent(maps, "S"))
        if maps.S is None
        else mode_structure(
            maps.S,
            maps.error,
            maps.error_only,
            maps.error_without,
            ablated=maps.ablated,
            labels=labels,
            names=names,
            groups=groups,
            seed=seed,
            n_permutations=n_permutations,
        ),
        "probes": probes,
        "lifts": lifts,
        "boundaries": boundary_structure(
            maps.error,
            gradient=maps.gradient,
            input_var=maps.input_var,
            input_mean=maps.input_mean,
            boundary=maps.boundary,
            labels=labels,
            names=names,
            groups=groups,
            seed=seed,
        ),
    }

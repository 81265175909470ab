"""Question 3: which modes matter where, from energies and from decoding without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from .boundaries import rank_correlation
from .resampling import exchangeable, figure, mean_figure, permutation_p, shuffled_labels
from .seed import mode_energy, region_masks

N_PERMUTATIONS = 9999
BATCH_BYTES = 64_000_000


def mode_structure(
    S: np.ndarray,
    error: np.ndarray,
    error_only: np.ndarray | None,
    error_without: np.ndarray | None,
    *,
    ablated: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    groups: np.ndarray | None = None,
    seed: int = 0,
    n_permutations: int = N_PERMUTATIONS,
) -> dict[str, Any]:
    """Every figure of question 3.

    Args:
        S: (N, gh, gw, D). error: (N, gh, gw).
        error_only, error_without: (A, gh, gw, D), the error of the ablated images decoded with only mode
            k and with all but mode k; None for a model without a separable decoder.
        ablated: (A,) which images those are; the first A by default.
        labels, groups: (N,) or None. names: of the classes.

    Returns:
        ``energy``: each mode's share of the squared singular values, a figure a mode, all N images.
        ``share``: of the patches, those whose costliest mode to lose is not the overall one, the verdict's
        figure, with ``p`` and ``null`` of the class shuffle where there are labels; without a separable
        decoder its value is None and its method says so.
        ``ablation``: None without a separable decoder, else a dict: ``cost``, what losing mode k adds to
        the error, and ``only``, the error with mode k alone: a figure a mode each; ``cost_per_class``,
        ``cost_per_region``: D means each; ``cost_map`` (gh, gw, D) and ``dominant_map`` (gh, gw), the
        mode that most often costs most there, as lists; ``overall_mode``: the mode costliest over
        everything; ``energy_rank``: Spearman correlation, over patches and modes of an image, of cost
        with energy.

    Cost: O(A gh gw D) and O(A C D) a permutation: 0.5 s for 256 images of 256 patches.
    """
    energy = mode_energy(np.asarray(S, np.float64))
    per_image = energy.mean((1, 2))
    result: dict[str, Any] = {"energy": _per_mode(per_image, groups), "share": None, "ablation": None}
    if error_without is None or error_only is None:
        reason = "the model's decoder does not take modes apart, so only energies are measured"
        return result | {"share": figure(None, None, 0, reason)}
    few = len(error_without)
    rows = np.arange(few) if ablated is None else np.asarray(ablated)
    labels, groups = (None if a is None else a[rows] for a in (labels, groups))
    cost = np.asarray(error_without, np.float64) - np.asarray(error[rows], np.float64)[..., None]
    only = np.asarray(error_only, np.float64).mean((1, 2))
    overall = int(cost.mean((0, 1, 2)).argmax())
    dominant = cost.argmax(-1)
    elsewhere = (dominant != overall).mean((1, 2))
    D = cost.shape[-1]
    result["share"] = share_figure(elsewhere, groups, seed)
    result["ablation"] = {
        "cost": _per_mode(cost.mean((1, 2)), groups),
        "only": _per_mode(only, groups),
        "cost_per_class": _per_class(cost, labels, names),
        "cost_per_region": {
            region: cost[:, mask].mean((0, 1)).tolist() if mask.any() else None
            for region, mask in region_masks(*cost.shape[1:3]).items()
        },
        "cost_map": cost.mean(0).tolist(),
        "dominant_map": stats.mode(dominant, axis=0).mode.tolist(),
        "overall_mode": overall,
        "energy_rank": mean_figure(
            rank_correlation(cost.reshape(few, -1), energy[rows].reshape(few, -1)), groups, bootstrap=False
        ),
    }
    if labels is not None and len(np.unique(labels)) > 1:
        share = np.stack([(dominant == k).mean((1, 2)) for k in range(D)], 1)
        observed, null = class_dependence(share, labels, groups, seed, n_permutations)
        chance = {
            "mean": float(null.mean()),
            "q95": float(np.quantile(null, 0.95)),
            "of": "R squared of class",
        }
        chance |= {"shuffles": n_permutations, "shuffled": exchangeable(labels, groups), "observed": observed}
        extra = {"p": permutation_p(observed, null, "greater"), "null": chance}
        result["share"] |= extra
    return result


def share_figure(share: np.ndarray, groups: np.ndarray | None, seed: int = 0) -> dict[str, Any]:
    """Mean of a share in [0, 1] over images.

    Where every image has share 0 (or 1) a bootstrap would give an interval without width; its far end is
    then the exact binomial one, each image (or group) a single trial.
    """
    result = mean_figure(share, groups, seed=seed)
    if result["ci95"] is None or np.ptp(share) > 0 or not (share[0] == 0 or share[0] == 1):
        return result
    units = len(share) if groups is None else len(np.unique(groups))
    ci = stats.binomtest(int(share[0]) * units, units).proportion_ci()
    return figure(result["value"], (ci.low, ci.high), len(share), "exact binomial, an image a trial")


def class_dependence(
    share: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, seed: int, n: int
) -> tuple[float, np.ndarray]:
    """How much of the variance of the modes' shares over images goes with class, and under shuffles.

    Args:
        share: (A, D), of each image's patches the share in which mode k costs most.

    Returns:
        R squared, between classes by total sum of squares over all modes, and (n,) of shuffled labels.
        Shares that do not vary give 0.
    """
    x = share - share.mean(0)
    total = np.square(x).sum()
    classes, y = np.unique(labels, return_inverse=True)
    counts = np.bincount(y)
    if total <= 1e-12 * share.size:
        return 0.0, np.zeros(n)

    def explained(rows: np.ndarray) -> np.ndarray:
        indicator = rows[:, None, :] == np.arange(len(classes))[:, None]
        sums = indicator.astype(np.float64) @ x
        return (np.square(sums) / counts[:, None]).sum((1, 2)) / total

    batch = max(1, BATCH_BYTES // (8 * len(classes) * len(y)))
    shuffles = shuffled_labels(y, groups, n, np.random.default_rng(seed), batch)
    return float(explained(y[None])[0]), np.concatenate([explained(rows) for rows in shuffles])


def _per_mode(values: np.ndarray, groups: np.ndarray | None) -> list[dict[str, Any]]:
    return [mean_figure(column, groups, bootstrap=False) for column in values.T]


def _per_class(cost: np.ndarray, labels: np.ndarray | None, names: Sequence[str]) -> dict[str, Any] | None:
    if labels is None:
        return None
    return {
        name: cost[labels == c].mean((0, 1, 2)).tolist() if (labels == c).any() else None
        for c, name in enumerate(names)
    }

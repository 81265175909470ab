"""The script's protocol: the figures of the script this project began with, from maps, to float rounding.

Kept as it is, its weaknesses included, because its figures are the ones in print; verdicts come from the
calibrated measures beside it, see ``docs/methods.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch

from ..io.errors import InputError
from ..model.threads import one_thread, thread_pool
from ..probes.ridge import by_lapack
from ..questions.study import class_names, image_labels
from ..stats.grids import region_masks
from .sums import ClassSums, blocks

MAX_MAPS = 2000  # spatial CV and probes
MAX_MODE_IMAGES = 256
TRAIN_SHARE = 0.8
RIDGE_PENALTY = 1.0
LEAST_STD = 1e-8
TINY = 1e-10
PROBES: dict[str, tuple[str, ...]] = {
    "release": ("release",),
    "eigenvalues": ("eigenvalues",),
    "friction": ("friction",),
    "release+eigenvalues": ("release", "eigenvalues"),
    "release+friction": ("release", "friction"),
    "release+eigenvalues+friction": ("release", "eigenvalues", "friction"),
}


def script_protocol(
    maps: Any, seed: int = 0, *, max_maps: int = MAX_MAPS, max_mode_images: int = MAX_MODE_IMAGES
) -> dict[str, Any]:
    """Every figure of the script's protocol; None for what has no image, label or map to be made from.

    Args:
        maps: an object with ``error`` (N, gh, gw), ``S`` and ``friction`` (N, gh, gw, D) or None, ``labels``
            (N,) or None and ``classes``, names or None.
        seed: of the probes' split.
        max_maps, max_mode_images: images used by spatial CV and probes, and by the mode energies; the first.

    Raises:
        InputError: arrays whose shapes disagree, labels out of range.

    Cost: the six probes, O(p^3) for p features: about 2 s for 2,000 images of 2,304 features on one core.
    """
    error = _float32(maps.error, 3, "error")
    labels = image_labels(maps)
    n = len(error)
    if not n:
        raise InputError("maps hold no image; expected at least one")
    result: dict[str, Any] = {
        "counts": {"images": n, "maps": min(n, max_maps), "mode_images": min(n, max_mode_images)},
        "spatial_cv": _summary_of_cv(error[:max_maps]),
        **dict.fromkeys(
            ("class_error", "class_cosine", "regions", "mode_energy", "full_mse", "probes", "top_positions")
        ),
    }
    names = () if labels is None else class_names(maps, labels)
    sums = class_sums(error, labels, len(names))
    result["overall"] = _overall(sums.mean())
    if labels is None:
        return result
    means = sums.means()
    result["class_error"] = {name: _error_figures(means[c]) for c, name in enumerate(names)}
    result["class_cosine"] = _cosine_figures(means)
    result["regions"] = {name: _region_figures(means[c]) for c, name in enumerate(names)}
    result["top_positions"] = {name: _top_positions(means[c]) for c, name in enumerate(names)}
    few = min(n, max_mode_images)
    error_of = error[:few].mean((1, 2))
    members = {name: labels[:few] == c for c, name in enumerate(names)}
    if maps.S is not None:
        energy = mode_energy(np.asarray(maps.S[:few], np.float32)).mean((1, 2))
        result["mode_energy"] = {
            name: _numbers(energy[m].mean(0)) if m.any() else None for name, m in members.items()
        }
    result["full_mse"] = {name: float(error_of[m].mean()) if m.any() else None for name, m in members.items()}
    result["probes"] = _probes(maps, labels, names, seed, max_maps)
    return result


def spatial_cv(error: np.ndarray) -> np.ndarray:
    """Unbiased standard deviation over patches by the mean, per image: (N, gh, gw) -> (N,) float64."""
    flat = np.asarray(error, np.float64).reshape(len(error), -1)
    if flat.shape[1] < 2:
        return np.full(len(flat), np.nan)
    return flat.std(1, ddof=1) / (flat.mean(1) + TINY)


def mode_energy(S: np.ndarray) -> np.ndarray:
    """Each mode's share of the sum of a patch's squares of S: (..., D) -> (..., D)."""
    squared = np.square(S)
    return squared / (squared.sum(-1, keepdims=True) + TINY)


def class_sums(error: np.ndarray, labels: np.ndarray | None, n_classes: int) -> ClassSums:
    """Sums of the error maps by class (of all, without labels), block by block: error may be on disk."""
    sums = ClassSums(max(n_classes, 1), error.shape[1:])
    labels = np.zeros(len(error), np.int64) if labels is None else labels
    for maps, classes in blocks(error, labels):
        sums.add(maps, classes)
    return sums


def ridge_probe(
    X: torch.Tensor, y: torch.Tensor, order: torch.Tensor, n_train: int, n_classes: int
) -> dict[str, torch.Tensor]:
    """The script's ridge classifier: no intercept, penalty 1, float32.

    Args:
        X: (N, p) float32 features. y: (N,) int64 labels.
        order: (N,) a permutation, its first ``n_train`` entries train.

    Returns:
        ``train``, ``test`` accuracies and ``hits`` (N - n_train,) bool of the test images.
    """
    train, test = order[:n_train], order[n_train:]
    mean, std = X[train].mean(0), X[train].std(0).clamp(min=LEAST_STD)
    X_train, X_test = (X[train] - mean) / std, (X[test] - mean) / std
    target = torch.nn.functional.one_hot(y[train], n_classes).to(X.dtype)
    gram = X_train.T @ X_train + RIDGE_PENALTY * torch.eye(X.shape[1])
    weights = torch.linalg.solve(gram, X_train.T @ target)
    hits = (X_test @ weights).argmax(1) == y[test]
    fitted = (X_train @ weights).argmax(1) == y[train]
    return {"train": fitted.float().mean(), "test": hits.float().mean(), "hits": hits}


def script_accuracies(
    maps: Any, seeds: Iterable[int] = range(10), *, max_maps: int = MAX_MAPS
) -> dict[str, dict[str, Any]]:
    """The script's probe accuracies over split seeds, None for a probe of a map that is missing.

    Returns:
        For each probe ``test`` and ``train``, lists over the seeds, their means ``mean``, ``train_mean``,
        and the spread of ``test``: ``std`` (unbiased; None for one seed), ``min``, ``max``.

    Cost: 0.3 s a seed for 2,000 images of 2,304 features on one core.
    """
    labels = image_labels(maps)
    if labels is None:
        raise InputError("the probes need labels and the images have none; give a labelled data set")
    blocks, y = _blocks(maps, max_maps), torch.from_numpy(labels[:max_maps])
    target = torch.nn.functional.one_hot(y, len(class_names(maps, labels))).float()
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in PROBES}
    with thread_pool(torch.get_num_threads()) as pool:
        splits = (_split(len(y), seed) for seed in seeds)
        for found in pool.map(partial(_shared_probes, blocks, target), splits):
            for name, accuracies in found.items():
                runs[name].append(accuracies)
    return {name: _spread(pairs) if pairs else None for name, pairs in runs.items()}


def _shared_probes(
    blocks: dict[str, torch.Tensor], target: torch.Tensor, order: torch.Tensor
) -> dict[str, tuple[float, float]]:
    """Train and test accuracy of every probe on one split, :func:`ridge_probe`'s up to rounding."""
    n_train = int(TRAIN_SHARE * len(target))
    target = target[order]
    X = {name: _standardised(block[order], n_train) for name, block in blocks.items()}
    right = {name: x[:n_train].T @ target[:n_train] for name, x in X.items()}
    gram = {(a, b): X[a][:n_train].T @ X[b][:n_train] for a, b in combinations_with_replacement(X, 2)}
    found = {}
    for name, parts in _readable(blocks).items():
        both = torch.cat([right[part] for part in parts])
        weights, failed = by_lapack(_system(gram, parts), both)
        if failed:  # features alike up to rounding; the script's own solver takes those too
            upper = _system(gram, parts)
            weights = torch.linalg.solve(upper + upper.triu(1).T, both)
        of_part = weights.split([X[part].shape[1] for part in parts])
        scores = sum(X[part] @ w for part, w in zip(parts, of_part, strict=True))
        hits = (scores.argmax(1) == target.argmax(1)).float()
        found[name] = (float(hits[:n_train].mean()), float(hits[n_train:].mean()))
    return found


def _standardised(X: torch.Tensor, n_train: int) -> torch.Tensor:
    return (X - X[:n_train].mean(0)) / X[:n_train].std(0).clamp(min=LEAST_STD)


def _system(gram: dict[tuple[str, str], torch.Tensor], parts: Sequence[str]) -> torch.Tensor:
    """The upper triangle of the system of joined blocks, penalty included."""
    sides = [gram[part, part].shape[0] for part in parts]
    system = torch.zeros(sum(sides), sum(sides))
    blocks = [row.split(sides, 1) for row in system.split(sides)]
    for (i, a), (j, b) in combinations_with_replacement(enumerate(parts), 2):
        blocks[i][j].copy_(gram[a, b] if i < j else gram[a, b].triu())
    system.diagonal().add_(RIDGE_PENALTY)
    return system


def _spread(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    train, test = (np.array(values) for values in zip(*pairs, strict=True))
    return {
        "test": test.tolist(),
        "train": train.tolist(),
        "mean": float(test.mean()),
        "std": float(test.std(ddof=1)) if len(test) > 1 else None,
        "min": float(test.min()),
        "max": float(test.max()),
        "train_mean": float(train.mean()),
    }


@one_thread()
def _probes(maps: Any, labels: np.ndarray, names: Sequence[str], seed: int, max_maps: int) -> dict | None:
    y = torch.from_numpy(labels[:max_maps])
    n_train = int(TRAIN_SHARE * len(y))
    if n_train < 2:
        return None
    blocks, order = _blocks(maps, max_maps), _split(len(y), seed)
    y_test = y[order[n_train:]]
    result: dict[str, Any] = dict.fromkeys(PROBES)
    for name, parts in _readable(blocks).items():
        run = ridge_probe(torch.cat([blocks[p] for p in parts], 1), y, order, n_train, len(names))
        of_class = [run["hits"][y_test == c].float() for c in range(len(names))]
        result[name] = {
            "train": float(run["train"]),
            "test": float(run["test"]),
            "per_class": {
                label: float(hits.mean()) if len(hits) else None
                for label, hits in zip(names, of_class, strict=True)
            },
        }
    return result


def _blocks(maps: Any, max_maps: int) -> dict[str, torch.Tensor]:
    arrays = {"release": maps.error, "eigenvalues": maps.S, "friction": maps.friction}
    return {
        name: torch.from_numpy(np.array(a[:max_maps], np.float32)).flatten(1)
        for name, a in arrays.items()
        if a is not None
    }


def _readable(blocks: dict[str, torch.Tensor]) -> dict[str, tuple[str, ...]]:
    """The probes whose every map is there."""
    return {name: parts for name, parts in PROBES.items() if set(parts) <= set(blocks)}


def _split(n: int, seed: int) -> torch.Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def _summary_of_cv(error: np.ndarray) -> dict[str, float] | None:
    cv = spatial_cv(error)
    if np.isnan(cv).any():  # a grid of one patch
        return None
    return {
        "mean": float(cv.mean()),
        "median": float(np.median(cv)),
        "min": float(cv.min()),
        "max": float(cv.max()),
    }


def _std(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None


def _error_figures(mean_map: np.ndarray) -> dict[str, float | None]:
    if np.isnan(mean_map).any():
        return dict.fromkeys(("mean", "std", "max"))
    return {"mean": float(mean_map.mean()), "std": _std(mean_map), "max": float(mean_map.max())}


def _cosine_figures(means: np.ndarray) -> dict[str, float | None]:
    flat = means.reshape(len(means), -1)
    flat = flat[~np.isnan(flat).any(1)]
    if len(flat) < 2:
        return {"mean": None, "min": None}
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    pairs = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    return {"mean": float(pairs.mean()), "min": float(pairs.min())}


def _region_figures(mean_map: np.ndarray) -> dict[str, float | None]:
    masks = region_masks(*mean_map.shape)
    empty = np.isnan(mean_map).any()
    means = {
        name: None if empty or not mask.any() else float(mean_map[mask].mean())
        for name, mask in masks.items()
    }
    absent = means["edge"] is None or means["center"] is None
    return {**means, "edge_to_center": None if absent else means["edge"] / (means["center"] + TINY)}


def _top_positions(mean_map: np.ndarray) -> dict[str, Any]:
    if np.isnan(mean_map).any():
        return {"positions": None, "ratio": None}
    flat = mean_map.ravel()
    top = np.argsort(-flat, kind="stable")[:3]
    positions = [[int(i) // mean_map.shape[1], int(i) % mean_map.shape[1]] for i in top]
    return {"positions": positions, "ratio": float(flat[top[0]] / (flat.mean() + TINY))}


def _overall(mean_map: np.ndarray) -> dict[str, Any]:
    std = _std(mean_map)
    hot = None if std is None else int((mean_map > mean_map.mean() + 2 * std).sum())
    return {"mean": float(mean_map.mean()), "std": std, "hot_patches": hot}


def _float32(array: Any, ndim: int, name: str) -> np.ndarray:
    array = np.asarray(array, np.float32)
    if array.ndim != ndim:
        raise InputError(f"{name} map has shape {array.shape}; expected {ndim} axes, images first")
    return array


def _numbers(array: np.ndarray) -> list[float]:
    return [float(x) for x in array]

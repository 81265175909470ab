"""The script's protocol computed a second time, in float64 with NumPy and scikit-learn, sharing no code."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

PARTS = {"release": "error", "eigenvalues": "S", "friction": "friction"}
PROBES = [
    "release",
    "eigenvalues",
    "friction",
    "release+eigenvalues",
    "release+friction",
    "release+eigenvalues+friction",
]


def probe(maps, name, seed, names, limit):
    y = maps.labels[:limit]
    X = np.concatenate([getattr(maps, PARTS[p])[: len(y)].reshape(len(y), -1) for p in name.split("+")], 1)
    # The generator is part of the protocol's definition, so it alone is shared.
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed)).numpy()
    cut = int(0.8 * len(y))
    train, test = order[:cut], order[cut:]
    X = X.astype(np.float64)
    scale = np.maximum(np.std(X[train], axis=0, ddof=1), 1e-8)
    X = (X - np.average(X[train], axis=0)) / scale
    onehot = np.eye(len(names))[y]
    fit = Ridge(alpha=1.0, fit_intercept=False, solver="cholesky").fit(X[train], onehot[train])
    guess = fit.predict(X).argmax(1)
    per_class = {}
    for c, label in enumerate(names):
        here = test[y[test] == c]
        per_class[label] = accuracy_score(y[here], guess[here]) if len(here) else None
    return {
        "train": accuracy_score(y[train], guess[train]),
        "test": accuracy_score(y[test], guess[test]),
        "per_class": per_class,
    }


def regions(m):
    gh, gw = m.shape
    a, b = gh // 4, gw // 4
    rows, cols = np.mgrid[:gh, :gw]
    inner = (rows >= a) & (rows < gh - a) & (cols >= b) & (cols < gw - b)
    outer_rows, outer_cols = (rows < a) | (rows >= gh - a), (cols < b) | (cols >= gw - b)
    corner = outer_rows & outer_cols
    center, edge = m[inner].mean(), m[~inner].mean() if (~inner).any() else None
    return {
        "center": center,
        "edge": edge,
        "corner": m[corner].mean() if corner.any() else None,
        "edge_to_center": None if edge is None else edge / (center + 1e-10),
    }


def reference(maps, seed, limit=2000, few=256):
    names = list(maps.classes)
    error, y = maps.error.astype(np.float64), maps.labels
    n = len(error)
    flat = error[:limit].reshape(min(n, limit), -1)
    cv = np.array([np.std(row, ddof=1) / (np.mean(row) + 1e-10) for row in flat])
    mean_map = {label: error[y == c].mean(0) for c, label in enumerate(names) if (y == c).any()}
    cosine = cosine_similarity(np.stack([m.ravel() for m in mean_map.values()]))
    pairs = cosine[~np.eye(len(cosine), dtype=bool)]
    out = {
        "counts": {"images": n, "maps": min(n, limit), "mode_images": min(n, few)},
        "spatial_cv": {"mean": cv.mean(), "median": np.median(cv), "min": cv.min(), "max": cv.max()},
        "class_cosine": {"mean": pairs.mean(), "min": pairs.min()},
        "probes": {name: probe(maps, name, seed, names, limit) for name in PROBES},
    }
    for key in ("class_error", "regions", "mode_energy", "full_mse", "top_positions"):
        out[key] = {}
    for c, label in enumerate(names):
        m = mean_map.get(label)
        absent = m is None
        out["class_error"][label] = (
            dict.fromkeys(("mean", "std", "max"))
            if absent
            else {"mean": m.mean(), "std": m.std(ddof=1), "max": m.max()}
        )
        out["regions"][label] = (
            dict.fromkeys(("center", "edge", "corner", "edge_to_center")) if absent else regions(m)
        )
        here = np.flatnonzero(y[:few] == c)
        S2 = maps.S[here].astype(np.float64) ** 2
        energy = S2 / (S2.sum(-1, keepdims=True) + 1e-10)
        out["mode_energy"][label] = list(energy.mean((0, 1, 2))) if len(here) else None
        out["full_mse"][label] = error[here].mean() if len(here) else None
        if absent:
            out["top_positions"][label] = {"positions": None, "ratio": None}
            continue
        order = sorted(np.ndindex(m.shape), key=lambda position: -m[position])[:3]
        ratio = m.max() / (m.mean() + 1e-10)
        out["top_positions"][label] = {"positions": [list(position) for position in order], "ratio": ratio}
    overall = error.mean(0)
    hot = int((overall > overall.mean() + 2 * overall.std(ddof=1)).sum())
    out["overall"] = {"mean": overall.mean(), "std": overall.std(ddof=1), "hot_patches": hot}
    return out

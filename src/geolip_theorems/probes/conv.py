"""The second probe: a small convolutional readout, which keeps the grid that flattening hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from ..model.threads import seeded
from .nested import Predictions, stratified_folds

WIDTH = 32
EPOCHS = 15
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2


def conv_cross_validated(
    grids: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray | None,
    *,
    combinations: Mapping[str, Sequence[str]],
    n_folds: int,
    repeats: int,
    seed: int,
    device: str = "cpu",
) -> dict[str, Predictions]:
    """Out-of-fold hits of a readout per feature group and combination, on the folds the ridge uses.

    ``grids``: see :func:`.features.feature_grids`.

    The recipe (two convolutions, pooling to 4x4, a linear layer; AdamW with a one-cycle rate, 15 epochs)
    is fixed, so nothing is chosen and there is no ``best_single``.

    Cost: 15 epochs a fold, repeat and group: 2,000 images of 16x16 patches, 10 groups, 2 repeats: several
    minutes on two cores, seconds on a GPU.
    """
    grids = {**grids}
    for name, parts in combinations.items():
        grids[name] = np.concatenate([grids[part] for part in parts], 1)
    guesses = {name: np.zeros((repeats, len(labels)), np.int64) for name in grids}
    used = n_folds
    for repeat in range(repeats):
        folds, used = stratified_folds(labels, groups, n_folds, seed + repeat)
        for name, grid in grids.items():
            for f in range(used):
                test = folds == f
                guess = _fit_predict(grid[~test], labels[~test], grid[test], seed + 1000 * repeat + f, device)
                guesses[name][repeat, test] = guess
    nothing: list[list] = [[] for _ in range(repeats)]
    return {name: Predictions(g, g == labels, nothing, used) for name, g in guesses.items()}


def readout(channels: int, grid: tuple[int, int], n_classes: int) -> nn.Sequential:
    """(B, channels, gh, gw) -> class scores (B, n_classes), fresh weights."""
    pooled = tuple(min(4, side) for side in grid)
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(pooled),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(WIDTH * pooled[0] * pooled[1], n_classes),
    )


def _fit_predict(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int, device: str) -> np.ndarray:
    mean, std = x.mean((0, 2, 3), keepdims=True), x.std((0, 2, 3), keepdims=True)
    train, test = (torch.as_tensor((a - mean) / np.maximum(std, 1e-8), device=device) for a in (x, x_test))
    target = torch.as_tensor(y, device=device)
    with seeded(seed, device):
        model = readout(x.shape[1], x.shape[2:], int(y.max()) + 1).to(device)
        optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        steps = EPOCHS * -(-len(y) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
        model.train()
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(y)).to(device).split(BATCH):
                loss = nn.functional.cross_entropy(model(train[rows]), target[rows])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in test.split(512)]).cpu().numpy()

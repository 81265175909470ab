"""Near-duplicates: images that show the same picture, moved by a pixel or two, or nearly unchanged.

Such images are one observation, not two: an interval over images is too narrow, and a probe is tested on what
it was trained on. They are found by the correlation of small grey copies, then checked at every shift of up
to two pixels.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from torch.nn.functional import interpolate

from .imageset import ImageSet
from .luma import LUMA

THUMBNAIL, COPY = 16, 32  # pixels
CANDIDATE, SAME = 0.85, 0.99  # correlations, of thumbnails and of shifted copies
NEIGHBOURS = 4  # of an image, that are looked at closely
SHIFT = 2  # pixels of the copy
MOST_IMAGES = 20_000  # beyond, the pairs of an even sample
BLOCK = 1024
SHARE = 0.05  # of the images, from which it is worth a warning


def near_duplicates(images: ImageSet) -> np.ndarray:
    """Group of each image, (N,) int64; near-duplicates share one, as do the set's own groups.

    Of more than 20,000 images only an even sample is compared. Cost: O(N^2) of 256 multiplications.
    """
    n = len(images)
    rows = np.linspace(0, n - 1, min(n, MOST_IMAGES)).astype(int)
    copies = np.concatenate([_grey(images, part) for part in np.array_split(rows, len(rows) // BLOCK + 1)])
    small = copies.reshape(len(rows), THUMBNAIL, COPY // THUMBNAIL, THUMBNAIL, COPY // THUMBNAIL).mean((2, 4))
    unit = _standardised(small.reshape(len(rows), -1))
    first, second = _likeliest(unit)
    same = _shifted_correlation(copies, first, second) > SAME
    edges = [np.stack([rows[first[same]], rows[second[same]]])]
    if images.groups is not None:
        order = np.argsort(images.groups, kind="stable")
        neighbours = images.groups[order[1:]] == images.groups[order[:-1]]
        edges.append(np.stack([order[:-1][neighbours], order[1:][neighbours]]))
    pairs = np.concatenate(edges, 1)
    graph = scipy.sparse.coo_matrix((np.ones(pairs.shape[1]), tuple(pairs)), (n, n))
    return scipy.sparse.csgraph.connected_components(graph, directed=False)[1].astype(np.int64)


def _likeliest(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows (M, 256) worth a closer look: of each row the few later ones it correlates with most.

    A few are enough, and all would be N^2 where all images are alike: each copy leads to a later one.
    """
    found = [np.empty((2, 0), np.int64)]
    for start in range(0, len(unit), BLOCK):
        alike = np.triu(unit[start : start + BLOCK] @ unit.T, start + 1)
        few = min(NEIGHBOURS, alike.shape[1])
        second = np.argpartition(-alike, few - 1, axis=1)[:, :few]
        first = np.repeat(np.arange(len(alike)), few).reshape(second.shape)
        near = alike[first, second] > CANDIDATE
        found.append(np.stack([start + first[near], second[near]]))
    return tuple(np.concatenate(found, 1))


def share_in_groups(groups: np.ndarray) -> float:
    """Share of the images whose group (N,) has another image."""
    return float((np.bincount(groups)[groups] > 1).mean()) if len(groups) else 0.0


def _grey(images: ImageSet, rows: np.ndarray) -> np.ndarray:
    """Copies of 32 x 32 pixels, (M, 32, 32) float32: luma of three channels, else their mean."""
    pixels = images.take(rows).tensor()
    weights = pixels.new_tensor(LUMA) if pixels.shape[1] == 3 else pixels.new_full((pixels.shape[1],), 1.0)
    grey = (pixels * (weights / weights.sum())[:, None, None]).sum(1, keepdim=True)
    return interpolate(grey, (COPY, COPY), mode="area")[:, 0].numpy()


def _standardised(x: np.ndarray) -> np.ndarray:
    """Rows less their mean, of length 1; blank ones stay 0 and are like nothing."""
    x = x - x.mean(1, keepdims=True)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 1e-6)


def _shifted_correlation(copies: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest correlation of pairs of copies over shifts of up to two pixels, where they overlap."""
    best, size = np.zeros(len(first)), COPY - 2 * SHIFT
    windows = np.lib.stride_tricks.sliding_window_view(copies, (size, size), axis=(1, 2))
    for start in range(0, len(first), BLOCK):
        part = slice(start, start + BLOCK)
        still = _standardised(windows[first[part], SHIFT, SHIFT].reshape(-1, size**2))
        for down, across in np.ndindex(windows.shape[1:3]):
            moved = _standardised(windows[second[part], down, across].reshape(-1, size**2))
            best[part] = np.maximum(best[part], np.einsum("ij,ij->i", still, moved))
    return best

"""What a report draws of a subject: a few images with their maps, and the maps' means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..extraction.maps import Maps
from ..extraction.signals import read_output
from ..stats.intervals import mean_figure

if TYPE_CHECKING:
    from ..data.imageset import ImageSet
    from .subject import Subject

READ_AT_ONCE = 256  # images
OF_EACH = 2  # images of each kind
KINDS = ("best", "median", "worst")
LONGEST_SIDE = 256  # pixels of a shown image; larger ones are thinned out
MOST_CLASSES = 64
MOST_RANKED = 20_000  # images whose patches are ranked; an even sample of more
MOST_CELLS = 1 << 18  # values of one mean map
STEPS = 10  # deciles of the gradient
HOT = 2.0  # standard deviations above an image's mean
WITHIN = 1e-3  # how far from [0, 1] an image may be and still be shown as it is


def gallery_arrays(subject: Subject, maps: Maps) -> dict[str, np.ndarray]:
    """Everything the report draws that is not in ``results.json``; up to six images are decoded anew.

    Returns:
        ``gallery/...`` of K images, two with the least, the median and the largest mean error:
        ``kind`` (K,) uint8, an index of ``KINDS``; ``index``, ``label`` (K,) int64 (-1 without labels);
        ``mse`` (K,) float32; ``input``, ``recon`` (K, h, w, 3) uint8, normalisation undone, grey unless of 3
        ``channels`` () int64; ``error``, ``friction`` (K, gh, gw) float32 (log10 of the largest over modes);
        ``stretched`` () uint8, 1 where values outside [0, 1] were mapped linearly to what is shown.
        ``picture/...``, see :func:`picture_arrays`, and ``mean_image``, ``no_output`` () float32, the mean
        squared error on the ablated images of their mean and of zero.
    """
    pictures = {f"picture/{name}": value for name, value in picture_arrays(maps).items()}
    return {**pictures, **_without_model(subject, maps), **_gallery(subject, maps)}


def _without_model(subject: Subject, maps: Maps) -> dict[str, np.ndarray]:
    """What the ablated images' modes cost less than, if they cost little: errors that need no model."""
    if maps.ablated is None or not len(maps.ablated):
        return {}
    images = subject.images.take(maps.ablated)
    total, squares = torch.zeros(images.tensor(0, 1).shape[1:], dtype=torch.float64), 0.0
    for start in range(0, len(images), READ_AT_ONCE):
        part = images.tensor(start, start + READ_AT_ONCE).double()
        total += part.sum(0)
        squares += float(part.square().sum())
    no_output = squares / (len(images) * total.numel())
    mean_image = no_output - float((total / len(images)).square().mean())
    found = {"mean_image": max(mean_image, 0.0), "no_output": no_output}
    return {f"picture/{name}": np.array(value, np.float32) for name, value in found.items()}


def picture_arrays(maps: Maps) -> dict[str, np.ndarray]:
    """Means of the maps over images, float32 unless said; maps too large to be kept whole are left out.

    Returns:
        ``error``, ``gradient`` (gh, gw); ``hot_share`` (gh, gw), share of the images whose error there is
        above their own mean by two standard deviations; ``class_error`` (c, gh, gw), ``class_interval``
        (c, 2), 95 % interval of its mean by Student's t over images or groups, ``class_index``,
        ``class_count`` (c,) int64 of the first 64 classes that have images; ``friction`` (gh, gw, D), log10;
        ``settle`` (gh, gw, D), mean steps; ``cost`` (gh, gw, D), what the loss of a mode adds to the error;
        ``error_by_gradient`` (10, 3), relative error in the deciles of an image's gradient: quartiles
        over images; ``patch_pixels`` () int64.
    """
    error = np.asarray(maps.error, np.float64)
    some = np.linspace(0, len(error) - 1, min(len(error), MOST_RANKED)).astype(int)
    found = {"error": error.mean(0), "hot_share": _hot_share(error)}
    if maps.friction is not None:
        found["friction"] = _log_friction(maps.friction).mean(0, dtype=np.float64)
        found["settle"] = np.mean(maps.settle, 0, dtype=np.float64)
    found["gradient"] = np.mean(maps.gradient, 0, dtype=np.float64)
    found["error_by_gradient"] = _error_by_gradient(error[some], maps.gradient[some])
    if maps.error_without is not None:
        cost = np.asarray(maps.error_without, np.float64) - error[maps.ablated][..., None]
        found["cost"] = cost.mean(0)
    kept = {name: value.astype(np.float32) for name, value in found.items() if value.size <= MOST_CELLS}
    return {**kept, **_class_means(maps), "patch_pixels": np.array(maps.patch_pixels, np.int64)}


def _hot_share(error: np.ndarray) -> np.ndarray:
    flat = error.reshape(len(error), -1)
    spread = flat.std(1, ddof=1) if flat.shape[1] > 1 else np.zeros(len(flat))
    # A flat map has no hot patch, whatever the rounding of its mean.
    level = flat.mean(1) + np.maximum(HOT * spread, 1e-6 * np.abs(flat.mean(1)))
    return (flat > level[:, None]).mean(0).reshape(error.shape[1:])


def _class_means(maps: Maps) -> dict[str, np.ndarray]:
    if maps.labels is None:
        return {}
    counts = np.bincount(maps.labels)
    classes = np.flatnonzero(counts)[:MOST_CLASSES]
    means = np.stack([maps.error[maps.labels == c].mean(0, dtype=np.float64) for c in classes])
    if means.size > MOST_CELLS:
        return {}
    figures = [mean_figure(*_of_class(maps, c)) for c in classes]
    ends = [(np.nan, np.nan) if f["ci95"] is None else f["ci95"] for f in figures]
    return {
        "class_error": means.astype(np.float32),
        "class_interval": np.array(ends, np.float32),
        "class_index": classes.astype(np.int64),
        "class_count": counts[classes].astype(np.int64),
    }


def _of_class(maps: Maps, number: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A class's mean error an image, and its images' groups."""
    members = maps.labels == number
    groups = None if maps.groups is None else np.asarray(maps.groups)[members]
    return np.mean(maps.error[members], (1, 2), dtype=np.float64), groups


def _error_by_gradient(error: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """(STEPS, 3) quartiles over images of the error in each decile of gradient, over the image's mean."""
    n = len(error)
    flat, slope = error.reshape(n, -1), np.asarray(gradient, np.float64).reshape(n, -1)
    usable = (flat.mean(1) > 0) & (np.ptp(slope, axis=1) > 0)
    if flat.shape[1] < STEPS or not usable.any():
        return np.full((STEPS, 3), np.nan)
    flat = flat[usable] / flat[usable].mean(1, keepdims=True)
    ordered = np.take_along_axis(flat, np.argsort(slope[usable], axis=1, kind="stable"), 1)
    parts = np.array_split(ordered, STEPS, axis=1)
    return np.stack([np.quantile(part.mean(1), (0.25, 0.5, 0.75)) for part in parts])


def chosen_images(mse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which images are shown: (K,) indices and (K,) kinds, without repetition, best to worst."""
    order = np.argsort(mse, kind="stable")
    n = len(order)
    middle = max(0, (n - OF_EACH) // 2)
    places = [range(OF_EACH), range(middle, middle + OF_EACH), range(max(0, n - OF_EACH), n)]
    seen: dict[int, int] = {}
    for kind in (0, 2, 1):  # of very few images the best and the worst
        for place in places[kind]:
            if place < n:
                seen.setdefault(place, kind)
    taken = sorted(seen)
    return order[taken], np.array([seen[place] for place in taken], np.uint8)


def _gallery(subject: Subject, maps: Maps) -> dict[str, np.ndarray]:
    mse = np.mean(maps.error, (1, 2), dtype=np.float64)
    index, kind = chosen_images(mse)
    images = torch.cat([subject.images.tensor(int(i), int(i) + 1) for i in index])
    with torch.inference_mode():
        recon = read_output(subject.model.model(images.to(subject.options.device)))[0].float().cpu()
    low, span = _shown_range(subject.images, images)
    labels = maps.labels
    arrays = {
        "kind": kind,
        "index": index.astype(np.int64),
        "label": np.full(len(index), -1) if labels is None else np.asarray(labels)[index],
        "mse": mse[index].astype(np.float32),
        "input": _bytes(images, low, span),
        "recon": _bytes(recon, low, span),
        "error": np.asarray(maps.error)[index].astype(np.float32),
    }
    if maps.friction is not None:
        arrays["friction"] = _log_friction(np.asarray(maps.friction)[index].max(-1)).astype(np.float32)
    arrays["stretched"] = np.array(_stretched(subject.images, images), np.uint8)
    if images.shape[1] != 3:
        arrays["channels"] = np.array(images.shape[1], np.int64)
    return {f"gallery/{name}": value for name, value in arrays.items()}


def _log_friction(friction: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(friction, 1e-8))


def normalisation(preprocessing: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Mean and standard deviation that a preprocessing text says were applied, or None.

    (C, 1, 1) each; (1, 1, 1) where one value stands for all channels.
    """
    found = re.search(r"normalize\(([^()/]+)/([^()/]+)\)", preprocessing)
    if not found:
        return None
    mean, std = (torch.tensor([float(x) for x in part.split(",")]).view(-1, 1, 1) for part in found.groups())
    return mean, std


def _stretched(images: ImageSet, shown: torch.Tensor) -> bool:
    outside = float(shown.min()) < -WITHIN or float(shown.max()) > 1 + WITHIN
    return normalisation(images.preprocessing) is None and outside


def _shown_range(images: ImageSet, shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``low`` and ``span`` so that (x - low) / span is in [0, 1] for what is shown."""
    normalised = normalisation(images.preprocessing)
    if normalised is not None:  # x std + mean = (x + mean / std) / (1 / std)
        mean, std = normalised
        return -mean / std, 1 / std
    if not _stretched(images, shown):
        return torch.tensor(0.0), torch.tensor(1.0)
    low, high = shown.min(), shown.max()
    return low, torch.clamp(high - low, min=1e-12)


def _bytes(images: torch.Tensor, low: torch.Tensor, span: torch.Tensor) -> np.ndarray:
    """(K, C, H, W) float32 to (K, h, w, 3) uint8, grey unless C is 3; large images thinned out."""
    every = -(-max(images.shape[-2:]) // LONGEST_SIDE)
    scaled = ((images - low) / span)[..., ::every, ::every].clamp(0, 1)
    if scaled.shape[1] != 3:
        scaled = scaled.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    scaled = scaled.mul(255).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()

"""What the claims need of a model beyond its maps: figures of the rows of M and both spectra."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...extraction.signals import read_output
from ...model.architectures import architecture_of, extract_patches, fast_forward, grid_shape
from .formulas import s_delta, s_delta_of_means
from .free import log_friction, patch_figures

PATCHES, SETS = 8, 2  # of an image; of 200 simplices a patch
AT_ONCE = 8  # images
UNIT = 1e-3  # rows whose lengths are as near to 1 are on the sphere
NO_ROWS = "the model's output has no M and S_orig, so its rows are not known"

Run = Callable[[Tensor, bool], tuple[Tensor | None, Mapping[str, Tensor] | None]]


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are; the CPU where it has none."""
    return next(iter(model.parameters()), torch.empty(0)).device


def runner(model: nn.Module) -> Run:
    """Runs a model as the extraction does: (images, whether to decode) -> reconstruction and svd.

    A built-in model need not decode, and gives None for the first; any other always does.
    """
    run, known = fast_forward(model) or model, architecture_of(model)

    def output(images: Tensor, decoded: bool) -> tuple[Tensor | None, Mapping[str, Tensor] | None]:
        return read_output(run(images)) if decoded or not known else (None, run.encode(images))

    return output


@dataclass(frozen=True)
class Rows:
    """Figures of I images' matrices.

    Attributes:
        patch: (I, P, R) of single patches by name, R draws of simplices for ``cv``, else 1.
        image: (I,) of whole images by name: ``s_delta``, ``s_delta_of_means``, ``S``, and ``error`` and
            ``power``, the mean square of the image, where they were decoded.
        codebook: (I, V, D) mean over an image's patches of each row.
        shape: V and D. norms: S are column norms. sphere: rows have length 1.
    """

    patch: Mapping[str, np.ndarray]
    image: Mapping[str, np.ndarray]
    codebook: np.ndarray
    shape: tuple[int, int]
    norms: bool
    sphere: bool


@torch.inference_mode()
def rows_of(model: nn.Module, images: Tensor, seed: int, *, decoded: bool = False) -> Rows | None:
    """A model's rows on images (I, C, H, W), which are moved to its device; None where it gives none.

    Args:
        seed: of the simplices. decoded: also ``error``, the mean squared error of each image, and ``power``.

    Cost: 32 images of 64 pixels by Freckles 0.3 s, decoded 0.6 s of processor time.
    """
    run, device = runner(model), device_of(model)
    rng, parts = np.random.default_rng(seed), []
    for batch in images.split(AT_ONCE):
        batch = batch.to(device)
        recon, svd = run(batch, decoded)
        if svd is None or not {"M", "S_orig", "S", "Vt"} <= set(svd):
            return None
        some = even_patches(grid_shape(*batch.shape[-2:], model.patch_size), PATCHES)
        parts.append(_batch_rows(svd, some, rng))
        if decoded:
            error = (extract_patches(recon, model.patch_size) - extract_patches(batch, model.patch_size)) ** 2
            parts[-1][1]["error"] = error.mean((1, 2)).double().cpu().numpy()
            parts[-1][1]["power"] = batch.double().square().mean((1, 2, 3)).cpu().numpy()
    *named, books, long = zip(*parts, strict=True)
    together = ({name: np.concatenate([p[name] for p in part]) for name in part[0]} for part in named)
    codebook, norms = np.concatenate(books), getattr(model, "spectrum", "") == "column norms"
    return Rows(*together, codebook, codebook.shape[1:], norms, max(long) < UNIT)


def even_patches(grid: tuple[int, int], count: int) -> np.ndarray:
    """(count,) positions of patches, a lattice: even steps down, of the golden ratio across; all if fewer."""
    height, width = grid
    if height * width <= count:
        return np.arange(height * width)
    step = (np.arange(count) + 0.5) / count
    rows, columns = step * height, (step * count * (5**0.5 - 1) / 2) % 1 * width
    return np.unique(rows.astype(int) * width + columns.astype(int))


def _batch_rows(
    svd: Mapping[str, Tensor], some: np.ndarray, rng: np.random.Generator
) -> tuple[dict, dict, np.ndarray, float]:
    images = len(svd["M"])
    M, S, Vt = (svd[name][:, some].flatten(0, 1).double().cpu() for name in ("M", "S", "Vt"))
    before = svd["S_orig"][:, some].flatten(0, 1).double().cpu().numpy()
    found = patch_figures(M.numpy(), before, rng, SETS)
    found["log_friction"] = log_friction(torch.einsum("rki,rk,rkj->rij", Vt, S.square(), Vt))
    patch = {name: values.reshape(images, len(some), -1) for name, values in found.items()}
    after, orig = (svd[name].double().cpu().numpy() for name in ("S", "S_orig"))
    image = {"s_delta": s_delta(after, orig), "s_delta_of_means": s_delta_of_means(after, orig)}
    image["S"] = orig.mean((1, 2))
    long = float((M.norm(dim=-1) - 1).abs().max())
    return patch, image, svd["M"].double().mean(1).cpu().numpy(), long

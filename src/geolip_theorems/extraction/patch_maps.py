"""Maps of one tile of images: errors, the input's own statistics, ablations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..conduit import conduit_from_svd
from ..data.luma import LUMA
from ..io.errors import InputError
from ..model.architectures import architecture_of, extract_patches, grid_shape, stitch_patches
from .signals import absent_signals, read_output

# (svd, modes) -> images (B, C, H, W): modes (D,) or (B, 1, D) are the factors of the modes.
Decoder = Callable[[dict[str, Tensor], Tensor], Tensor]
DECODER_TOLERANCE = 1e-4


@torch.inference_mode()
def tile_maps(
    model: Callable[[Tensor], Any],
    patch_size: int,
    images: Tensor,
    ablate: np.ndarray,
    decoder: Decoder | None,
    number: int = 0,
) -> dict[str, Tensor]:
    """Every map of a tile of images, (B, C, H, W) on the model's device; the model is run once.

    Args:
        ablate: (B,) bool, which images get ablated errors.
        decoder: from :func:`make_decoder`, or None.
        number: of the first image, for messages.

    Returns:
        Tensors (B, gh, gw, ...) named as in :class:`Maps`, on the CPU; ablated errors of those images only.

    Raises:
        InputError: the model's output has a wrong shape or a non-finite value.
    """
    ps = patch_size
    grid = grid_shape(*images.shape[-2:], ps)
    recon, svd = read_output(model(images))
    _check_output(images, recon, svd or {}, grid, number)
    maps = {**_error_maps(images, recon, ps), **_input_maps(images, ps)}
    absent = absent_signals(svd)
    if "S" not in absent:
        maps["S"] = svd["S"]
    if "friction" not in absent:
        maps["friction"], maps["settle"] = conduit_from_svd(svd["Vt"], svd["S"])
    if decoder is not None and ablate.any():
        # Image by image, so that an ablated error does not depend on which others of the tile are ablated.
        errors = [
            ablated_errors(decoder, images[i : i + 1], {k: value[i : i + 1] for k, value in svd.items()}, ps)
            for i in np.flatnonzero(ablate)
        ]
        maps["error_only"], maps["error_without"] = (torch.cat(part) for part in zip(*errors, strict=True))
    return _on_cpu({name: value.unflatten(1, grid).float() for name, value in maps.items()})


def ablated_errors(
    decoder: Decoder, image: Tensor, svd: dict[str, Tensor], patch_size: int
) -> tuple[Tensor, Tensor]:
    """Release error (1, N, D) with only mode k, and with all modes but k, through the real decoder.

    Args: the image (1, C, H, W) and its part of the model's output. Cost: 2 D images through the decoder.
    """
    target = extract_patches(image, patch_size)
    eye = torch.eye(svd["S"].shape[-1], dtype=svd["S"].dtype, device=image.device)
    modes = torch.cat([eye, 1 - eye])[:, None]

    def error(modes: Tensor) -> Tensor:
        repeated = {key: value.expand(len(modes), *value.shape[1:]) for key, value in svd.items()}
        return (extract_patches(decoder(repeated, modes), patch_size) - target).square_().mean(-1)

    # One by one on a CPU, which gains little by more: their number shows in the last bits.
    errors = torch.cat([error(part) for part in modes.split(1 if image.is_cpu else len(modes))])
    only, without = errors.T[None].split(len(eye), -1)
    return only, without


@torch.inference_mode()
def decodes(model: nn.Module, images: Tensor) -> bool:
    """Whether the model's decoder can be run apart: whether on ``images`` it repeats its reconstruction."""
    decode = make_decoder(model, grid_shape(*images.shape[-2:], model.patch_size))
    if decode is None or architecture_of(model):
        return decode is not None
    recon, svd = read_output(model(images))
    if svd is None:
        return False
    try:
        again = decode(svd, torch.ones_like(svd["S"][0, 0]))
    except (RuntimeError, TypeError, ValueError, KeyError):
        return False
    return again.shape == recon.shape and torch.allclose(
        again, recon, rtol=DECODER_TOLERANCE, atol=DECODER_TOLERANCE
    )


def make_decoder(model: nn.Module, grid: tuple[int, int]) -> Decoder | None:
    """The decoder that a model seems to have, not yet tried."""
    if architecture_of(model):
        return partial(model.decode, grid=grid)
    if not hasattr(model, "decode_patches"):
        return None

    def decode(svd: dict[str, Tensor], modes: Tensor) -> Tensor:
        patches = model.decode_patches(svd["U"], svd["S"] * modes, svd["Vt"])
        image = stitch_patches(patches, grid, model.patch_size)
        return model.boundary_smooth(image) if hasattr(model, "boundary_smooth") else image

    return decode


@torch.inference_mode()
def gram_matrices(model: nn.Module, images: Tensor) -> np.ndarray:
    """The matrices the conduit sees, one per patch: (B*N, D, D) float32, Vt^T diag(S^2) Vt."""
    svd = model(images)["svd"]
    gram = torch.einsum("bnki,bnk,bnkj->bnij", svd["Vt"], svd["S"].square(), svd["Vt"])
    return gram.flatten(0, 1).float().cpu().numpy()


def _error_maps(images: Tensor, recon: Tensor, ps: int) -> dict[str, Tensor]:
    # Cut first, subtract after, as in the script's protocol: the last bit depends on the order of the sum.
    squared = (extract_patches(images, ps) - extract_patches(recon, ps)).pow(2)
    error = squared.mean(-1)
    pixels = squared.unflatten(-1, (images.shape[1], ps * ps)).mean(-2)
    side = torch.arange(ps, device=images.device)
    # Places and not a mask, whose count the host would wait for.
    places = ((side[:, None] + side).reshape(-1) % 2).argsort(stable=True).tensor_split([(ps * ps + 1) // 2])
    halves = [pixels[..., half].mean(-1) for half in places] if ps > 1 else [error, error]
    return {
        "error": error,
        "pixel_var": pixels.var(-1, correction=0),
        "error_half": torch.stack(halves, dim=-1),
    }


def _input_maps(images: Tensor, ps: int) -> dict[str, Tensor]:
    patches = extract_patches(images, ps)
    channels = patches.unflatten(-1, (images.shape[1], ps * ps))
    gradient = extract_patches(gradient_magnitude(images), ps)
    return {
        "input_mean": channels.mean(-1),
        "input_var": patches.var(-1, correction=0),
        "gradient": gradient.mean(-1),
    }


def gradient_magnitude(images: Tensor) -> Tensor:
    """Magnitude of the gradient per pixel of the luma, or channel mean: (B, C, H, W) -> (B, 1, H, W).

    Sobel filters divided by 8, so that a ramp of slope g a pixel gives g; the border repeated.
    """
    c = images.shape[1]
    weights = torch.tensor(LUMA if c == 3 else [1 / c] * c, dtype=images.dtype, device=images.device)
    bright = (images * weights.reshape(1, c, 1, 1)).sum(1, keepdim=True)
    bright = F.pad(bright, (1, 1, 1, 1), mode="replicate")
    smooth, slope = images.new_tensor([1.0, 2.0, 1.0]), images.new_tensor([-1.0, 0.0, 1.0])
    across = torch.outer(smooth, slope) / 8
    kernels = torch.stack([across, across.T])[:, None]
    gx, gy = F.conv2d(bright, kernels).unbind(1)
    return torch.hypot(gx, gy).unsqueeze(1)


def _on_cpu(maps: dict[str, Tensor]) -> dict[str, Tensor]:
    """From another device in one copy."""
    if all(value.is_cpu for value in maps.values()):
        return maps
    packed = torch.cat([value.flatten() for value in maps.values()]).cpu()
    parts = packed.split([value.numel() for value in maps.values()])
    return {name: part.view(value.shape) for (name, value), part in zip(maps.items(), parts, strict=True)}


def _check_output(
    images: Tensor, recon: Tensor, svd: Mapping[str, Any], grid: tuple[int, int], number: int
) -> None:
    wanted = (images.shape[0], grid[0] * grid[1])
    if recon.shape != images.shape:
        raise InputError(
            f"the model's recon has shape {tuple(recon.shape)}; expected the images' {tuple(images.shape)}"
        )
    for key in [key for key in ("U", "S", "Vt") if key in svd]:
        if tuple(svd[key].shape[:2]) != wanted:
            raise InputError(
                f"the model's svd[{key!r}] has shape {tuple(svd[key].shape)}; expected it to begin with "
                f"{wanted}, one entry per patch of {grid[0]}x{grid[1]}"
            )
    named = {"recon": recon, **{f"svd[{key!r}]": svd[key] for key in ("S", "Vt") if key in svd}}
    if torch.stack([torch.isfinite(value).all() for value in named.values()]).all():
        return  # a device is waited for once
    for name, value in named.items():
        if not torch.isfinite(value).all():
            bad = int((~torch.isfinite(value)).flatten(1).any(1).nonzero()[0])
            raise InputError(
                f"the model's {name} is not finite for image {number + bad}; the subject is unusable"
            )

"""Models for tests whose signals are not those of the built-in one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geolip_theorems.model.architectures import extract_patches, stitch_patches


class ConvAutoencoder(nn.Module):
    """Ten lines that know nothing of modes; gives a tensor, or a dict with it."""

    patch_size = 4

    def __init__(self, dictionary: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode = nn.Conv2d(3, 6, 4, stride=4)
        self.decode = nn.ConvTranspose2d(6, 3, 4, stride=4)
        self.dictionary = dictionary

    def forward(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        recon = self.decode(torch.tanh(self.encode(images)))
        return {"recon": recon} if self.dictionary else recon


class MatrixOfPixels(nn.Module):
    """A patch's 48 values as a matrix of D columns, mode 1 of it lost; S descends in no case.

    Args:
        modes: D, which divides 48.
        norms: code by column norms, as a sphere-solver does, instead of singular values.
        keys: what of the svd is given.
    """

    patch_size = 4

    def __init__(self, modes: int, norms: bool = False, keys: tuple[str, ...] = ("U", "S", "Vt")) -> None:
        super().__init__()
        self.modes, self.keys = modes, keys
        self.spectrum = "column norms" if norms else "singular values"

    def forward(self, images: Tensor) -> dict[str, Tensor | dict[str, Tensor]]:
        M = extract_patches(images, 4).unflatten(-1, (48 // self.modes, self.modes))
        if self.spectrum == "column norms":
            S = M.norm(dim=-2)
            Vt = torch.eye(self.modes).expand(*S.shape, self.modes)
            svd = {"U": M / S.unsqueeze(-2).clamp(min=1e-8), "S": S, "Vt": Vt}
        else:
            rows = M.shape[-2]  # zeros below: as many singular values as columns
            U, S, Vt = torch.linalg.svd(nn.functional.pad(M, (0, 0, 0, 48)), full_matrices=False)
            svd = {"U": U[..., :rows, :], "S": S, "Vt": Vt}
        svd["S"] = svd["S"] * (torch.arange(self.modes) != 1)
        recon = self.decode_patches(svd["U"], svd["S"], svd["Vt"])
        grid = images.shape[-2] // 4, images.shape[-1] // 4
        return {"recon": stitch_patches(recon, grid, 4), "svd": {key: svd[key] for key in self.keys}}

    def decode_patches(self, U: Tensor, S: Tensor, Vt: Tensor) -> Tensor:
        return ((U * S.unsqueeze(-2)) @ Vt).flatten(-2)

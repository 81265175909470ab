"""A model architecture in one file: a linear map to a matrix per patch, and one back."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from geolip_theorems.model.architectures import ARCHITECTURES, Architecture
from geolip_theorems.model.architectures.base import COLUMN_NORMS, PatchModel, Stages, column_norms
from geolip_theorems.model.architectures.configs import Config, choice, number


@dataclass(frozen=True)
class LinearConfig(Config):
    """The sizes of a patch's matrix and of the patch."""

    model_type: ClassVar = "linear"
    required: ClassVar = ("V", "D", "patch_size")

    V: int = number(8)
    D: int = number(3)
    patch_size: int = number(4)
    channels: int = number(3)
    hidden: int = number(64)
    row_norm: str = choice("none", ["none"])


class Linear(PatchModel):
    """Its modes are the columns of the matrix."""

    spectrum = COLUMN_NORMS

    def __init__(self, config):
        super().__init__(config)
        pixels, values = config.channels * config.patch_size**2, config.V * config.D
        self.there, self.back = nn.Linear(pixels, values), nn.Linear(values, pixels)
        self.cross_attn, self.boundary_smooth = nn.Identity(), nn.Identity()

    def stages(self):
        return Stages(self.there, None, self.back)

    def decompose(self, M, stages, vectors):
        S, Vt = column_norms(M)
        return {"U": M / S.unsqueeze(-2), "S_orig": S, "Vt": Vt, "M": M}

    def put_together(self, svd, modes):
        S = svd["S"] if modes is None else svd["S"] * modes
        return svd["U"] * S.unsqueeze(-2)


ARCHITECTURES["linear"] = Architecture("linear", "linear maps", LinearConfig, Linear)

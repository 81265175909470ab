"""What a run is asked to do; no torch, so that a command line can be read without it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..io.errors import InputError

ENGINES = ("local", "ray")
DEFAULT_ABLATION_IMAGES = 256
DEFAULT_CONTROLS = 10
LARGEST_SEED = 2**32 - 1  # what every generator takes, with room for the seeds derived from it


@dataclass(frozen=True)
class RunOptions:
    """Everything a run's figures depend on besides model and images.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, already resolved.
        seed: of splits, resampling and random weights.
        implementation: see :func:`geolip_theorems.model.open_model`.
        offline: never touch the network.
        image_size: side in pixels; None for the model's own.
        normalize: ``none``, ``imagenet``, ``MEAN/STD``; None for what the model was trained with.
        group_duplicates: images that are nearly the same are one group.
        max_images: measure the first so many; None for all.
        data_root: folder of CIFAR-10; None for the default.
        ablation_images: images whose modes are ablated; None for all.
        probe: the readout of questions 4 and 5, ``ridge`` or ``conv``.
        controls: random-weight twins beside the subject, at least: all of the bank's, where it has so many
            for these images; 0 for none.
        control_images: images the twins are measured on, an even spread over groups and classes.
        batch_size: images in the works at once; None for what threads and memory allow.
        workers, engine, ray_address: who computes, see :func:`geolip_theorems.extraction.engines.spread`.
            These show in no figure, nor does the batch size, but for last bits on a GPU.
    """

    device: str = "cpu"
    seed: int = 0
    implementation: str = "auto"
    offline: bool = False
    image_size: int | None = None
    normalize: str | None = None
    group_duplicates: bool = False
    max_images: int | None = None
    data_root: Path | None = None
    ablation_images: int | None = DEFAULT_ABLATION_IMAGES
    probe: str = "ridge"
    controls: int = DEFAULT_CONTROLS
    control_images: int = 512
    batch_size: int | None = None
    workers: int = 0
    engine: str = "local"
    ray_address: str | None = None


def check_seed(seed: int) -> None:
    """Raise ``InputError`` unless the seed is a whole number from 0 to 2^32 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"the seed is {seed!r}; expected a whole number from 0 to {LARGEST_SEED}")


def resolve_device(name: str) -> str:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` as a device that is there.

    Raises:
        InputError: a name torch does not know, or a device this machine does not have.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise InputError(f"device {name!r} is not known; expected auto, cpu, cuda, cuda:N or mps")
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(name.partition(":")[2] or 0) >= count:
            raise InputError(
                f"device {name!r} is not there: torch {torch.__version__} sees {count} CUDA devices; "
                "use --device cpu, or install a CUDA build of torch and its driver"
            )
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("device 'mps' is not there: torch sees no Apple GPU; use --device cpu")
    return name

"""The subject of a run: one model on one image set, opened from what the user asked for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..conduit.backends import choose
from ..data.channels import count
from ..data.imageset import ImageSet, check_labels
from ..data.sources import load_images
from ..extraction.extract import EXTRACTION_VERSION, Extraction
from ..extraction.tiles import tile_size
from ..io.errors import InputError, printable
from ..model.architectures import grid_shape, kernels
from ..model.sources import LoadedModel, open_model, weights_sha256
from ..questions import MEASURES_VERSION

DEFAULT_IMAGE_SIZE = 64
DEFAULT_ABLATION_IMAGES = 256
DEFAULT_CONTROLS = 3
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
        max_images: measure the first so many; None for all.
        data_root: folder of CIFAR-10; None for the default.
        ablation_images: images whose modes are ablated; None for all.
        probe: the readout of questions 4 and 5, ``ridge`` or ``conv``.
        controls: random-weight twins beside the subject; 0 for none.
        control_images: images the twins are measured on, an even spread over groups and classes.
        batch_size: images in the works at once; None for what threads and memory allow.
        workers, engine, ray_address: who computes, see :func:`geolip_theorems.extraction.engines.spread`.
            Neither these nor the batch size show in any figure.
    """

    device: str = "cpu"
    seed: int = 0
    implementation: str = "auto"
    offline: bool = False
    image_size: int | None = None
    normalize: str | None = None
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


@dataclass(frozen=True)
class Subject:
    """A model and the images it is measured on, with the name the two have in test ids."""

    model: LoadedModel
    images: ImageSet
    options: RunOptions = field(default_factory=RunOptions)

    @property
    def id(self) -> str:
        """``MODEL-DATASET``, letters, digits, dots, dashes and underscores only."""
        return subject_id(self.model.name, self.images.name)

    def ablated(self) -> np.ndarray:
        """(A,) int64 ascending, which images' modes are ablated: an even spread over groups and classes."""
        return np.sort(self.images.spread_order()[: self.options.ablation_images])

    def maps_key(self, ablated: np.ndarray) -> dict[str, Any]:
        """Everything the maps depend on; ``ablated`` as in :class:`Maps`.

        Weights and config need not tell what a model does, so what it gives for the first images counts too.
        """
        device = torch.device(self.options.device)
        model = self.model.model
        return {
            "extraction": EXTRACTION_VERSION,
            "weights": self.model.sha256,
            "model": type(model).__qualname__,
            "config": architecture_config(model),
            "patch_size": model.patch_size,
            "output": Extraction(model, self.images, device=device).fingerprint(),
            "implementation": self.model.implementation,
            "images": self.images.sha256,
            "preprocessing": self.images.preprocessing,
            "solver": choose("auto", device).name,
            "device": device.type,
            "dtype": "float32",
            "tile": tile_size(device),
            "kernels": kernels(device),
            "torch": torch.__version__,
            "ablated": hashlib.sha256(ablated.astype("<i8").tobytes()).hexdigest(),
        }

    def describe_model(self) -> dict[str, Any]:
        """The record's ``model`` entry."""
        model = self.model
        return {
            "name": model.name,
            "source": model.source,
            "sha256": model.sha256,
            "implementation": model.implementation,
            "substitute_for": model.substitute_for,
            "config": model.config,
        }

    def describe_protocol(self) -> dict[str, Any]:
        """The record's ``protocol`` entry: what figures depend on besides model, images, seed and device."""
        options = self.options
        return {
            "extraction": EXTRACTION_VERSION,
            "measures": MEASURES_VERSION,
            "probe": options.probe,
            "ablation_images": options.ablation_images,
            "controls": options.controls,
            "control_images": options.control_images,
        }

    def describe_dataset(self) -> dict[str, Any]:
        """The record's ``dataset`` entry."""
        images = self.images
        return {
            "name": images.name,
            "source": images.source,
            "sha256": images.sha256,
            "preprocessing": images.preprocessing,
            "substitute_for": images.substitute_for,
            "n_images": len(images),
            "classes": None if images.classes is None else list(images.classes),
            "image_size": list(images.image_size),
        }


def subject_id(model: str, dataset: str) -> str:
    """The name of a model and a data set in test ids, without characters a shell or path would mind."""
    return "-".join(re.sub(r"[^A-Za-z0-9._@-]+", "-", name).strip("-") for name in (model, dataset))


def resolve_device(name: str) -> str:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` as a device that is there.

    Raises:
        InputError: a name torch does not know, or a device this machine does not have.
    """
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


def open_subject(model: str, dataset: str, options: RunOptions, *, read: bool = True) -> Subject:
    """Open a model and an image set that fits it.

    Args:
        model, dataset: as after ``--model`` and ``--dataset``.
        options: everything else.
        read: read every image once now, so that a damaged one is found before the work begins; without it
            the first use of the set's hash reads them.

    Raises:
        InputError: whatever is wrong with either, or the image size is no multiple of the patch size.
    """
    loaded = open_model(
        model,
        device=options.device,
        implementation=options.implementation,
        offline=options.offline,
        seed=options.seed,
    )
    size = options.image_size or int(loaded.config.get("img_size") or DEFAULT_IMAGE_SIZE)
    images = load_images(
        dataset,
        image_size=size,
        max_images=options.max_images,
        data_root=options.data_root,
        offline=options.offline,
        seed=options.seed,
        normalize=options.normalize or loaded.normalize,
        channels=model_channels(loaded.model),
    )
    _check_fit(loaded.model, images)
    if read:
        _ = images.sha256
    return Subject(loaded, images, options)


def architecture_config(model: nn.Module) -> dict[str, Any] | None:
    """A model's ``config.as_dict()``, or None for a model that has none."""
    config = getattr(model, "config", None)
    return config.as_dict() if hasattr(config, "as_dict") else None


def live_subject(model: nn.Module, images: ImageSet, options: RunOptions, name: str) -> Subject:
    """A subject of a module that is in memory already, for :func:`geolip_theorems.measure`.

    Raises:
        InputError: the model has no patch size, its weights are not finite, or the images' size or number
            of channels does not fit.
    """
    if not hasattr(model, "patch_size"):
        raise InputError(f"model {name!r} has no patch_size; only patch models can be measured")
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"model {name!r}: {key} has non-finite values; the weights are unusable")
    _check_fit(model, images)
    loaded = LoadedModel(
        model=model,
        name=name,
        source="a module in memory",
        sha256=weights_sha256(model),
        implementation=type(model).__module__.partition(".")[0],
        config=architecture_config(model) or {},
        normalize="none",
    )
    return Subject(loaded, images, options)


def model_channels(model: nn.Module) -> int:
    """Channels of the images a model takes: its attribute ``channels``, 3 where it has none.

    Raises:
        InputError: the attribute is no whole number above 0.
    """
    channels = getattr(model, "channels", 3)
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise InputError(
            f"the model's channels is {printable(channels, 80)!r}; expected the number of channels of its "
            "images, a whole number above 0"
        )
    return channels


def _check_fit(model: nn.Module, images: ImageSet) -> None:
    channels = model_channels(model)
    if images.channels != channels:
        raise InputError(
            f"{images.name}: the images have {count(images.channels)}, the model takes {count(channels)}; "
            f"open the images with channels={channels}, or set the model's attribute channels if it takes "
            f"{images.channels}"
        )
    check_labels(images)
    grid_shape(*images.image_size, model.patch_size)

"""The subject of a run: one model on one image set, opened from what the user asked for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..conduit.backends import choose
from ..data.duplicates import near_duplicates
from ..data.imageset import ImageSet, check_labels
from ..data.sources import load_images
from ..data.transforms import count
from ..extraction.extract import EXTRACTION_VERSION, Extraction
from ..extraction.tiles import tile_size
from ..io.errors import InputError, printable
from ..model.architectures import grid_shape, kernels
from ..model.sources import LoadedModel, architecture_config, loaded_module, open_model
from ..questions import MEASURES_VERSION
from ..results.record import SubjectRecord
from .options import RunOptions

DEFAULT_IMAGE_SIZE = 64


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
        model, tile = self.model.model, tile_size(device)
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
            # Elsewhere than on a CPU a smaller batch is a smaller pass, with other last bits.
            "tile": tile if device.type == "cpu" else min(tile, self.options.batch_size or tile),
            "kernels": kernels(device),
            "torch": torch.__version__,
            "ablated": positions_sha256(ablated),
            **({"float32": "ieee"} if device.type == "cuda" else {}),
        }

    def describe_model(self) -> dict[str, Any]:
        """The record's ``model`` entry; no image is read for it."""
        names = ("name", "source", "sha256", "implementation", "substitute_for", "config")
        return {name: getattr(self.model, name) for name in names}

    def record(self, **found: Any) -> SubjectRecord:
        """The subject's record: what is known before anything is measured, and what was ``found``."""
        dataset = ("name", "source", "sha256", "preprocessing", "substitute_for")
        protocol = ("probe", "ablation_images", "controls", "control_images")
        images, options = self.images, self.options
        return SubjectRecord(
            id=self.id,
            model=self.describe_model(),
            dataset={
                **{name: getattr(images, name) for name in dataset},
                "n_images": len(images),
                "classes": None if images.classes is None else list(images.classes),
                "image_size": list(images.image_size),
            },
            seed=options.seed,
            device=options.device,
            protocol={
                "extraction": EXTRACTION_VERSION,
                "measures": MEASURES_VERSION,
                **{name: getattr(options, name) for name in protocol},
            },
            **found,
        )


def positions_sha256(positions: np.ndarray) -> str:
    """Hash of (A,) integer positions, as keys of caches have it."""
    return hashlib.sha256(positions.astype("<i8").tobytes()).hexdigest()


def subject_id(model: str, dataset: str) -> str:
    """The name of a model and a data set in test ids, without characters a shell or path would mind."""
    return "-".join(re.sub(r"[^A-Za-z0-9._@-]+", "-", name).strip("-") for name in (model, dataset))


def open_subject(model: str, dataset: str, options: RunOptions, *, read: bool = True) -> Subject:
    """Open a model and an image set that fits it, named as after ``--model`` and ``--dataset``.

    Args:
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
    if options.group_duplicates:
        images = replace(images, groups=near_duplicates(images))
    if read:
        _ = images.sha256
    return Subject(loaded, images, options)


def live_subject(model: nn.Module, images: ImageSet, options: RunOptions, name: str) -> Subject:
    """A subject of a module in memory; ``InputError`` where model and images cannot be used together."""
    loaded = loaded_module(model, name, "a module in memory")
    _check_fit(model, images)
    return Subject(loaded, images, options)


def model_channels(model: nn.Module) -> int:
    """Channels of the images a model takes: its attribute ``channels``, 3 where it has none."""
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

"""Reference subjects: what little or no training gives on the same images, beside the random-weight twins.

``blur`` and ``pca`` have the subject's mean error. What is fitted is fitted on other images of the same set,
where it has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from ..data.imageset import ImageSet
from ..io.errors import InputError
from ..model.architectures import architecture_of
from ..model.codecs import make_codec
from ..model.references import ZeroOutput, with_fitted_last_layer
from ..model.sources import random_twin, weights_sha256
from .subject import Subject

FITTED_ON = 64  # images
LAST_LAYER, MATCHED = "last layer", ("blur", "pca")


@dataclass(frozen=True)
class Reference:
    """A way to make one.

    Attributes:
        make: (subject's model, (N, C, H, W) images to fit on, subject's mean error, seed) -> a module, or
            InputError where there can be none.
        of_shape: it depends on the subject's shape alone, not on its weights; the bank may have measured it.
    """

    name: str
    about: str
    make: Callable[[nn.Module, Tensor, float, int], nn.Module]
    of_shape: bool = False


def _codec(name: str) -> Callable[[nn.Module, Tensor, float, int], nn.Module]:
    def make(model: nn.Module, images: Tensor, mse: float, seed: int) -> nn.Module:
        how = {"patch_size": model.patch_size, "channels": images.shape[1]}
        return make_codec(name, mse=mse, images=images, **how)

    return make


def _zero(model: nn.Module, images: Tensor, mse: float, seed: int) -> nn.Module:
    return ZeroOutput(model.patch_size, images.shape[1])


def _last_layer(model: nn.Module, images: Tensor, mse: float, seed: int) -> nn.Module:
    if architecture_of(model) is None:
        raise InputError("the model is none of the built-in architectures, so there are no twins of it")
    fitted = with_fitted_last_layer(random_twin(model.config, seed), images)
    if fitted is None:
        raise InputError("the decoder does not end in a linear layer")
    return fitted


REFERENCES = (
    Reference("zero", "no reconstruction at all", _zero, True),
    Reference("blur", "a blur of the same mean error", _codec("blur")),
    Reference("pca", "principal components of patches, of the same mean error", _codec("pca")),
    Reference(LAST_LAYER, "random weights, the last layer fitted by least squares", _last_layer, True),
)


def reference_subject(
    reference: Reference, subject: Subject, images: np.ndarray, mse: float, seed: int
) -> Subject:
    """A reference of a subject on (M,) of its images, on which the subject's mean error is ``mse``.

    Raises:
        InputError: there is none.
    """
    fitted_on = fitting_images(subject, images).tensor()
    model = reference.make(subject.model.model, fitted_on, mse, seed).eval().requires_grad_(False)
    loaded = replace(
        subject.model,
        model=model.to(subject.options.device),
        name=f"reference-{reference.name.replace(' ', '-')}",
        sha256=weights_sha256(model),
        implementation="builtin" if reference.name == LAST_LAYER else "codec",
    )
    return replace(subject, model=loaded, images=subject.images.take(images))


def fitting_images(subject: Subject, images: np.ndarray) -> ImageSet:
    """Images to fit on: at most 64, spread over those that are not measured; over these if all are."""
    others = np.setdiff1d(np.arange(len(subject.images)), images)
    pool = others if len(others) >= FITTED_ON else np.arange(len(subject.images))
    return subject.images.take(pool[np.linspace(0, len(pool) - 1, min(FITTED_ON, len(pool))).astype(int)])

"""Reference subjects: what little or no training gives on the same images, beside the random-weight twins.

``zero`` gives nothing; ``blur`` and ``pca`` are codecs whose mean error is the subject's; ``last layer`` is a
random-weight twin whose decoder's last layer alone is fitted by least squares. What is fitted is fitted on
other images of the same set, where it has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
class Asked:
    """What a reference is made from.

    Attributes:
        model: the subject's. channels: of the images.
        seed: of a random-weight twin.
        images: (N, C, H, W) float32 to fit on. mse: the subject's mean error.
    """

    model: nn.Module
    channels: int
    seed: int
    images: Tensor
    mse: float


@dataclass(frozen=True)
class Reference:
    """A way to make one.

    Attributes:
        make: gives a module, or raises InputError where there can be none.
        of_shape: it depends on the subject's shape alone, not on its weights; the bank may have measured it.
    """

    name: str
    about: str
    make: Callable[[Asked], nn.Module]
    of_shape: bool = False


def _codec(name: str) -> Callable[[Asked], nn.Module]:
    def make(asked: Asked) -> nn.Module:
        how = {"patch_size": asked.model.patch_size, "channels": asked.channels}
        return make_codec(name, mse=asked.mse, images=asked.images, **how)

    return make


def _last_layer(asked: Asked) -> nn.Module:
    if architecture_of(asked.model) is None:
        raise InputError("the model is none of the built-in architectures, so there are no twins of it")
    fitted = with_fitted_last_layer(random_twin(asked.model.config, asked.seed), asked.images)
    if fitted is None:
        raise InputError("the decoder does not end in a linear layer")
    return fitted


REFERENCES = (
    Reference("zero", "no reconstruction at all", lambda a: ZeroOutput(a.model.patch_size, a.channels), True),
    Reference("blur", "a blur of the same mean error", _codec("blur")),
    Reference("pca", "principal components of patches, of the same mean error", _codec("pca")),
    Reference(LAST_LAYER, "random weights, the last layer fitted by least squares", _last_layer, True),
)


def reference_subjects(
    subject: Subject,
    images: np.ndarray,
    mse: float,
    seed: int,
    references: Sequence[Reference] = REFERENCES,
) -> Iterator[tuple[Reference, Subject | None, str]]:
    """The references of a subject on some of its images.

    Args:
        images: (M,) which. mse: the subject's mean error on them. seed: of the twin that is fitted.
        references: which of them.

    Yields:
        A reference, its subject, and ""; or None and why there is none.
    """
    part = subject.images.take(images)
    asked = Asked(subject.model.model, part.channels, seed, fitting_images(subject, images).tensor(), mse)
    for reference in references:
        try:
            model = reference.make(asked)
        except InputError as error:
            yield reference, None, str(error)
            continue
        model = model.eval().requires_grad_(False)
        name = f"reference-{reference.name.replace(' ', '-')}"
        loaded = replace(
            subject.model,
            model=model.to(subject.options.device),
            name=name,
            sha256=weights_sha256(model),
            implementation="builtin" if reference.name == LAST_LAYER else "codec",
        )
        yield reference, replace(subject, model=loaded, images=part), ""


def fitting_images(subject: Subject, images: np.ndarray) -> ImageSet:
    """Images to fit on: at most 64, spread over those that are not measured; over these if all are."""
    others = np.setdiff1d(np.arange(len(subject.images)), images)
    pool = others if len(others) >= FITTED_ON else np.arange(len(subject.images))
    return subject.images.take(pool[np.linspace(0, len(pool) - 1, min(FITTED_ON, len(pool))).astype(int)])

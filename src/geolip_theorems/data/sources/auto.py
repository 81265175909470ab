"""``auto``: CIFAR-10 where it is cached or quickly fetched, else the digits, which are always there."""

from __future__ import annotations

from dataclasses import replace

from ...io.errors import InputError
from ..imageset import ImageSet
from . import Asked, cifar10, digits

AUTO_SECONDS = 8.0  # how long it tries to fetch CIFAR-10


def open_images(asked: Asked) -> ImageSet:
    """The set chosen; one that stands in for CIFAR-10 says so, and why, in ``substitute_for``."""
    try:
        return cifar10.open_images(asked, patience=AUTO_SECONDS)
    except cifar10.CifarUnavailableError as error:
        reason = error.reason
    except InputError:
        reason = "what is in its cache cannot be used; --dataset cifar10 says why"
    return replace(digits.open_images(asked), substitute_for=f"cifar10: {reason}")

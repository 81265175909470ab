"""What a reader must know of a subject's signals before reading the figures that rest on them."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..data.duplicates import SHARE, near_duplicates, share_in_groups
from ..data.imageset import ImageSet
from ..extraction.maps import Maps

COLUMN_NORMS = "column norms"
OF_S = (
    "The model's S are the norms of a matrix's columns, in no order; they are not singular values, and modes "
    "are columns."
)
OF_FRICTION = (
    "Its Gram matrices are diagonal, so friction is a function of S alone: what is said of eigenvalues and "
    "friction compares a map with a function of itself."
)
DUPLICATES = (
    "{share:.0%} of the images show nearly the same as another, within two pixels. Intervals take them for "
    "independent and are too narrow, and probes are tested on what they were trained on; --group-duplicates "
    "makes groups of them."
)
ON_WHITE = "{count:,} of the {images:,} images have an alpha channel; they are shown on white."
NO_TWINS = (
    "No random-weight twins: the model is none of the built-in architectures, so it cannot be drawn anew. "
    "Whether a figure is beyond untrained weights is not known."
)
UNREACHED_SIZE = 16
UNREACHED = (
    "With 16 modes the conduit's path ends away from the eigenpairs of every Gram matrix and is repaired: "
    "friction describes a path that did not arrive."
)


def subject_notes(model: nn.Module, maps: Maps, images: ImageSet, twins: bool = True) -> list[dict[str, Any]]:
    """``{"questions": ["q4", ..], "text": ...}`` each, without questions if a note is on all.

    ``twins``: there are some, or none were asked for.
    """
    found = [] if twins else [_note((), NO_TWINS)]
    share = share_in_groups(near_duplicates(images)) if images.groups is None else 0.0
    if share >= SHARE:
        found.append(_note((), DUPLICATES.format(share=share)))
    if images.on_white:
        found.append(_note((), ON_WHITE.format(count=images.on_white, images=len(images))))
    if maps.S is not None and getattr(model, "spectrum", "") == COLUMN_NORMS:
        text = OF_S if maps.friction is None else f"{OF_S} {OF_FRICTION}"
        found.append(_note(("q3", "q4", "q5"), text))
    if maps.friction is not None and maps.friction.shape[-1] == UNREACHED_SIZE:
        found.append(_note(("q4", "q5"), UNREACHED))
    if maps.S is None:
        text = f"Modes, eigenvalues and friction are not measured: {maps.absent['S']}."
        found.append(_note(("q3", "q4", "q5", "q6"), text))
    elif maps.friction is None:
        text = f"Friction and settle are not measured: {maps.absent['friction']}."
        found.append(_note(("q4", "q5", "q6"), text))
    return found


def _note(questions: tuple[str, ...], text: str) -> dict[str, Any]:
    return {"questions": list(questions), "text": text}

"""The bank: figures of random-weight twins of the embedded shape, and of references, kept with the suite.

A file per image set in ``assets`` holds figures and what single images add to them, no weights, and answers
only for exactly the images, sizes, versions, seed and probe of its key. ``make bank`` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..extraction.extract import EXTRACTION_VERSION
from ..io import arrays as npz
from ..io.errors import InputError
from ..model.sources import assets
from ..questions import MEASURES_VERSION, Claim, question_of
from ..questions.boundaries import BOUNDARIES
from ..questions.classes import CLASSES
from ..questions.modes import MODES
from ..questions.readout import CONDUIT, RELEASE
from ..questions.spatial import SPATIAL
from .controls import Member, Referred, Twin
from .references import fitting_images
from .subject import Subject, positions_sha256

BANKED = ("digits", "photos", "scenes")  # image sets that come with the suite
ABOUT, PARTS, REFERENCES = "bank/about", "parts/", "references/"
OWN = (SPATIAL, CLASSES, MODES, RELEASE, CONDUIT, BOUNDARIES)


@dataclass(frozen=True)
class Bank:
    """What a bank holds; ``key``: see :func:`bank_key`."""

    key: dict[str, Any]
    twins: list[Twin]
    references: list[Referred]


def bank_file(dataset: str) -> Path:
    """Where the twins of an image set are kept."""
    return assets() / f"twins-{dataset}.npz"


def bank_key(subject: Subject, images: np.ndarray, ablated: np.ndarray) -> dict[str, Any]:
    """Everything the figures of a subject's twins depend on.

    Args:
        images: (M,) which of the subject's the twins are measured on.
        ablated: (A,) positions in these of the images whose modes are ablated.
    """
    part, config = subject.images.take(images), subject.model.model.config
    return {
        "model_type": config.model_type,
        "config": config.as_dict(),
        "images": part.sha256,
        "fitted_on": fitting_images(subject, images).sha256,
        "preprocessing": part.preprocessing,
        "ablated": positions_sha256(ablated),
        "extraction": EXTRACTION_VERSION,
        "measures": MEASURES_VERSION,
        "seed": subject.options.seed,
        "probe": subject.options.probe,
    }


def banked(subject: Subject, images: np.ndarray, ablated: np.ndarray, asked: Iterable[Claim]) -> Bank | None:
    """The bank for these images, the subject itself left out of its twins; see :func:`bank_key`.

    None where there is none for them, or where a claim is on a metric that is not the suite's own.

    Raises:
        InputError: the bank's file is damaged.
    """
    path = bank_file(subject.images.name)
    if subject.images.name not in BANKED or not path.exists():
        return None
    bank = read_bank(path)
    if bank.key != bank_key(subject, images, ablated):
        return None
    if not all(_ours(claim) and claim.metric.name in bank.twins[0].figures for claim in asked):
        return None
    return replace(bank, twins=[twin for twin in bank.twins if twin.sha256 != subject.model.sha256])


def write_bank(path: Path, bank: Bank) -> None:
    """Write figures and contributions: float32, and int8 where nothing is lost by it."""
    about = {name: [_about(one) for one in getattr(bank, name)] for name in ("twins", "references")}
    arrays = {ABOUT: np.array(json.dumps({"key": bank.key, **about}, sort_keys=True))}
    for metric in bank.twins[0].parts:
        arrays[_entry(PARTS, metric)] = _small(np.stack([t.parts[metric] for t in bank.twins]))
    for i, one in enumerate(bank.references):
        arrays |= {_entry(f"{REFERENCES}{i}/", m): _small(part) for m, part in one.parts.items()}
    npz.write(path, arrays)


def read_bank(path: Path) -> Bank:
    """A bank from its file; ``InputError`` where it is missing, damaged, or not of this suite."""
    try:
        arrays = npz.read(path)
        about = json.loads(str(arrays.pop(ABOUT)))
        parts = _parts(PARTS, arrays)
        return Bank(
            about["key"],
            [
                Twin(**one, parts={name: rows[i] for name, rows in parts.items()})
                for i, one in enumerate(about["twins"])
            ],
            [
                Referred(**one, parts=_parts(f"{REFERENCES}{i}/", arrays))
                for i, one in enumerate(about["references"])
            ],
        )
    except (InputError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"the bank of random-weight twins {path.name!r} cannot be read ({error}); "
            "install the suite again, or write it with: make bank"
        ) from None


def _about(member: Member) -> dict[str, Any]:
    return {name: value for name, value in vars(member).items() if name != "parts"}


def _entry(prefix: str, metric: str) -> str:
    return prefix + metric.replace(".", "/")


def _parts(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {name: array for name, array in arrays.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix).replace("/", "."): array for name, array in found.items()}


def _ours(claim: Claim) -> bool:
    """Whether a claim is on a metric of the suite's own questions, none of them replaced."""
    return any(question is question_of(claim.metric) and claim.metric in question.metrics for question in OWN)


def _small(values: np.ndarray) -> np.ndarray:
    """The same values in fewer bytes; float32 where they are not all small whole numbers."""
    whole = values.astype(np.int8) if np.isfinite(values).all() and np.abs(values).max() < 128 else None
    return whole if whole is not None and (whole == values).all() else values.astype(np.float32)

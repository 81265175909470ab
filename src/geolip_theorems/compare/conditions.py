"""What two runs must share to be compared: the images, and all that figures depend on but the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..io.errors import InputError
from ..questions import MEASURES_VERSION
from ..questions.study import SAME_SINCE

OF_DATASET = ("sha256", "preprocessing", "n_images")
OF_PROTOCOL = ("extraction", "measures", "probe", "ablation_images")


def conditions(subject: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for two subjects to be compared, by the name of the record's field."""
    found = {f"dataset.{key}": subject["dataset"][key] for key in OF_DATASET}
    found["seed"] = subject["seed"]
    found |= {f"protocol.{key}": subject["protocol"].get(key) for key in OF_PROTOCOL}
    measures = found["protocol.measures"]
    if isinstance(measures, int) and SAME_SINCE <= measures <= MEASURES_VERSION:
        found["protocol.measures"] = MEASURES_VERSION
    found |= {f"threshold.{v['claim']}": v["threshold"] for v in subject["verdicts"]}
    return found


def differing(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    """The conditions in which two subjects differ, with both values; thresholds only where both have them."""
    a, b = conditions(reference), conditions(candidate)
    return [
        f"{name}: {_short(a.get(name))} then, {_short(b.get(name))} now"
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name) and (not name.startswith("threshold.") or (name in a and name in b))
    ]


def check_comparable(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> None:
    """Raise ``InputError`` where data or protocol differ, naming each field and both values."""
    fields = differing(reference, candidate)
    if fields:
        raise InputError(
            f"{candidate['id']} cannot be compared with {reference['id']}: {'; '.join(fields)}; "
            "run both on the same images, of one --image-size, with the same options and version of the suite"
        )


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}.." if len(text) == 64 else text

"""The results record: what ``results.json`` holds, typed and versioned, see ``results.schema.json``."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from .errors import InputError, printable, shown
from .files import read_json
from .model.writing import write_atomically
from .shape import NUMBER, Optional, ShapeError, check_shape

FORMAT = "geolip-theorems results"
LARGEST = 64 << 20  # bytes of a results file; one of ten subjects has 1 MB
VERSION = 2  # raised whenever results.schema.json changes
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "numba", "geolip-svae", "geolip-core")


@dataclass
class Verdict:
    """One claim's outcome on one subject.

    Attributes:
        theorem, question: 3 and ``q1`` to ``q6``.
        claim, metric, title: see :class:`geolip_theorems.claims.Claim`.
        value, ci95: the figure and the ends of its 95 % interval; None where it could not be measured.
        method: how the interval was found.
        threshold, comparison: the claim holds where value ``comparison`` threshold.
        n: images the figure rests on.
        p: of the claim's null, where it has one.
        verdict: ``holds``, ``fails``, ``inconclusive`` or ``not measured``.
        reason: why, in a sentence; for ``inconclusive`` what would decide it.
        n_to_decide: images that would probably decide an inconclusive verdict.
        attributed: whether the subject is beyond untrained weights; False, behind them; None, not shown.
        attribution: why, and the twins' range.
        expected, expected_reason: from the expectations file, where it has an entry.
        probe: the readout the figure comes from, for the questions that train one.
        seed_value: the seed protocol's own value of the question, where it has one.
    """

    theorem: int
    question: str
    claim: str
    metric: str
    title: str
    value: float | None
    ci95: list[float] | None
    method: str
    threshold: float
    comparison: str
    n: int
    p: float | None
    verdict: str
    reason: str
    n_to_decide: int | None = None
    attributed: bool | None = None
    attribution: dict[str, Any] | None = None
    expected: str | None = None
    expected_reason: str | None = None
    seed_value: float | None = None
    probe: str | None = None


@dataclass
class SubjectRecord:
    """One model on one image set.

    Attributes:
        protocol: what figures depend on besides model, images, seed and device: versions of extraction and
            measures, probe, numbers of ablated images and of random-weight twins.
        notes: what to know of the signals before reading figures: ``questions`` (a list) and ``text`` each,
            see :mod:`geolip_theorems.notes`.
        companion: ``file`` and ``sha256`` of the arrays beside the record, see
            :mod:`geolip_theorems.companion`; None where none were written.
        error: why a subject has no measurements.
    """

    id: str
    model: dict[str, Any]
    dataset: dict[str, Any]
    seed: int
    device: str
    verdicts: list[Verdict] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    measurements: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    companion: dict[str, str] | None = None
    error: str | None = None


@dataclass
class Results:
    """A run.

    Attributes:
        comparisons: of its subjects with a baseline or with each other, see
            :class:`geolip_theorems.comparison.Comparison`.
    """

    subjects: list[SubjectRecord]
    command: list[str]
    environment: dict[str, Any]
    created: str
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    format: str = FORMAT
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; numbers that are not finite become None."""
        return finite(asdict(self))


def now() -> str:
    """The present moment as an ISO 8601 string in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def environment(device: str = "cpu") -> dict[str, Any]:
    """What the figures and timings depend on besides subject and seed."""
    import torch

    found = {}
    for package in ("geolip-theorems", *PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": found,
        "cpu": cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": gpu,
        "executable": Path(sys.executable).name,
    }


def cpu_model() -> str | None:
    """The processor's name as its maker gives it, or None where the system does not tell."""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip() or None
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return next(filter(None, names), None)


def write_results(results: Results, path: Path) -> None:
    """Write ``results.json`` whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    text = json.dumps(results.to_dict(), indent=1, allow_nan=False) + "\n"
    try:
        write_atomically(path, lambda name: Path(name).write_text(text, encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"report folder {str(path.parent)!r} cannot be written ({error.strerror}); "
            "give another --report-dir"
        ) from None


def read_results(path: Path) -> dict[str, Any]:
    """The content of a ``results.json``.

    Raises:
        InputError: the file is missing or unreadable, not a record, or of another version.
    """
    content, name = read_json(path, "results file", LARGEST), printable(path.name, 200)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{name!r} is not a results file of this suite; expected format {FORMAT!r}")
    if content.get("version") != VERSION:
        found = shown(content.get("version"), 40)
        raise InputError(
            f"results file {name!r} is of version {found}, and this package reads version {VERSION}; run the "
            "suite again"
        )
    try:
        check_shape(content, _SHAPE)
    except ShapeError as error:
        raise InputError(f"results file {name!r} is damaged: {error}; run the suite again") from None
    return content


_VERDICT = {
    **dict.fromkeys(("question", "claim", "metric", "title", "method", "comparison", "reason"), str),
    "verdict": {"holds", "fails", "inconclusive", "not measured"},
    **{"value": Optional(NUMBER), "ci95": Optional([NUMBER, NUMBER]), "p": Optional(NUMBER)},
    **{"threshold": NUMBER, "n": int, "n_to_decide?": Optional(int), "seed_value?": Optional(NUMBER)},
    **{"attributed": Optional(bool), "attribution?": Optional(dict), "probe?": Optional(str)},
    **{"expected": Optional(str), "expected_reason?": Optional(str)},
}
_SUBJECT = {
    **{"id": str, "seed": int, "device": str, "error": Optional(str), "protocol": dict},
    "model": {**dict.fromkeys(("name", "source?", "sha256"), str), "substitute_for": Optional(str)},
    "dataset": {
        **dict.fromkeys(("name", "source?", "sha256?"), str),
        **{"substitute_for": Optional(str), "n_images": int, "classes?": Optional([str])},
    },
    **{"verdicts": [_VERDICT], "measurements": dict, "timings": dict},
    "notes?": [{"questions": [str], "text": str}],
    "companion?": Optional({"file": str, "sha256": str}),
}
_SHAPE = {
    **{"subjects": [_SUBJECT], "command": [str], "environment": dict, "created": str},
    "comparisons?": [dict],
}


def finite(value: Any) -> Any:
    """Plain JSON values: tuples as lists, keys as text, numbers that are not finite as None."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""The results record: what ``results.json`` holds, typed and versioned.

These types are its only description: files are read against them, and ``results.schema.json`` is made from
them (:mod:`geolip_theorems.results.schema`).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from ..io.errors import InputError, printable, shown
from ..io.files import read_json, refused, write_atomically
from ..io.text import clean
from ..stats.figure import Figure, Interval

FORMAT = "geolip-theorems results"
VERSION = 3  # raised whenever the types below change
LARGEST = 64 << 20  # bytes of a results file; one of ten subjects has 1 MB
DEEPEST = 60  # of nested measurements: far more than any record has, far less than Python can recurse

Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Meta(min_length=1)]
Outcome = Literal["holds", "fails", "inconclusive", "not measured"]
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
Claimed = dict[str, Figure | None]


class Model(TypedDict):
    """The subject's model: ``config`` holds its sizes and what else its checkpoint says of it."""

    name: Text
    source: str
    sha256: Sha256
    implementation: str
    substitute_for: str | None
    config: dict[str, Any]


class Dataset(TypedDict):
    """The subject's images; ``substitute_for`` says what they stand in for."""

    name: Text
    source: str
    sha256: Sha256
    preprocessing: str
    substitute_for: str | None
    n_images: Annotated[int, Meta(ge=1)]
    classes: list[str] | None
    image_size: tuple[Count, Count]


class Protocol(TypedDict):
    """What figures depend on besides model, images, seed and device."""

    extraction: Count
    measures: Count
    probe: Literal["ridge", "conv"]
    ablation_images: Count | None
    controls: Count
    control_images: Count


class _Controls(TypedDict):
    images: Count
    source: Literal["bank", "drawn", "none"]
    subject: Claimed
    twins: list[dict[str, Figure | int | None]]


class Controls(_Controls, total=False):
    """The claims' figures of the subject, of its random-weight twins and of references, on the same images.

    A reference has its ``name``, what it is ``about``, and why it is ``missing`` where it could not be made.
    """

    references: list[dict[str, Figure | str | None]]


class Measurements(TypedDict, total=False):
    """The script's own figures, the calibrated ones by question, and the twins'; empty where there are none.

    ``calibrated`` and ``script`` are open: their entries are those of the questions asked. Whatever in them
    has a ``method`` is a :class:`~geolip_theorems.stats.figure.Figure`.
    """

    script: dict[str, Any]
    script_accuracies: dict[str, Any]
    calibrated: dict[str, Any]
    controls: Controls | None


class Environment(TypedDict):
    """What figures and timings depend on besides subject and seed, see :mod:`geolip_theorems.environment`.

    Nothing in it names a machine or a person.
    """

    python: str
    platform: str
    packages: dict[str, str]
    cpu: str | None
    cpu_count: int | None
    cpus_allowed: int | None
    torch_threads: int
    gpu: str | None
    executable: str


class Companion(TypedDict):
    """The file of arrays beside the record."""

    file: Annotated[str, Meta(pattern=r"^[^/\\]+\.maps\.npz$")]
    sha256: Sha256


class Note(TypedDict):
    """What a reader of some questions should know of this subject."""

    questions: list[str]
    text: str


class Twin(TypedDict, total=False):
    """The twins' mean, spread and number, and the range that a subject must leave."""

    value: float
    std: float
    n: Count
    range: Interval
    images: Count


class Settings(TypedDict):
    """What the run was made with: the command line's, the settings file's and the built-in values together.

    ``file`` is the settings file, None where there was none; ``options`` those that figures depend on.
    """

    file: str | None
    profile: str | None
    models: list[str]
    datasets: list[str]
    options: dict[str, str | float | bool | None]
    thresholds: dict[str, float]


class TwinDifference(TypedDict):
    """The subject less the mean of its twins."""

    value: float | None
    ci95: Interval | None
    method: str


class Attributed(TypedDict):
    """What the random-weight twins say of a claim."""

    attributed: bool | None
    reason: str
    twin: Twin | None
    difference: TwinDifference | None


class Beside(TypedDict):
    """The subject less one reference, on the same images; ``beyond`` in the claim's direction."""

    name: str
    value: float
    difference: float
    ci95: Interval
    beyond: bool | None


@dataclass
class Verdict:
    """One claim's outcome on one subject.

    Attributes:
        theorem, question: 3 and ``q1`` to ``q6``, or the id of another question; no theorem where it stands
            under another ``heading``, as published claims do.
        claim, metric, title: see :class:`geolip_theorems.questions.Claim`.
        value, ci95: the figure and the ends of its 95 % interval; None where it could not be measured.
        method: how the interval was found.
        threshold, comparison: the claim holds where value ``comparison`` threshold.
        n: images the figure rests on.
        p: of the claim's null, where it has one.
        p_claim: of the claim being false, see :class:`geolip_theorems.stats.decisions.Decision`; ``p_holm``:
            the same adjusted for all claims judged in the run, on all its subjects (Holm 1979).
        reason: why, in a sentence; for ``inconclusive`` what would decide it.
        n_to_decide: images that would probably decide an inconclusive verdict.
        attributed: whether the subject is beyond untrained weights; False, behind them; None, not shown.
        attribution: why, and the twins' range.
        references: the subject beside each of the references that has such a figure.
        training: whether it is beyond all of these: random weights, a fitted last layer, simple codecs.
        expected, expected_reason: from the expectations file, where it has an entry for these images.
        unchecked: what it expects on another number of the same images.
        script_value: the script's own value of the question, where it has one.
        probe: the readout the figure comes from, for the questions that train one.
        reading: which of its references the figure equals, where it has such.
        unit: ``pp`` where the figure is shown in percentage points, else empty.
    """

    theorem: int | None
    question: str
    claim: str
    metric: str
    title: str
    value: float | None
    ci95: Interval | None
    method: str
    threshold: float
    comparison: Literal[">", "<"]
    n: Count
    p: Probability | None
    verdict: Outcome
    reason: Text
    n_to_decide: Count | None = None
    attributed: bool | None = None
    attribution: Attributed | None = None
    expected: Literal["fails", "inconclusive"] | None = None
    expected_reason: str | None = None
    script_value: float | None = None
    probe: Literal["ridge", "conv"] | None = None
    unit: Literal["pp", ""] = ""
    unchecked: str | None = None
    references: list[Beside] = field(default_factory=list)
    training: bool | None = None
    p_claim: Probability | None = None
    p_holm: Probability | None = None
    heading: str = ""
    reading: str = ""


@dataclass
class SubjectRecord:
    """One model on one image set.

    Attributes:
        timings: seconds (keys in ``_s``), and what was computed now rather than read from the cache.
        companion: the arrays beside the record, see :mod:`geolip_theorems.results.companion`; None where
            none were written.
        notes: what the signals of this subject are, beside the questions it matters to.
        error: why a subject has no measurements.
    """

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._@-]+$")]
    model: Model
    dataset: Dataset
    seed: Count
    device: Annotated[str, Meta(pattern=r"^(cpu|mps|cuda(:\d+)?)$")]
    verdicts: list[Verdict] = field(default_factory=list)
    protocol: Protocol = field(default_factory=dict)
    measurements: Measurements = field(default_factory=dict)
    timings: dict[str, float | bool] = field(default_factory=dict)
    companion: Companion | None = None
    notes: list[Note] = field(default_factory=list)
    error: Text | None = None


@dataclass
class Results:
    """A run.

    Attributes:
        comparisons: of its subjects with a baseline or with each other, see
            :class:`geolip_theorems.compare.judging.Comparison`.
        settings: what the run was made with; None in records from before they were kept.
    """

    subjects: Annotated[list[SubjectRecord], Meta(min_length=1)]
    command: Annotated[list[str], Meta(min_length=1)]
    environment: Environment
    created: Moment
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    settings: Settings | None = None
    format: Literal["geolip-theorems results"] = FORMAT
    version: Literal[3] = VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; numbers that are not finite become None."""
        return finite(asdict(self))


def now() -> str:
    """The present moment as an ISO 8601 string in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def write_results(results: Results, path: Path) -> None:
    """Write ``results.json`` whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    text = json.dumps(results.to_dict(), indent=1, allow_nan=False) + "\n"
    with refused(f"report folder {str(path.parent)!r}", "--report-dir"):
        write_atomically(path, lambda name: Path(name).write_text(text, encoding="utf-8"))


def read_results(path: Path) -> dict[str, Any]:
    """The content of a ``results.json``, of this version or turned into it, its texts printable.

    Raises:
        InputError: the file is missing or unreadable, not a record, or of another version.
    """
    name = printable(path.name, 200)
    content = read_json(path, "results file", LARGEST)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{name!r} is not a results file of this suite; expected format {FORMAT!r}")
    if content.get("version") == 2:
        content = _from_version_2(content)
    if content.get("version") != VERSION:
        found = shown(content.get("version"), 40)
        raise InputError(
            f"results file {name!r} is of version {found}, and this package reads versions 2 and {VERSION}; "
            "run the suite again"
        )
    try:
        check_depth(content)
        msgspec.convert(content, Results)
    except (msgspec.ValidationError, RecursionError) as error:
        fault = printable(error, 160)
        raise InputError(f"results file {name!r} is damaged: {fault}; run the suite again") from None
    return clean(content)


def check_depth(content: Any) -> None:
    """Raise ``msgspec.ValidationError`` where lists and dictionaries are nested over ``DEEPEST`` deep."""
    level = [content]
    for _ in range(DEEPEST):
        level = [item for found in level for item in _items(found)]
        if not level:
            return
    raise msgspec.ValidationError(f"it is nested over {DEEPEST} deep")


def _items(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []


RENAMED = {"seed_protocol": "script", "seed_accuracies": "script_accuracies", "seed_value": "script_value"}
UNKNOWN = dict.fromkeys(("unchecked", "training", "p_claim", "p_holm"))  # to version 2
UNKNOWN |= {"references": [], "heading": "", "reading": ""}
IN_POINTS = ("lifts.", "probes.")  # metrics of version 2 that are shown in percentage points


def _from_version_2(content: dict[str, Any]) -> dict[str, Any]:
    """A record of version 2 as one of version 3: what was called seed protocol is called script."""

    def renamed(found: Any) -> dict[str, Any]:
        return {RENAMED.get(key, key): value for key, value in found.items()}

    try:
        for subject in content["subjects"]:
            subject["measurements"] = renamed(subject["measurements"])
            subject["verdicts"] = [
                {**renamed(v), "unit": "pp" if v["metric"].startswith(IN_POINTS) else "", **UNKNOWN}
                for v in subject["verdicts"]
            ]
            subject.setdefault("notes", [])
    except (AttributeError, KeyError, TypeError):
        pass  # damaged: the check of its types says where
    return {"settings": None, **content, "version": VERSION}


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def finite(value: Any) -> Any:
    """Plain JSON values: tuples as lists, keys as text, numbers that are not finite as None.

    Names of files may hold bytes that are no text; what UTF-8 cannot hold is replaced.
    """
    if isinstance(value, dict):
        return {_utf8(str(key)): finite(item) for key, item in value.items()}
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""The page: what goes where."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...notes import notes_on
from . import failures, modes, readouts, space
from .blocks import Cell, Note, Table, attempt, table
from .shown import Shown

Builder = Callable[[Shown], Any]


@dataclass(frozen=True)
class Question:
    """A section of the page.

    Attributes:
        id, title: ``q1`` and what is asked.
        about: two sentences for a reader who begins here.
        builders: what make its blocks, in order.
    """

    id: str
    title: str
    about: str
    builders: tuple[Builder, ...]
    questions: tuple[str, ...] = ()


QUESTIONS = (
    Question(
        "q1",
        "Does the error vary over patches?",
        "An error map has one number a patch: the mean squared error of its pixels. If the model lost "
        "the same everywhere, "
        "the map would be flat but for sampling noise, which the corrected figure takes out.",
        (space.cv_histogram, space.overall_map, space.spatial_numbers),
    ),
    Question(
        "q2",
        "Do classes fail in different places?",
        "Each class's error maps are averaged. Two classes that fail in the same places have maps in the "
        "same direction, "
        "a cosine of 1, whatever the size of their errors.",
        (space.class_maps, space.cosine_matrix, space.class_errors, space.class_figures),
    ),
    Question(
        "q3",
        "Which modes matter where?",
        "A patch is coded by a small matrix in modes, weighed by S: its singular values or, in some models, "
        "the norms of its columns. A mode matters as much as the error grows "
        "when the model's own decoder has to do without it.",
        (modes.energy_stacks, modes.ablation_curves, modes.dominant_map, modes.cost_maps, modes.mode_numbers),
    ),
    Question(
        "q4",
        "What do the maps tell about the class?",
        "Questions 4 and 5. Probes are trained on the maps to name the class of an image they have not "
        "seen. A lift is "
        "what one set of features adds to another, on the same images.",
        (
            readouts.accuracies,
            readouts.lifts,
            readouts.by_class,
            readouts.confusions,
            readouts.readout_numbers,
        ),
        ("q4", "q5"),
    ),
    Question(
        "q6",
        "Where does it fail?",
        "If what is lost are edges, the error follows the gradient of the input. Friction and settle "
        "describe how hard "
        "the eigenvalues of a patch were to find.",
        (
            failures.region_bars,
            failures.correlations,
            failures.error_by_gradient,
            failures.gallery,
            failures.solver_maps,
            failures.failure_numbers,
        ),
    ),
)


def blocks(question: Question, shown: Shown) -> list[Any]:
    """A question's blocks for one subject; a sentence where there is nothing."""
    if shown.record.get("error"):
        return [Note(f"Not measured: {shown.record['error']}")]
    if not shown.record.get("measurements"):
        return [Note("Nothing was measured.")]
    made = [Note(text) for text in notes_on(shown.record, question.questions or (question.id,))]
    made += [block for builder in question.builders for block in attempt(builder, shown)]
    if question.id == "q2" and not shown.classes:
        return [Note("The images have no labels, and this question compares classes."), *made]
    return made or [Note("This question was not measured.")]


def layout(made: list[Any]) -> str:
    """How many panels stand side by side: two where three would leave one alone in its row."""
    narrow = [block for block in made if not getattr(block, "wide", True)]
    return "pairs" if len(narrow) % 3 == 1 and len(narrow) > 1 else "threes"


def command(results: Mapping[str, Any]) -> str:
    """The exact command as one would type it."""
    return shlex.join(str(word) for word in results.get("command") or [])


def timings(subjects: list[Shown]) -> Table:
    """What took how long."""
    names = {
        "extraction_s": "extraction",
        "measures_s": "measures",
        "controls_s": "random-weight twins",
        "companion_s": "companion file",
    }
    rows = []
    for shown in subjects:
        found = shown.record.get("timings") or {}
        cached = ", read from the cache" if found.get("from_cache") else ""
        for key, value in found.items():
            if key.endswith("_s") and isinstance(value, (int, float)) and not isinstance(value, bool):
                name = names.get(key, key[:-2].replace("_", " "))
                note = cached if key == "extraction_s" else ""
                rows.append([shown.record["id"], name + note, float(value)])
    return table("Timings", ("subject", "stage", "seconds"), rows)


def environment(results: Mapping[str, Any]) -> Table:
    """Versions and machine."""
    found = results.get("environment") or {}
    rows = [[key.replace("_", " "), _plain(value)] for key, value in found.items() if key != "packages"]
    rows += [[name, str(version)] for name, version in (found.get("packages") or {}).items()]
    rows.append(["record", f"{results.get('format')}, version {results.get('version')}"])
    return table("Environment", ("what", "version or value"), rows)


def provenance(shown: Shown) -> Table:
    """Where model and images come from, with every hash and setting of the record."""
    rows: list[list[Any]] = [["subject", shown.record["id"]]]
    known = ("id", "verdicts", "measurements", "timings", "notes", "error")
    for key, value in shown.record.items():
        if key in known:
            continue
        rows += _flat(key.replace("_", " "), value)
    return table(f"Provenance of {shown.record['id']}", ("what", "value"), rows)


def _flat(name: str, value: Any) -> list[list[Any]]:
    if isinstance(value, Mapping) and " · " in name:  # a model's config and the like: one row
        text = ", ".join(f"{key} = {_plain(inner)}" for key, inner in value.items())
        return [[name, Cell(text, text)]]
    if isinstance(value, Mapping):
        return [
            row
            for key, inner in value.items()
            for row in _flat(f"{name} · {str(key).replace('_', ' ')}", inner)
        ]
    return [[name, Cell(_plain(value), _plain(value))]]


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        shown = ", ".join(map(str, value[:40]))
        return shown + (f" and {len(value) - 40} more" if len(value) > 40 else "")
    return str(value)

"""The tables a run ends with, for people at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..drawing.text import interval, number, verdict_row
from ..probes.signals import trivial
from ..results.notes import described
from ..results.record import SubjectRecord, Verdict

STYLES = {"holds": "green", "fails": "bold red", "inconclusive": "yellow", "not measured": "dim"}
MOST_ROWS = 20  # classes in a table; more are counted, not listed


def render(subjects: list[SubjectRecord], console: Console) -> None:
    """Print every subject's tables, then one line a verdict."""
    for subject in subjects:
        console.rule(f"Theorem 3, release fidelity: {subject.id}", align="left", style="bold")
        if subject.error:
            console.print(Text(subject.error, style="bold red"))
            continue
        if subject.measurements:
            for part in subject_tables(subject):
                console.print(part)
                console.print()
    console.rule("verdicts", align="left", style="bold")
    console.print(verdict_table(subjects))
    for line in (*notes(subjects), *findings(subjects)):
        console.print(Text(line, style="yellow"))


def subject_tables(subject: SubjectRecord) -> list[RenderableType]:
    """The script's tables, as the script has them, and the calibrated figures beside them."""
    script = subject.measurements["script"]
    tables: list[RenderableType] = [spatial_table(script, subject)]
    if script.get("class_error"):
        tables.append(class_table(script))
    if script.get("mode_energy"):
        tables.append(mode_table(script))
    if script.get("probes"):
        tables.append(probe_table(script, subject.measurements))
    lifts = (subject.measurements.get("calibrated") or {}).get("lifts")
    if lifts:
        tables.append(lift_table(lifts))
    return tables


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number_, column in enumerate(columns):
        table.add_column(column, justify="left" if number_ == 0 else "right", no_wrap=True)
    return table


def spatial_table(script: Mapping[str, Any], subject: SubjectRecord) -> Table:
    """Questions 1 and 6 over all images: CV of the error maps, class cosines, overall map."""
    counts, overall = script["counts"], script["overall"]
    title = f"error maps ({counts['images']:,} images, CV over the first {counts['maps']:,})"
    table = _table(title, "figure", "mean", "median", "min", "max")
    cv = script["spatial_cv"] or {}
    table.add_row("spatial CV per image", *(number(cv.get(k)) for k in ("mean", "median", "min", "max")))
    if script.get("class_cosine"):
        cosine = script["class_cosine"]
        table.add_row("cosine between classes", number(cosine["mean"]), "", number(cosine["min"]), "")
    grid = subject.dataset["image_size"]
    hot = f"{overall['hot_patches']} hot patches" if overall["hot_patches"] is not None else ""
    table.add_row("overall error map", number(overall["mean"]), "", f"std {number(overall['std'])}", hot)
    table.caption = f"images of {grid[0]}x{grid[1]} pixels; hot: above mean + 2 std" if hot else None
    table.caption_justify = "left"
    return table


def class_table(script: Mapping[str, Any]) -> Table:
    """Questions 2 and 6 per class: error, regions, the patches it is highest at."""
    table = _table(
        "per class",
        "class",
        "mean",
        "std",
        "max",
        "center",
        "edge",
        "corner",
        "edge/center",
        "top patches",
        "ratio",
    )
    for name in list(script["class_error"])[:MOST_ROWS]:
        error, region, top = (
            script["class_error"][name],
            script["regions"][name],
            script["top_positions"][name],
        )
        places = " ".join(f"{r},{c}" for r, c in top["positions"] or [])
        table.add_row(
            name,
            *(number(error[k]) for k in ("mean", "std", "max")),
            *(number(region[k]) for k in ("center", "edge", "corner", "edge_to_center")),
            places,
            number(top["ratio"]),
        )
    return _with_rest(table, len(script["class_error"]))


def mode_table(script: Mapping[str, Any]) -> Table:
    """Question 3: the share of each mode in the energy, per class."""
    energies = script["mode_energy"]
    modes = len(next(value for value in energies.values() if value is not None))
    shown = min(modes, 8)
    images = script["counts"]["mode_images"]
    table = _table(
        f"energy of the modes (first {images} images)",
        "class",
        *(f"mode {k}" for k in range(shown)),
        "full MSE",
    )
    for name in list(energies)[:MOST_ROWS]:
        values = energies[name] or [None] * modes
        table.add_row(name, *(number(v) for v in values[:shown]), number(script["full_mse"][name]))
    return _with_rest(table, len(energies))


def probe_table(script: Mapping[str, Any], measurements: Mapping[str, Any]) -> Table:
    """Questions 4 and 5: the script's probes and the calibrated ones, trivial features included."""
    fair = (measurements.get("calibrated") or {}).get("probes") or {}
    splits = measurements.get("script_accuracies") or {}
    chance = f", chance {fair['chance']:.1%}" if fair.get("chance") else ""
    columns = ("features", "script train", "script test", "over splits", "calibrated", "95 % interval")
    table = _table(f"probe accuracy ({fair.get('probe', 'no')} probe{chance})", *columns)
    measured = [
        name
        for name, figure in fair.items()
        if isinstance(figure, Mapping) and "value" in figure and name not in script["probes"]
    ]
    for name in (*script["probes"], *measured):
        single, spread, figure = script["probes"].get(name), splits.get(name), fair.get(name)
        table.add_row(
            name,
            f"{single['train']:.1%}" if single else "",
            f"{single['test']:.1%}" if single else "",
            f"{spread['mean']:.1%} ± {spread['std']:.1%}" if spread else "",
            *_share(figure),
        )
    table.caption = f"{', '.join(trivial())}: what the images tell without any model"
    table.caption_justify = "left"
    return table


def _share(figure: Mapping[str, Any] | None) -> tuple[str, str]:
    """A share and its interval in percent."""
    if not figure or figure["value"] is None:
        return "", ""
    ci95 = figure["ci95"]
    return f"{figure['value']:.1%}", f"[{ci95[0]:.1%}, {ci95[1]:.1%}]" if ci95 else ""


def lift_table(lifts: Mapping[str, Any]) -> Table:
    """What one set of features adds to another, paired, with intervals that hold all at once."""
    table = _table("lifts, percentage points", "lift", "value", "95 % interval", "detectable from")
    for name, figure in lifts.items():
        value, ci95, least = figure["value"], figure["ci95"], figure.get("smallest_detectable")
        shown = "" if value is None else f"{100 * value:+.2f}"
        table.add_row(name, shown, interval(ci95, percent=True), f"{100 * least:.2f}" if least else "")
    return table


def verdict_table(subjects: list[SubjectRecord]) -> RenderableType:
    """One line a verdict."""
    rows = [(subject, verdict) for subject in subjects for verdict in subject.verdicts]
    if not rows:
        return Text("no verdict was asked for")
    columns = ("", "claim", "value", "95 % interval", "claimed", "images", "verdict", "model's", "script")
    table = _table("", *columns)
    table.title = None
    table.columns[1].justify = "left"
    table.columns[1].no_wrap = False
    table.columns[1].min_width = 24
    for subject, verdict in rows:
        table.add_row(*_verdict_row(verdict, subject.id if len(subjects) > 1 else ""))
    return table


def _verdict_row(verdict: Verdict, subject: str) -> list[RenderableType]:
    row = verdict_row(vars(verdict))
    return [
        row.question,
        f"{row.title} ({subject})" if subject else row.title,
        row.value,
        row.interval,
        row.claimed,
        row.images,
        Text(row.verdict, style=STYLES[row.verdict]),
        row.attributed,
        row.script,
    ]


def notes(subjects: list[SubjectRecord]) -> list[str]:
    """What to know of the signals, with the questions it is about."""
    return [f"note, {subject.id}, {line}" for subject in subjects for line in described(subject.notes)]


def findings(subjects: list[SubjectRecord]) -> list[str]:
    """The verdicts that were expected not to hold, each with its reason."""
    return [
        f"finding, {subject.id}, {v.question}: {v.title}: {v.verdict} "
        f"(expected {v.expected}): {v.expected_reason}"
        for subject in subjects
        for v in subject.verdicts
        if v.expected is not None
    ]


def _with_rest(table: Table, count: int) -> Table:
    if count > MOST_ROWS:
        table.caption = f"and {count - MOST_ROWS} more classes, see results.json"
        table.caption_justify = "left"
    return table

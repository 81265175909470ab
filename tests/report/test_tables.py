"""The tables at a terminal: what is a figure has a row, what is not has none."""

from rich.console import Console

from geolip_theorems.report.terminal import probe_table

SCRIPT = {"probes": {"release": {"train": 0.9, "test": 0.5}}}


def figure(value, ci95):
    return {"value": value, "ci95": ci95, "n": 90, "method": "m"}


def lines(**fair):
    """The table's rows by their first word."""
    splits = {"release": {"mean": 0.45, "std": 0.02}}
    console = Console(width=140, no_color=True)
    with console.capture() as captured:
        console.print(probe_table(SCRIPT, {"calibrated": {"probes": fair}, "script_accuracies": splits}))
    rows = [line.split() for line in captured.get().splitlines()[2:-1] if line.strip()]
    return captured.get().splitlines()[0].strip(), {row[0]: row[1:] for row in rows}


def test_every_accuracy_has_a_row_and_the_confusions_none():
    title, rows = lines(
        probe="ridge",
        chance=0.1,
        n_classes=2,
        n_folds=5,
        repeats=2,
        release=figure(0.6, [0.5, 0.7]),
        friction=figure(0.4, None),
        settle=figure(None, None),
        confusion={"classes": [0, 1], "release": [[5, 1], [2, 4]], "friction": [[3, 3], [3, 3]]},
    )
    assert title == "probe accuracy (ridge probe, chance 10.0%)"
    assert rows == {
        "release": ["90.0%", "50.0%", "45.0%", "±", "2.0%", "60.0%", "[50.0%,", "70.0%]"],
        "friction": ["40.0%"],
        "settle": [],
    }


def test_too_many_classes_for_confusions_change_nothing():
    with_none = lines(probe="conv", release=figure(0.6, [0.5, 0.7]), confusion=None)
    assert with_none == lines(probe="conv", release=figure(0.6, [0.5, 0.7]))
    assert list(with_none[1]) == ["release"]

"""Versions over time: jumps and slow drifts are named where they are, noise hardly ever, flips always."""

import json
from itertools import pairwise

import numpy as np
import pytest

from geolip_theorems.cli import main
from geolip_theorems.compare.history import Version, events, history

from .sides import N, images, side


def versions(*values: np.ndarray, **more) -> list[Version]:
    return [
        Version(f"v{k}", f"2026-01-0{k + 1}T00:00:00+00:00", side("m", found, **more))
        for k, found in enumerate(values)
    ]


def changes(found: list[Version]) -> dict[int, str]:
    (series,) = history(found).series
    return {number: change.outcome for number, change in series.changes.items()}


def noisy(level: float, seed: int, noise: float = 0.01) -> np.ndarray:
    return images(0) * level + np.random.default_rng(seed).normal(0, noise, N)


def test_a_jump_is_named_where_it_is_and_back_again_is_one_too():
    levels = (1.0, 1.0, 1.2, 1.2, 1.0)
    assert changes(versions(*(noisy(level, k) for k, level in enumerate(levels)))) == {
        2: "worse",
        4: "better",
    }


def test_a_slow_drift_is_found_though_no_step_of_it_is():
    drift = [noisy(1 + 0.004 * k, k + 10, 0.15) for k in range(9)]
    assert changes(versions(*drift)) != {}
    assert all(changes(versions(*pair)) == {} for pair in pairwise(drift))


def test_versions_that_are_alike_have_a_change_point_in_five_per_cent_of_histories_at_most():
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, 1])
        wrong += changes(versions(*(images(seed) * rng.gamma(20.0, 1 / 20, N) for _ in range(5)))) != {}
    assert wrong / 200 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def verdict(word: str) -> dict:
    about = {"claim": "small", "title": "the error is small", "metric": "error", "question": "all"}
    return {**about, "verdict": word, "threshold": 1.0}


def test_flips_are_told_with_the_figure_they_are_about():
    same = noisy(1.0, 0)
    found = [
        Version(f"v{k}", f"2026-01-0{k + 1}", side("m", same, verdicts=[verdict(word)]))
        for k, word in enumerate(("holds", "holds", "fails"))
    ]
    told = history(found)
    (series,) = told.series
    assert list(series.flips) == [2]
    assert events(told) == [("v2", "all", "the error is small", "holds before, fails now")]


def test_a_version_under_other_conditions_is_left_out_and_said():
    found = versions(noisy(1.0, 0), noisy(1.0, 1))
    found.insert(0, Version("old", "2025", side("m", noisy(1.0, 2), seed=1)))
    told = history(found)
    assert [name for name, _ in told.versions] == ["v0", "v1"]
    assert told.left_out == {"old": "seed: 1 then, 0 now"}


@pytest.fixture
def runs(labelled, tmp_path):
    """Two runs of one model in folders; in the second, made later, a verdict is another."""
    (subject,) = labelled.record["subjects"]
    for name, day in (("b", 1), ("a", 2)):
        folder = tmp_path / name
        folder.mkdir()
        record = {**labelled.record, "created": f"2026-01-0{day}T00:00:00+00:00"}
        if name == "a":
            record["subjects"][0]["verdicts"][0]["verdict"] = "not measured"
        (folder / "results.json").write_text(json.dumps(record))
        source = labelled.results.parent / subject["companion"]["file"]
        (folder / source.name).write_bytes(source.read_bytes())
    return tmp_path


def test_the_command_orders_by_time_and_writes_page_and_json(runs, capsys):
    page = runs / "history.html"
    assert main(["history", str(runs), "--json", "--html", str(page)]) == 0
    (found,) = json.loads(capsys.readouterr().out)["histories"]
    assert [name for name, _ in found["versions"]] == ["b", "a"]
    assert sum(len(flips) for series in found["series"] for flips in series["flips"].values()) == 1
    html = page.read_text(encoding="utf-8")
    assert "1 flip, 0 change points" in html
    assert html.count("<figure") == sum(any(series["figures"]) for series in found["series"])
    assert "<script>window" not in html
    assert main(["history", str(runs)]) == 0
    assert "not measured now" in capsys.readouterr().out


def test_a_folder_without_runs_is_refused_in_a_line(tmp_path, capsys):
    assert main(["history", str(tmp_path)]) == 2
    assert "holds no runs; give a folder of results files" in capsys.readouterr().err

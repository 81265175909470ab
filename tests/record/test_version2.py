"""Runs written as version 2: read, compared with a run of today, refused where they are damaged."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from geolip_theorems.cli import main
from geolip_theorems.compare.sides import compare_runs, open_run
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.io.errors import InputError
from geolip_theorems.questions import metrics
from geolip_theorems.results import companion
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, now, read_results, write_results
from geolip_theorems.results.schema import schema
from geolip_theorems.run.analyse import analyse
from geolip_theorems.run.subject import RunOptions, open_subject

DATA = Path(__file__).parents[1] / "data"
OLD = DATA / "version2" / "results.json"
NEWER = ("lifts.balanced-chance", "lifts.release-patch_means")  # metrics that version 2 did not know
OPTIONS = RunOptions(max_images=40, ablation_images=8, controls=0, offline=True)


@pytest.fixture(scope="module")
def today(tmp_path_factory):
    """The same model on the same images, measured and written now."""
    folder = tmp_path_factory.mktemp("today")
    subject = open_subject(str(DATA / "svae_d4.pt"), "scenes", OPTIONS)
    found = analyse(subject, MapsCache(folder / "cache"))
    found.record.companion = companion.write(folder / companion.file_name(found.record.id), found.companion)
    write_results(Results([found.record], ["pytest"], environment(), now()), folder / "results.json")
    return folder / "results.json"


def test_the_file_is_of_version_2_and_is_read_as_one_of_version_3():
    raw, found = json.loads(OLD.read_text()), read_results(OLD)
    assert (raw["version"], found["version"]) == (2, 3)
    before, after = raw["subjects"][0], found["subjects"][0]
    assert after["measurements"]["script"] == before["measurements"]["seed_protocol"]
    assert after["measurements"]["script_accuracies"] == before["measurements"]["seed_accuracies"]
    assert after["measurements"]["calibrated"] == before["measurements"]["calibrated"]
    for then, now_ in zip(before["verdicts"], after["verdicts"], strict=True):
        assert now_["script_value"] == then["seed_value"]
        assert now_["unit"] == ("pp" if then["question"] in ("q4", "q5") else "")
    assert "seed_" not in json.dumps(after)
    validator = jsonschema.Draft202012Validator(schema())
    assert [error.message for error in validator.iter_errors(found)] == []
    assert any(validator.iter_errors(raw)), "the control: it is another version"


def test_a_run_of_version_2_compares_with_one_of_today(today):
    (found,) = compare_runs([OLD, today])
    assert {metric.metric for metric in found.metrics} == {metric.name for _, metric in metrics()}
    known = [metric for metric in found.metrics if metric.metric not in NEWER]
    assert {m.outcome for m in found.metrics if m.metric in NEWER} == {"not measured"}
    assert all(metric.paired for metric in known)
    assert {flip.outcome for flip in found.verdicts} == {"same"}
    assert len(found.verdicts) == 7
    assert found.regressions() == []
    for metric in known:  # the same figures, but for what another processor rounds
        assert abs(metric.difference) <= metric.smallest / 10, metric.metric


def test_the_figures_are_those_of_version_2(today):
    """Every figure that both have, value by value; intervals are made in another way since."""
    then, now_ = (read_results(path)["subjects"][0]["measurements"] for path in (OLD, today))
    before, after = numbers(then), numbers(now_)
    both = before.keys() & after.keys()
    assert {name.split(".")[-1] for name in before.keys() - both} == {"release-chance"}
    assert {name: before[name] for name in both} == pytest.approx(
        {name: after[name] for name in both}, rel=1e-4, abs=1e-6
    )
    now_["calibrated"]["spatial_cv"]["corrected"]["value"] *= 1.001
    changed = numbers(now_)
    assert any(changed[name] != pytest.approx(before[name], rel=1e-4, abs=1e-6) for name in both)


def numbers(tree, path=""):
    """The figures' values by path."""
    if isinstance(tree, dict) and "ci95" in tree:
        return {} if tree["value"] is None else {path: tree["value"]}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return {name: n for key, node in items for name, n in numbers(node, f"{path}.{key}").items()}


def test_a_change_since_version_2_is_found(today, tmp_path, capsys):
    record = json.loads(today.read_text())
    record["subjects"][0]["companion"] = None
    figure = record["subjects"][0]["measurements"]["calibrated"]["error"]
    figure |= {"value": 3 * figure["value"], "ci95": [3 * end for end in figure["ci95"]]}
    (tmp_path / "results.json").write_text(json.dumps(record))
    assert main(["compare", str(OLD), str(tmp_path / "results.json")]) == 1
    assert "release error" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("subjects",), 3),
        (("subjects", 0, "verdicts"), None),
        (("subjects", 0, "verdicts", 0, "metric"), 3),
        (("subjects", 0, "verdicts", 0, "value"), "0.5"),
        (("subjects", 0, "measurements"), []),
        (("version",), 1),
        (("version",), "2"),
        (("version",), 4),
    ],
    ids=str,
)
def test_what_is_damaged_or_of_another_version_is_a_line(tmp_path, path, value):
    content = json.loads(OLD.read_text())
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = copy.deepcopy(value)
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"damaged|of version") as caught:
        open_run(tmp_path / "results.json")
    assert "\n" not in str(caught.value)

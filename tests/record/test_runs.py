"""Runs on disk: which subject answers which, baselines by name, the compare command."""

import copy
import json
import multiprocessing
import time
from dataclasses import replace

import pytest
from filelock import FileLock

from geolip_theorems.cli import main
from geolip_theorems.compare import baselines
from geolip_theorems.compare.pairing import Side
from geolip_theorems.compare.sides import compare_runs, counterpart, open_run
from geolip_theorems.io.errors import InputError
from geolip_theorems.results import companion
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, now

# The processes touch files only, so a copy of this one will do and starts at once.
METHODS = multiprocessing.get_all_start_methods()
context = multiprocessing.get_context("fork" if "fork" in METHODS else "spawn")


def write_run(folder, *sides):
    """A run on disk as the suite leaves it."""
    run = Results([], ["pytest"], environment(), now()).to_dict()
    for side in sides:
        subject = copy.deepcopy(side.subject)
        if side.arrays is not None:
            path = folder / companion.file_name(f"{side.label}-scenes")
            subject["companion"] = companion.write(path, side.arrays)
        run["subjects"].append(subject)
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(run))
    return folder / "results.json"


@pytest.fixture
def old(sides, tmp_path):
    return write_run(tmp_path / "old", sides["golden"])


@pytest.fixture
def new(sides, tmp_path):
    return write_run(tmp_path / "new", sides["noisy"])


def test_a_run_on_disk_compares_like_one_in_memory(sides, old, new):
    (found,) = compare_runs([old, new])
    assert all(metric.paired for metric in found.metrics)
    assert found.metrics[0].outcome == "worse"
    assert found.reference["label"].endswith("(old/results.json)")


def test_a_missing_companion_is_said_and_a_foreign_one_refused(sides, old, new):
    (file,) = new.parent.glob("*.maps.npz")
    kept = file.read_bytes()
    file.unlink()
    (found,) = compare_runs([old, new])
    assert not any(metric.paired for metric in found.metrics)
    assert any("is missing beside" in note for note in found.notes)
    file.write_bytes(next(old.parent.glob("*.maps.npz")).read_bytes())
    with pytest.raises(InputError, match="is not the one its results file was written with"):
        open_run(new)
    file.write_bytes(kept[:-100])
    with pytest.raises(InputError, match="damaged"):
        open_run(new)


def with_names(side, model, dataset="scenes", sha256="a" * 64):
    subject = copy.deepcopy(side.subject)
    subject["model"]["name"] = model
    subject["dataset"] |= {"name": dataset, "sha256": sha256}
    return Side(subject, None, model)


def test_which_subject_answers_which(sides):
    golden = sides["golden"]
    a, b = with_names(golden, "a"), with_names(golden, "b")
    other = with_names(golden, "a", "digits", "b" * 64)
    assert counterpart([a, other], with_names(golden, "c").subject, "old") is a
    assert counterpart([a, b, other], with_names(golden, "b").subject, "old") is b
    renamed = with_names(golden, "a", "renamed")
    assert counterpart([other, a], renamed.subject, "old") is a, "the same images under another name"
    changed = with_names(golden, "a", "digits", "c" * 64)
    assert counterpart([other, a], changed.subject, "old") is other, "to be refused by name, not overlooked"
    with pytest.raises(InputError, match=r"2 models on 'scenes' \(a, b\) and not one named 'c'"):
        counterpart([a, b], with_names(golden, "c").subject, "old")


def test_a_subject_without_a_counterpart_names_the_nearest_images(sides):
    golden = sides["golden"]
    old = [with_names(golden, "a"), with_names(golden, "b", "digits", "b" * 64)]
    for name, hint in (
        ("photos", "known: digits, scenes"),
        ("scene", "did you mean 'scenes'?"),
        ("my-digits", "did you mean 'digits'?"),
    ):
        with pytest.raises(InputError) as caught:
            counterpart(old, with_names(golden, "a", name, "d" * 64).subject, "old/results.json")
        start = f"old/results.json has nothing on the images {name!r} of {golden.subject['id']}; run both on"
        assert str(caught.value) == f"{start} the same --dataset; {hint}"


def test_three_runs_share_one_family(sides, old, new, tmp_path):
    third = write_run(tmp_path / "third", replace(sides["slightly"]))
    alone, together = compare_runs([old, new]), compare_runs([old, new, third])
    assert [c.family for c in together] == [2, 2]
    narrow, wide = (found[0].metrics[0].joint for found in (alone, together))
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../a", "/a", ".hidden", "a..b", "a\\b", "a b", "x" * 65, "run.json", "a\n"],
)
def test_names_that_could_be_paths_are_refused(old, tmp_path, name):
    with pytest.raises(InputError, match="cannot be used"):
        baselines.save(name, old, tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()


def test_a_baseline_is_kept_whole_and_found_by_name(sides, old, new, tmp_path):
    folder = tmp_path / "baselines"
    assert baselines.known(folder) == []
    with pytest.raises(InputError, match="there are none in "):
        baselines.find("main", folder)
    place = baselines.save("main", old, folder)
    assert {path.name for path in place.iterdir()} == {path.name for path in old.parent.iterdir()}
    assert baselines.find("main", folder) == place / "results.json"
    baselines.save("main", new, folder)
    assert open_run(baselines.find("main", folder))[0].subject["model"]["name"] == "noisy"
    assert left(folder) == ["main"]
    with pytest.raises(InputError, match="did you mean 'main'"):
        baselines.find("mian", folder)
    assert baselines.find(str(old), folder) == old
    assert baselines.find(str(old.parent), folder) == old
    with pytest.raises(InputError, match="no such results file"):
        baselines.find(str(tmp_path / "gone.json"), folder)


def test_a_baseline_that_cannot_be_written_leaves_the_old_one(old, new, tmp_path, monkeypatch):
    folder = tmp_path / "baselines"
    baselines.save("main", old, folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(baselines.shutil, "copyfile", full)
    with pytest.raises(InputError, match="No space left"):
        baselines.save("main", new, folder)
    monkeypatch.undo()
    assert open_run(baselines.find("main", folder))[0].subject["model"]["name"] == "golden"
    assert left(folder) == ["main"]


def left(folder):
    """What is in a folder of baselines beside the locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def save_again_and_again(folder, first, second, over):
    """Save two runs in turn under one name; for processes."""
    while not over.wait(0.05):
        baselines.save("main", first, folder)
        baselines.save("main", second, folder)


def test_processes_save_under_one_name_while_another_reads(old, new, tmp_path):
    folder = tmp_path / "baselines"
    baselines.save("main", old, folder)
    over = context.Event()
    writers = [
        context.Process(target=save_again_and_again, args=(folder, *pair, over))
        for pair in ((old, new), (new, old))
    ]
    for writer in writers:
        writer.start()
    seen, readings, end = set(), 0, time.monotonic() + 60
    try:
        while (len(seen) < 2 or readings < 10) and time.monotonic() < end:
            (side,) = open_run(baselines.find("main", folder))
            assert side.arrays is not None, side.note
            seen.add(side.subject["model"]["name"])
            readings += 1
    finally:
        over.set()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert left(folder) == ["main"]
    assert seen == {"golden", "noisy"}


def test_what_a_killed_save_left_does_not_stay(old, new, tmp_path):
    folder = tmp_path / "baselines"
    baselines.save("main", old, folder).rename(folder / ".main.old")  # killed between its two renames
    (folder / ".main.new").mkdir()
    with pytest.raises(InputError, match="damaged"):
        baselines.save("main", write_text(tmp_path / "results.json"), folder)
    assert left(folder) == ["main"]
    assert open_run(baselines.find("main", folder))[0].subject["model"]["name"] == "golden"
    baselines.save("main", new, folder)
    assert left(folder) == ["main"]
    assert open_run(baselines.find("main", folder))[0].subject["model"]["name"] == "noisy"


def write_text(path):
    path.write_text('{"format": "geolip-theorems results", "version": 3}')
    return path


def test_a_lock_that_is_never_given_up_is_one_line(old, tmp_path, monkeypatch):
    folder = tmp_path / "baselines"
    folder.mkdir()
    monkeypatch.setattr(baselines, "LONGEST_WAIT", 0.1)
    with FileLock(folder / ".main.lock"), pytest.raises(InputError, match="locked by another process"):
        baselines.save("main", old, folder)
    baselines.save("main", old, folder)


def run_compare(capsys, *words):
    code = main(["compare", *map(str, words)])
    return code, *capsys.readouterr()


def test_compare_says_by_its_exit_code_what_regressed(capsys, old, new, tmp_path):
    code, out, err = run_compare(capsys, old, new)
    assert code == 1
    assert "release error" in out
    assert "worse" in out
    assert "exit code 1" in err
    assert "\x1b" not in out
    assert run_compare(capsys, old, new, "--fail-on", "never")[0] == 0
    assert run_compare(capsys, new, old)[0] in (0, 1)
    code, out, _ = run_compare(capsys, old, old)
    assert code == 0
    assert "nothing regressed" in out


def test_compare_fails_on_a_verdict_worse_within_chance_where_asked_to(capsys, sides, old, tmp_path):
    subject = copy.deepcopy(sides["slightly"].subject)
    flipped = next(v for v in subject["verdicts"] if v["verdict"] == "holds")
    flipped["verdict"] = "inconclusive"
    path = write_run(tmp_path / "flip", replace(sides["slightly"], subject=subject))
    code, out, _ = run_compare(capsys, old, path)
    assert code == 0
    assert "AWAY FROM THE CLAIM WITHIN CHANCE" in out
    assert run_compare(capsys, old, path, "--fail-on", "flip")[0] == 1


def test_compare_for_machines_and_as_a_page(capsys, old, new, tmp_path):
    code, out, _ = run_compare(capsys, old, new, "--json", "--html", tmp_path / "page.html")
    content = json.loads(out)
    assert code == 1
    assert content["failed"] is True
    assert content["comparisons"][0]["metrics"][0]["metric"] == "error"
    assert content["regressions"]
    page = (tmp_path / "page.html").read_text()
    assert "release error" in page
    assert "regressed" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "not JSON"), ('{"format": "other"}', "not a results file"), (None, "cannot be read")],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, old, tmp_path, content, says):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    code, _, err = run_compare(capsys, old, path)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert run_compare(capsys, old)[0] == 2


def test_other_options_are_bad_input(capsys, sides, old, tmp_path):
    subject = copy.deepcopy(sides["noisy"].subject)
    subject["seed"] = 4
    path = write_run(tmp_path / "seed", replace(sides["noisy"], subject=subject))
    code, _, err = run_compare(capsys, old, path)
    assert code == 2
    assert "seed: 0 then, 4 now" in err


@pytest.mark.parametrize(
    "path",
    [
        ("id",),
        ("error",),
        ("model", "sha256"),
        ("dataset", "preprocessing"),
        ("protocol",),
        ("timings",),
        ("verdicts",),
        ("verdicts", 0, "threshold"),
        ("verdicts", 0, "verdict"),
        ("measurements", "calibrated", "error", "value"),
        ("measurements", "calibrated", "spatial_cv"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
@pytest.mark.parametrize("value", [{}, "text", [1], 3], ids=str)
def test_records_edited_into_another_shape_are_one_line(capsys, sides, old, tmp_path, path, value):
    subject = copy.deepcopy(sides["slightly"].subject)
    node = subject
    for key in path[:-1]:
        node = node[key]
    if isinstance(value, type(node[path[-1]])):
        value = None  # of the right kind; nothing is of none
    node[path[-1]] = value
    file = write_run(tmp_path / "edited", Side(subject, None, "edited"))
    code, _, err = run_compare(capsys, old, file)
    assert code in (1, 2)
    assert "Traceback" not in err
    assert err.count("\n") <= 1

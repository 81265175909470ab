"""Commands on records that attack: an exit code that is no verdict, one line, no orders to anybody."""

import copy
import itertools
import json
import logging
import random
import re
import shutil
import time

import pytest

from geolip_theorems.cli import main
from geolip_theorems.report.html import write

from ..hostile.fuzzing import SECONDS, Tried

EXAMPLES = 25  # damaged records, or as many as FUZZ_SECONDS allow; each takes 0.2 s
LONGEST_LINE = 6 * 2_000 + 100  # JSON takes six characters for one
ORDERS = "::warning::owned\n::set-output name=a::b\r\n##[add-path]/tmp\n```\n~~~\n\x1b[31m\x07\u202e"
MARKUP = "</code><img src=x> [a](http://b.c) | `x` @somebody #1 [/red] :skull: [bold]"
NAME = ORDERS + MARKUP + "\\" + "é" * 5000
COMMANDS = ("summary", "compare", "report", "card")
BAD = (None, [], {}, "", True, -1, 1e308, -1e-320, 10**30, "\ud800", NAME, [[]], {"a": None})


@pytest.fixture
def run(labelled, tmp_path, capsys, monkeypatch):
    """A function that runs a command on a changed record: exit code, standard output and error."""
    monkeypatch.setattr(write, "questions", lambda: ())  # drawings are tested elsewhere
    # Its news of a card without metadata goes to the standard error that there was when it was imported.
    monkeypatch.setattr(logging.getLogger("huggingface_hub.repocard"), "disabled", True)
    source = labelled.results.parent / labelled.record["subjects"][0]["companion"]["file"]
    shutil.copy(source, tmp_path)

    def command(name, record, *more):
        path = tmp_path / "results.json"
        path.write_text(json.dumps(record))
        words = {"compare": [labelled.results, path], "card": [path, "--out", tmp_path / "card.md"]}
        code = main([name, *map(str, words.get(name, [path])), *more])
        return code, *capsys.readouterr()

    return command


def named(record, name):
    """The record with a name wherever there is one, and in the texts that are shown."""
    record = copy.deepcopy(record)
    for subject in record["subjects"]:
        for about in (subject["model"], subject["dataset"]):
            about.update(name=name, source=name, substitute_for=name)
        subject["dataset"]["classes"] = [name] * len(subject["dataset"]["classes"])
        subject["notes"] = [{"questions": [name], "text": name}]
        for verdict in subject["verdicts"]:
            verdict.update(title=name, question=name, reason=name, expected_reason=name)
    return record


def assert_obeys_nobody(text):
    assert all(line.isprintable() for line in text.splitlines()), ascii(text)[:500]
    assert not re.search(r"^\s*(::|```|~~~)|##\[", text, re.M), text[:500]


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("name", COMMANDS)
def test_names_are_names(run, labelled, name, form):
    code, out, error = run(name, named(labelled.record, NAME), *form)
    assert (code, error) == (int(name == "compare" and code), "")
    assert out
    assert_obeys_nobody(out)
    assert max(map(len, out.splitlines())) < LONGEST_LINE


def test_the_attack_is_one(labelled):
    """Negative control: the same names as they are break every rule."""
    with pytest.raises(AssertionError):
        assert_obeys_nobody(NAME)
    for part in ("::warning::a", "  ::a::", "a\n```", "a ##[b]", "\x1b[0m", "\u202e"):
        with pytest.raises(AssertionError):
            assert_obeys_nobody(part)


def test_a_summary_page_shows_names_and_no_markup(run, labelled):
    _, out, _ = run("summary", named(labelled.record, MARKUP))
    for markup in ("<img", "</code>", "[a](", "| `x`", "@somebody", "http://", "#1 "):
        assert markup not in out
    assert r"\[a\](http:/<!-- -->/b.c) \| \`x\` @<!-- -->somebody #<!-- -->1" in out
    rows = [line for line in out.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_hundred_thousand_classes(run, labelled, name):
    record = labelled.record
    record["subjects"][0]["dataset"]["classes"] = ["c" * 20] * 100_000
    code, _, error = run(name, record)
    assert code in ((0, 1, 2) if name == "compare" else (0, 2))
    assert error.count("\n") == (code > 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_companion_of_5000_characters(run, labelled, name):
    record = labelled.record
    record["subjects"][0]["companion"]["file"] = "x" * 5000 + ".maps.npz"
    code, _, error = run(name, record)
    assert (code, error) == (0, "")


def places(value, path=()):
    """The path of every value in a record."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def changed(record, path, value):
    """The record with something else at a path."""
    record = copy.deepcopy(record)
    *parents, last = path
    node = record
    for key in parents:
        node = node[key]
    node[last] = value
    return record


def test_damage_is_no_verdict(run, labelled):
    """Anything anywhere in a record: refused in a line or read, never an error of the program."""
    draw, codes, end = random.Random(None if SECONDS else 0), [], time.monotonic() + SECONDS
    known = list(places(labelled.record))
    lists = [path for path in known if isinstance(get(labelled.record, path), list)]
    for number in itertools.count():
        if number >= EXAMPLES and time.monotonic() > end:
            break
        # Every fourth empties a list, which damage elsewhere seldom does.
        path, value = (draw.choice(lists), []) if number % 4 == 0 else (draw.choice(known), draw.choice(BAD))
        for name in COMMANDS:
            code, out, error = run(
                name, changed(labelled.record, path, value), *draw.choice(((), ("--json",)))
            )
            assert code in ((0, 1, 2) if name == "compare" else (0, 2)), (name, path, value, error)
            assert error.count("\n") == (code > 0), (name, path, value, error)
            assert_obeys_nobody(error + ("" if code == 2 else out))
            codes.append(code)
    Tried("commands, a results.json of any content", len(codes), len(codes) - codes.count(2)).count()
    assert codes.count(2) > 0.1 * len(codes)
    assert codes.count(0) > 0.1 * len(codes)


def get(value, path):
    """What stands at a path."""
    for key in path:
        value = value[key]
    return value

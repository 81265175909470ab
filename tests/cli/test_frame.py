"""The command line's frame: help, errors, exit codes, and what a terminal, a pipe and a machine get."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from geolip_theorems.cli import build_parser, main
from geolip_theorems.cli.output import print_table

NAMES = ("run", "models", "datasets", "train", "report", "compare", "history", "cache", "summary", "card")
PROGRAM = [sys.executable, "-m", "geolip_theorems.cli"]


def help_of(capsys, *words) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def test_every_command_is_in_the_help(capsys):
    text = help_of(capsys)
    for name in NAMES:
        assert f"    {name} " in text
    assert "exit codes: 0 done, 1 something regressed" in text


@pytest.mark.parametrize("name", NAMES)
def test_help_teaches(capsys, name):
    text = help_of(capsys, name)
    assert "example:" in text
    assert f"geolip-theorems {name}" in text.split("example:")[1]
    assert "exit codes: 0" in text


def test_help_says_defaults_and_of_a_switch_none(capsys):
    text = " ".join(help_of(capsys, "train").split())
    assert "of weights and noise (default: 0)" in text
    assert "no bfloat16 at any time" in text
    assert "no bfloat16 at any time (default" not in text


@pytest.mark.parametrize("name", NAMES)
def test_every_option_says_what_it_does(name):
    (commands,) = [a for a in build_parser()._actions if hasattr(a, "choices") and a.choices]
    for action in commands.choices[name]._actions:
        assert action.help, f"{name} {action.option_strings or action.dest}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("modles", "unknown command 'modles'; did you mean 'models'?"),
        ("", "required: COMMAND (see geolip-theorems --help)"),
        ("models --jsn", "models: unknown option '--jsn'; did you mean '--json'?"),
        ("models extra", "models: unexpected argument 'extra'"),
        ("summary", "summary: the following arguments are required: RESULTS"),
        ("summary gone.json", "results file 'gone.json' cannot be read"),
        ("compare a.json b.json --fail-on flop", "did you mean 'flip'?"),
        ("compare a.json", "expected two or more"),
        ("cache vrify", "unknown action 'vrify'; did you mean 'verify'?"),
        (f"cache --cache-dir {__file__}", "is a file; give the folder"),
        ("cache --cache-limit much", "invalid number of gigabytes from 0 value: 'much'"),
        ("train --out t --families gausian", "unknown noise family 'gausian'; did you mean 'gaussian'"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_2(capsys, words, says):
    assert main(words.split()) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert says in error
    assert error.count("\n") == 1
    assert error.startswith("geolip-theorems: ")


@pytest.mark.parametrize("name", ["models", "datasets"])
def test_listings_as_json_and_as_plain_text(capsys, name):
    assert main([name, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in rows} >= {"auto", "form"}
    assert main([name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == f"--{name[:-1]}"
    assert [line.split()[0] for line in lines[1:]] == [row["name"] for row in rows]


def test_a_pipe_gets_one_line_a_row_without_escape_codes(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    print_table(("name", "n"), [("a" * 100, 3), ("b", 1000)], title="long ones", right=("n",))
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "long ones",
        "name" + " " * 98 + "   n",
        "a" * 100 + "     3",
        "b" + " " * 101 + "1000",
    ]
    assert "\x1b" not in out


def test_interruption_is_130(capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("geolip_theorems.cli.listings.show_models", interrupted)
    assert main(["models"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


@pytest.mark.parametrize("error", [KeyError("verdicts"), MemoryError(), RecursionError("too\ndeep")])
def test_an_error_of_the_program_is_no_verdict(capsys, monkeypatch, error):
    def broken(options):
        raise error

    monkeypatch.setattr("geolip_theorems.cli.listings.show_models", broken)
    monkeypatch.delenv("GEOLIP_TRACEBACK", raising=False)
    assert main(["models"]) == 3
    line = capsys.readouterr().err
    assert line.startswith(f"geolip-theorems: internal error, {type(error).__name__}: ")
    assert "please report it" in line
    assert line.count("\n") == 1
    assert "Traceback" not in line
    monkeypatch.setenv("GEOLIP_TRACEBACK", "1")
    assert main(["models"]) == 3
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith(line)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "models"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "geolip-theorems: No space left on device\n"


def test_a_terminal_that_knows_few_characters_gets_escapes(tmp_path):
    words = [*PROGRAM, "summary", str(tmp_path / "gone\N{PILE OF POO}.json")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert rb"gone\U0001f4a9.json" in done.stderr


def test_a_closed_pipe_is_quiet():
    line = f"{sys.executable} -m geolip_theorems.cli models | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 141


def on_a_terminal(**environment) -> str:
    """What ``models`` writes to a terminal 60 columns wide."""
    leader, follower = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    environment = {**clean, "TERM": "xterm-256color", "COLUMNS": "60", **environment}
    with subprocess.Popen([*PROGRAM, "models"], stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        parts = []
        with suppress(OSError):  # Linux ends a terminal's output with an error
            while part := os.read(leader, 65536):
                parts.append(part)
        process.wait(60)
    os.close(leader)
    return b"".join(parts).decode()


def test_a_terminal_gets_a_table_that_fits():
    text = on_a_terminal()
    assert "\x1b[" in text
    assert "v40_freckles_noise" in text


def test_no_color_is_respected():
    text = on_a_terminal(NO_COLOR="1")
    assert "\x1b[3" not in text  # bold is no colour
    assert "v40_freckles_noise" in text

"""The README's commands, options and links are there."""

import re
import shlex
from dataclasses import fields

import pytest

from geolip_theorems.cli import build_parser
from geolip_theorems.extraction.maps import Maps
from geolip_theorems.questions import Study, base
from geolip_theorems.questions.own import measure
from geolip_theorems.run.settings import load_settings

from ..make import random_maps
from .conftest import ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = [
    shlex.split(line.removeprefix("$ "), comments=True)
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.fixture
def options(pytestconfig) -> set[str]:
    """Every option pytest takes here."""
    return set(pytestconfig._parser.optparser._option_string_actions)


def test_every_command_can_be_given(options):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    (venv,) = re.findall(r"^VENV \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    programs = set()
    for words in COMMANDS:
        program = words[0].rpartition("/")[2]
        programs.add(program)
        if program == "make":
            assert words[1] in targets
        elif program == "geolip-theorems":
            build_parser().parse_args(words[1:])
        elif program == "source":
            assert words[1:] == [f"{venv}/bin/activate"]
        elif program == "pip" and "--group" not in words:
            assert words == ["pip", "install", "geolip-theorems"]
        elif program == "pip":
            groups = re.findall(r"^([a-z]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
            assert words[-2] == "--group"
            assert words[-1] in groups
        else:
            assert [w for w in words[1:] if w.startswith("--") and w not in options] == [], words
    assert programs == {"make", "source", "pytest", "geolip-theorems", "pip"}


def test_the_table_of_options_is_whole(options):
    table = README[README.index("## Options") : README.index("## Commands and exit codes")]
    named = set(re.findall(r"`(--[a-z-]+)", table))
    assert named <= options
    from geolip_theorems.run.options import OUTPUT_OPTIONS, RUN_OPTIONS, SUBJECT_OPTIONS

    missing = {*SUBJECT_OPTIONS, *RUN_OPTIONS, *OUTPUT_OPTIONS} - set(re.findall(r"`(--[a-z-]+)", README))
    assert missing == set()


def test_its_settings_can_be_used(tmp_path):
    expected, settings = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "theorems.toml").write_text(f"{settings}\n{expected}")
    found = load_settings(tmp_path, "nightly")
    assert found.options == {"--model": ["my.pt"], "--dataset": ["cifar10"], "--max-images": 2000}


def test_its_claims_can_be_tested(monkeypatch):
    monkeypatch.setattr(base, "_ASKED", dict(base._ASKED))
    (claims,) = (code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "@claim" in code)
    written = {}
    exec(claims, written)
    marks = [written[name].pytestmark[0] for name in ("test_reconstructs", "test_no_patch_dominates")]
    assert [str(mark.args[0]) for mark in marks] == ["error < 0.0001", "own.worst_patch < 0.2"]
    some = random_maps()
    maps = Maps(
        **{field.name: getattr(some, field.name) for field in fields(Maps) if hasattr(some, field.name)}
    )
    assert measure(Study(maps)).figures["own"]["worst_patch"]["value"] > 0


def test_every_link_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []

"""What pip installs: theorems and plugin come along, and a project that has no use for them notices none."""

import json
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest
from packaging.metadata import Metadata

import geolip_theorems

from .conftest import MODEL, ROOT, SMALL, build

# Of another plugin: the options have the suite's names.
BYSTANDER = """
import sys

def pytest_addoption(parser):
    parser.addoption("--model", default="own")
    parser.addoption("--seed")

def pytest_unconfigure(config):
    loaded = {"torch", "numpy", "scipy", "geolip_theorems.plugin.suite"} & set(sys.modules)
    print("plugin", config.pluginmanager.has_plugin("geolip_theorems.plugin"), "loaded", loaded or None)
"""


def names(archive) -> set[str]:
    return set(zipfile.ZipFile(archive).namelist())


def test_the_wheel_holds_what_a_run_needs_and_no_more(wheel):
    inside = {name.removeprefix("geolip_theorems/") for name in names(wheel)}
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "theorems").rglob("*.py")}
    assert {name for name in inside if name.startswith("theorems/")} == {
        name for name in tests if "benchmarks" not in name
    }
    fixtures = {name for name in inside if name.startswith("fixtures/")}
    assert {"fixtures/expectations.toml", "fixtures/assets/freckles_embedded.safetensors"} <= fixtures
    assert not any(name.endswith(".py") for name in fixtures)
    assert "conduit/conduit.cuh" in inside


def test_the_metadata_can_be_published(wheel):
    found = zipfile.ZipFile(wheel)
    (name,) = (name for name in found.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Metadata.from_email(found.read(name), validate=True)
    assert str(metadata.version) == geolip_theorems.__version__
    assert [str(needed) for needed in metadata.requires_dist if needed.url] == []
    with pytest.raises(Exception, match="metadata"):  # negative control
        Metadata.from_email(found.read(name).replace(b"Version: 0", b"Version: x"), validate=True)


def test_the_version_stands_in_one_place():
    said = re.escape(geolip_theorems.__version__)
    places = [ROOT / "pyproject.toml", ROOT / "CITATION.cff", *(ROOT / "src").rglob("*.py")]
    holding = [p.name for p in places if re.search(rf"^_*version_*\b.*{said}", p.read_text(), re.M)]
    assert holding == ["__init__.py"]


def test_the_source_archive_builds_the_same_wheel(wheel, tmp_path):
    build("-t", "sdist", "-d", tmp_path)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    build("-t", "wheel", "-d", tmp_path, source=tmp_path / archive.name.removesuffix(".tar.gz"))
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == wheel.read_bytes()


def test_the_theorems_run_from_an_empty_folder(stranger, tmp_path):
    words = ("--pyargs", "geolip_theorems.theorems", "--model", MODEL, "--dataset", "scenes")
    done = stranger("pytest", *words, *SMALL, "-k", "q1 or q6")
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    results = json.loads((tmp_path / "reports/latest/results.json").read_text())
    assert {v["question"] for v in results["subjects"][0]["verdicts"]} == {"q1", "q6"}


def test_a_project_that_does_not_use_it_keeps_its_options_and_its_time(stranger, tmp_path):
    (tmp_path / "conftest.py").write_text(BYSTANDER)
    (tmp_path / "test_it.py").write_text(
        "def test_it(request):\n    assert request.config.getoption('--model') == 'm'\n"
    )
    done = stranger("pytest", "-q", "-s", "--model", "m", "--seed", "any")
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "plugin True loaded None" in done.stdout
    timed = (
        "import pytest, time; begun = time.perf_counter(); import geolip_theorems.plugin; "
        "print(time.perf_counter() - begun)"
    )
    best = min(float(subprocess.check_output([sys.executable, "-c", timed])) for _ in range(3))
    assert best < 0.02, "seconds"


def test_the_same_options_collide_where_the_suite_is_used(stranger, tmp_path):
    """Negative control: a project with options of these names and the suite's settings is told."""
    (tmp_path / "conftest.py").write_text(BYSTANDER)
    (tmp_path / "theorems.toml").write_text("")
    done = stranger("pytest", "-q")
    assert done.returncode != pytest.ExitCode.OK
    assert "--model" in done.stderr.splitlines()[-1]

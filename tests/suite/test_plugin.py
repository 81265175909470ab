"""When the entry point loads the suite: where a run uses it, and nowhere else."""

import pytest

from geolip_theorems.plugin import SUITE

from .conftest import THEOREM

CLAIM = (
    "from geolip_theorems import claim, metrics as m\n\n"
    "@claim(m.error < 1e-4)\ndef test_reconstructs(verdict):\n    verdict.check()\n"
)


@pytest.fixture
def loaded(pytester):
    """A function that says whether a run with these words, in a folder with these files, loads the suite."""

    def load(*words: str, **files: str) -> bool:
        for name, text in files.items():
            (pytester.path / name.replace("_dot_", ".")).write_text(text)
        config = pytester.parseconfig("-p", "geolip_theorems.plugin", *map(str, words))
        return config.pluginmanager.has_plugin(SUITE)

    return load


def test_a_run_of_other_tests_loads_nothing(loaded):
    assert not loaded(".", test_it_dot_py="def test_it(): pass\n")
    assert not loaded("test_it.py", test_it_dot_py="import geolip_theorems\n# @claim(\n")
    assert not loaded(".", pyproject_dot_toml="[tool.geolip]\n")


def test_the_theorems_load_it(loaded):
    assert loaded(THEOREM)
    assert loaded(f"{THEOREM / 'test_q1_spatial_structure.py'}::test_error_varies_over_patches")


def test_a_file_with_a_claim_loads_it(loaded):
    assert loaded("test_claims.py", test_claims_dot_py=CLAIM)


@pytest.mark.parametrize("name", ["theorems_dot_toml", "pyproject_dot_toml"])
def test_a_projects_settings_load_it(loaded, name):
    assert loaded(".", **{name: "[tool.geolip-theorems]\n" if name.startswith("pyproject") else ""})


def test_a_claim_in_a_run_without_it_says_what_to_do(pytester):
    (pytester.path / "test_claims.py").write_text(CLAIM)
    result = pytester.runpytest_inprocess("-p", "geolip_theorems.plugin")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    text = result.stdout.str()
    assert "name the file on the command line, add a theorems.toml to the project, or say" in text
    assert "Traceback" not in text
    assert "_hookexec" not in text

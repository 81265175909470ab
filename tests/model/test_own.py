"""``--model module:function``: a function's model, named on the command line, and what is wrong with one."""

import pytest

from geolip_theorems.io.errors import InputError
from geolip_theorems.model.known import is_function
from geolip_theorems.model.sources import open_model

MODULE = """
from torch import nn

class Same(nn.Module):
    patch_size = 4
    def forward(self, images):
        return images

def build(): return Same().train()
def number(): return 3
def broken(): raise KeyError("weights")
def flat(): return nn.Identity()
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """A module in the present folder, which is not on the path."""
    (tmp_path / "its_own_model.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)


def test_the_model_is_what_the_function_returns():
    loaded = open_model("its_own_model:build")
    assert type(loaded.model).__name__ == "Same"
    assert not loaded.model.training
    assert (loaded.name, loaded.source) == ("its_own_model-build", "function its_own_model:build")
    assert loaded.implementation == "its_own_model"


@pytest.mark.parametrize("name", ["a.b:c", "model:build"])
def test_a_function_is_named_by_its_module(name):
    assert is_function(name)


@pytest.mark.parametrize(
    "name", ["codec:pca", "random:auto", "hf://o/r/f@main", "a/b:c", "model.pt", "a:b:c"]
)
def test_other_names_run_no_code(name):
    assert not is_function(name)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("no_such_module_here:build", "module 'no_such_module_here' cannot be imported: ModuleNotFoundError"),
        ("its_own_model:biuld", "module 'its_own_model' has no function 'biuld'; did you mean 'build'"),
        ("its_own_model:number", "the function returned a int; expected module:function"),
        ("its_own_model:broken", "the function raised KeyError"),
        ("its_own_model:flat", "has no patch_size"),
    ],
)
def test_what_is_wrong_with_one_is_said_in_a_line(name, line):
    with pytest.raises(InputError) as found:
        open_model(name)
    assert line in str(found.value)
    assert "\n" not in str(found.value)

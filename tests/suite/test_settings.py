"""``theorems.toml``: what it says is used, the command line wins, what it cannot say is refused in a line."""

import pytest

from geolip_theorems.io.errors import InputError
from geolip_theorems.plugin.options import effective, option, suite_options
from geolip_theorems.run.settings import load_settings

WHOLE = """
models = ["mine.pt", "freckles_embedded"]
datasets = ["digits"]

[options]
max-images = 200
ablation-images = "all"
offline = true
report-dir = "out"

[thresholds]
spatial_cv = 0.2

[[expected]]
model = "mine"
dataset = "digits"
images = 200
claim = "error < 0.01"
verdict = "fails"
reason = "it was never trained"

[profiles.nightly]
datasets = ["photos"]
options = {max-images = 1000, controls = 3}
thresholds = {spatial_cv = 0.3, gradient = 0.5}
"""


@pytest.fixture
def project(pytester):
    """A function that writes settings and gives the configuration of a run in their folder."""

    def write(text: str = WHOLE, *words: str, name: str = "theorems.toml") -> pytest.Config:
        (pytester.path / name).write_text(text)
        return pytester.parseconfig("-p", "geolip_theorems.plugin.suite", *words)

    return write


def test_what_the_file_says_is_what_is_run(project, pytester):
    (pytester.path / "mine.pt").write_bytes(b"")
    config = project()
    options = suite_options(config)
    assert (options.models, options.datasets) == (("mine.pt", "freckles_embedded"), ("digits",))
    assert (options.run.max_images, options.run.ablation_images, options.run.offline) == (200, None, True)
    assert (options.run.controls, options.run.seed) == (10, 0), "built in"
    assert {c.name: c.threshold for c in options.claims}["spatial_cv"] == 0.2
    assert [(e.model, e.claim) for e in options.expectations] == [("mine", "error < 0.01")]
    assert effective(config)["thresholds"]["spatial_cv"] == 0.2


def test_the_command_line_wins_over_the_profile_and_that_over_the_file(project):
    words = ("--profile", "nightly", "--max-images", "7", "--model", "a.pt", "--ablation-images", "256")
    config = project(WHOLE, *words)
    options = suite_options(config)
    assert (options.models, options.datasets) == (("a.pt",), ("photos",))
    assert (options.run.max_images, options.run.controls, options.run.ablation_images) == (7, 3, 256)
    thresholds = {claim.name: claim.threshold for claim in options.claims}
    assert (thresholds["spatial_cv"], thresholds["gradient"]) == (0.3, 0.5)
    assert (effective(config)["profile"], effective(config)["options"]["max-images"]) == ("nightly", 7)


def test_an_option_given_as_its_default_wins_too(project):
    assert option(project(WHOLE, "--controls", "10", "--profile", "nightly"), "--controls") == 10


def test_without_a_file_nothing_is_set(project):
    config = project("", name="other.toml")
    assert suite_options(config).datasets == ("auto",)
    assert effective(config)["file"] is None


def test_a_table_of_pyproject_says_the_same(project):
    config = project('[tool.geolip-theorems]\ndatasets = ["photos"]\n', name="pyproject.toml")
    assert suite_options(config).datasets == ("photos",)
    assert effective(config)["file"] == "pyproject.toml"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model = ['a.pt']", "unknown key in theorems.toml 'model'; did you mean 'models'?"),
        (
            "[options]\nmax-image = 1",
            "unknown option in theorems.toml 'max-image'; did you mean 'max-images'",
        ),
        ("[options]\nmax-images = 0", "option max-images is 0; expected whole number from 1"),
        ("[options]\noffline = 1", "option offline is 1; expected true or false"),
        ("[options]\nprobe = 'tree'", "option probe is 'tree'; expected ridge or conv"),
        ("models = 'a.pt'", "models is 'a.pt'; expected a list"),
        ("models = [1]", "models holds 1; expected names and paths"),
        ("models = ['mine:build']", "would run code; name it on the command line: --model mine:build"),
        ("profiles = 3", "profiles is 3; expected a table"),
        ("[profiles.a]\nmodel = []", "unknown key in theorems.toml 'model'"),
        ("models = [", "settings file 'theorems.toml' is not TOML"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path, text, line):
    (tmp_path / "theorems.toml").write_text(text)
    with pytest.raises(InputError) as found:
        load_settings(tmp_path, None)
    assert line in str(found.value)
    assert "\n" not in str(found.value)


def test_a_profile_that_is_not_there_suggests_the_nearest(tmp_path):
    (tmp_path / "theorems.toml").write_text(WHOLE)
    with pytest.raises(InputError, match=r"unknown profile .* 'nighly'; did you mean 'nightly'"):
        load_settings(tmp_path, "nighly")


def test_two_files_with_settings_are_one_too_many(tmp_path):
    (tmp_path / "theorems.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.geolip-theorems]\n")
    with pytest.raises(InputError, match=r"both in .* and in .*; keep one"):
        load_settings(tmp_path, None)

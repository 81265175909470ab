"""What ``--model`` accepts, and how it fails."""

import json
import os
import re
import subprocess
import sys
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from geolip_theorems.data.transforms import parse_normalize
from geolip_theorems.io.errors import InputError
from geolip_theorems.model import hub
from geolip_theorems.model.published import ELSEWHERE, PUBLISHED, trained_normalization
from geolip_theorems.model.sources import AUTO_ELSE, open_model

GOLDEN = Path(__file__).parents[1] / "data" / "svae_d4.pt"
TOKEN = "hf_test_token"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A hub cache with nothing in it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(InputError, match="did you mean 'v40_freckles_noise'"):
        open_model("v40_freckels_noise")


def test_a_missing_file_is_a_missing_file():
    with pytest.raises(InputError, match=r"'checkpoints/gone\.pt' does not exist"):
        open_model("checkpoints/gone.pt")


def test_unknown_implementation():
    with pytest.raises(InputError, match="unknown implementation 'buildin'; did you mean 'builtin'"):
        open_model(str(GOLDEN), implementation="buildin")


@pytest.mark.parametrize(
    "address", ["hf://owner", "hf://owner/repo", "hf://owner//file.pt", "hf://o/r/../x.pt"]
)
def test_malformed_hub_addresses(address):
    with pytest.raises(InputError, match="malformed; expected hf://owner/repo"):
        open_model(address)


def test_offline_says_how_to_fill_the_cache(empty_cache):
    with pytest.raises(InputError, match="network is switched off; download it elsewhere with `hf download"):
        open_model("v40_freckles_noise", offline=True)


def test_auto_takes_the_embedded_model_and_says_so(empty_cache):
    loaded = open_model("auto", offline=True)
    assert loaded.name == AUTO_ELSE
    assert loaded.substitute_for.startswith("v40_freckles_noise: ")


def test_named_models_are_never_replaced(empty_cache):
    with pytest.raises(InputError):
        open_model("v40_freckles_noise", offline=True)


def test_an_unreachable_hub_is_given_up_soon(empty_cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub, "getproxies", dict)
    with pytest.raises(InputError, match="hub does not answer"):
        open_model("v40_freckles_noise")


def test_auto_does_not_wait_for_a_slow_hub(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(hub, "_file", lambda *_, **__: release.wait(20))
    with pytest.raises(InputError, match="did not arrive from the hub within 0 s"):
        hub.published_file("v40_freckles_noise", None, offline=False, deadline_s=0.2)
    release.set()


def test_names_have_no_path(tmp_path):
    folder = tmp_path / "a folder, with commas"
    folder.mkdir()
    copy = folder / "my model [final].pt"
    copy.write_bytes(GOLDEN.read_bytes())
    loaded = open_model(str(copy))
    assert loaded.name == "my-model-final"
    assert open_model(f"random:{copy}").name == "random-my-model-final"


@pytest.mark.parametrize(
    ("version", "config", "wanted"),
    [
        ("v12_imagenet128", {}, "imagenet"),
        ("v19_fresnel_tiny", {}, "0.4802,0.4481,0.3975/0.2770,0.2691,0.2821"),
        ("v22_alexandria_small", {}, "0.5/0.5"),
        (None, {"dataset": "wikipedia"}, "0.5/0.5"),
        ("byte_trigram_proto_v1", {}, "0.5/0.5"),
        ("v40_freckles_noise", {"dataset": "omega_noise"}, "none"),
        ("v41_freckles_256", {"dataset": "omega_noise"}, "none"),
        (None, {"dataset": "imagenet_256"}, "imagenet"),
        (None, {}, "none"),
    ],
)
def test_normalisation_follows_the_training(version, config, wanted):
    assert trained_normalization(version, config) == wanted


def test_bytes_and_their_normalisation_meet_on_minus_one_to_one():
    normalize = parse_normalize(trained_normalization("v22_alexandria_small", {}))
    ends = [(value - normalize.mean[0]) / normalize.std[0] for value in (0 / 255, 255 / 255)]
    assert ends == [-1, 1]


def test_every_published_version_is_known():
    assert {"v41_freckles_256", "v42_freckles_512", "aleph_void"} < set(PUBLISHED)
    assert sum(version.startswith("v") for version in PUBLISHED) == 13
    assert sum(version.endswith("_proto_v1") for version in PUBLISHED) == 3
    assert set(ELSEWHERE) < set(PUBLISHED)


class FakeHub(BaseHTTPRequestHandler):
    """The two requests by which the hub's client fetches a file, with a token for a private repository."""

    data = GOLDEN.read_bytes()
    repositories: ClassVar = {
        "/AbstractPhil/geolip-SVAE": r"(v4\d_\w+|bintree_proto_v1)/checkpoints/best\.pt",
        "/AbstractPhil/geolip-svae-h2-64": r"\w+/\w+/epoch_\d+_checkpoint.pt",
        "/AbstractPhil/geolip-aleph-void": "aleph_byte_trigram_tied_hard_K64/checkpoints/best.pt",
    }
    commits = ("a" * 40, "b" * 40)

    def do_HEAD(self):
        self.reply(body=False)

    def do_GET(self):
        self.reply(body=True)

    def reply(self, body):
        parts = self.path.split("/resolve/")
        private = parts[0].startswith("/private/")
        if private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.finish(401, {"X-Error-Code": "RepoNotFound"}, b"")
        file = parts[-1].partition("/")[2]
        if len(parts) != 2 or not re.fullmatch(self.repositories.get(parts[0], r".+\.pt"), file):
            return self.finish(404, {"X-Error-Code": "EntryNotFound"}, b"")
        commit = self.commits[1] if parts[1].startswith(("dev/", self.commits[1])) else self.commits[0]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{sha256(self.data).hexdigest()}"'}
        return self.finish(200, headers, self.data if body else None)

    def finish(self, status, headers, content):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.data if content is None else content)))
        self.end_headers()
        if content:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hub_address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


SCRIPT = """
import json, sys
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.sources import open_model
found = []
for source in json.loads(sys.argv[1]):
    try:
        model = open_model(source)
        found.append([model.name, model.source, model.sha256])
    except InputError as error:
        found.append(str(error))
print(json.dumps(found))
"""


def fetched(address, home, sources, **variables):
    """What opening each source gives in a fresh process that uses the hub at ``address``."""
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_TOKEN", None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(sources)],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_models_come_from_the_hub(hub_address, tmp_path):
    sources = [
        "v40_freckles_noise",
        "v40_freckles_noise@dev",
        "hf://someone/else/runs/final.pt@main",
        "hf://someone/else/missing.bin",
        "hf://private/models/secret.pt",
        "hf://AbstractPhil/geolip-svae-h2-64/noise_00_gaussian/epoch_1_checkpoint.pt",
        "hf://AbstractPhil/geolip-svae-h2-64/single/noise_00_gaussian/epoch_1_checkpoint.pt",
        "v42_freckles_512",
        "bintree_proto_v1",
        "aleph_void",
    ]
    found = fetched(hub_address, tmp_path, sources)
    digest = sha256(FakeHub.data).hexdigest()
    stored = "hf://AbstractPhil/geolip-SVAE/v40_freckles_noise/checkpoints/best.pt"
    assert found[0] == ["v40_freckles_noise", stored, digest]
    assert found[1] == ["v40_freckles_noise@dev", stored + "@dev", digest]
    assert found[2] == ["someone-else-runs-final.pt@main", sources[2], digest]
    assert "could not be fetched" in found[3]
    assert "could not be fetched" in found[4]
    battery = "AbstractPhil-geolip-svae-h2-64-single-noise_00_gaussian-epoch_1_checkpoint.pt"
    assert "could not be fetched" in found[5]  # a battery has a subgroup
    assert found[6] == [battery, sources[6], digest]
    places = [f"hf://AbstractPhil/geolip-SVAE/{name}/checkpoints/best.pt" for name in sources[7:9]]
    places.append("hf://AbstractPhil/geolip-aleph-void/aleph_byte_trigram_tied_hard_K64/checkpoints/best.pt")
    assert found[7:] == [[name, place, digest] for name, place in zip(sources[7:], places, strict=True)]
    with_token = fetched(hub_address, tmp_path, sources[4:5], HF_TOKEN=TOKEN)
    assert with_token[0][2] == digest
    # What is in the cache needs no hub.
    assert fetched("http://127.0.0.1:9", tmp_path, sources[:2]) == found[:2]

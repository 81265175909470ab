"""The process in which hostile files are read: one fork a file, watched and bounded.

Speaks JSON lines: a request {loader, path, home, canary, unsafe} in, a report out. In the fork an audit hook
notes everything a reader has no business doing, the address space may grow by ``LARGEST_GROWTH``, and a
clock ends what takes longer than ``LONGEST``. Run as ``python -m tests.hostile.worker``.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

LARGEST_GROWTH = 4 << 30  # bytes of address space: far more than any reader may use, so that it is measured
LONGEST = 20  # seconds

FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.putenv", "os.kill"),
    *("subprocess.", "pty.", "socket.", "ctypes.", "marshal.", "pickle.find_class", "code.__new__"),
    *(
        "webbrowser.",
        "urllib.",
        "http.",
        "ftplib.",
        "smtplib.",
        "telnetlib.",
        "sys.settrace",
        "sys.setprofile",
    ),
)
CHANGES = (
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
)
LIBRARIES = (os.path.dirname(os.__file__), sys.prefix, "<frozen", str(Path(__file__).parents[2]))


def noticed(event: str, arguments: tuple, home: str) -> str | None:
    """What an audit event shows that reading a file must not do, in words, or None."""
    if event.startswith(FORBIDDEN):
        return f"{event} {arguments[:1]!r:.100}"
    if event == "exec" and not arguments[0].co_filename.startswith(LIBRARIES):
        return f"exec of {arguments[0].co_filename}"
    if event in CHANGES and not str(arguments[0]).startswith(home):
        return f"{event} {arguments[0]}"
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return (
            None if str(arguments[0]).startswith((home, "/dev/null")) else f"open for writing {arguments[0]}"
        )
    return None


def model(path: str) -> dict:
    from geolip_theorems.model.sources import open_model

    loaded = open_model(path, implementation="builtin", offline=True)
    json.dumps(loaded.config)
    total = sum(float(value.double().sum()) for value in loaded.model.state_dict().values())
    return {"modes": loaded.config["D"], "sum": total}


def images(path: str, **options: object) -> dict:
    from geolip_theorems.data.sources import load_images

    found = load_images(path, **{"image_size": 8, "offline": True, **options})
    pixels = found.tensor()
    shown = [[round(float(v), 3) for v in image.mean((1, 2))] for image in pixels[:4]]
    return {"images": len(found), "sha256": found.sha256, "colours": shown, "classes": found.classes}


def cifar(path: str) -> dict:
    return images("cifar10", data_root=path)


def trusted_cifar(path: str) -> dict:
    """As if every file under the root were the published one."""
    import hashlib

    from torchvision.datasets import CIFAR10

    from geolip_theorems.data.sources import cifar10 as reader

    folder = Path(path) / CIFAR10.base_folder
    for name in reader.MD5:
        if (folder / name).is_file() and (folder / name).stat().st_size < 1 << 27:
            reader.MD5[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    archive = Path(path) / CIFAR10.filename
    if archive.is_file():
        reader.ARCHIVE_MD5 = hashlib.md5(archive.read_bytes()).hexdigest()
    return cifar(path)


def command(*words: str) -> dict:
    """A command of the package; its one line on stderr becomes the error."""
    import contextlib
    import io

    from geolip_theorems.cli import main
    from geolip_theorems.io.errors import InputError

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    if code == 2:
        raise InputError(err.getvalue().removesuffix("\n"))
    return {"code": code, "out": out.getvalue()[:200]}


def companion(path: str) -> dict:
    from geolip_theorems.results.companion import read

    return {key: [array.dtype.str, list(array.shape)] for key, array in read(Path(path)).items()}


def toml(path: str) -> dict:
    from geolip_theorems.run.settings import load_claims, load_expectations

    if "thresholds" in Path(path).name:
        return {claim.name: claim.threshold for claim in load_claims(Path(path))}
    return {"expected": [entry.claim for entry in load_expectations(Path(path))]}


def unsafe(path: str) -> dict:
    """What trusting readers do with the same file: the proof that a payload is one."""
    import numpy as np
    import torch

    if path.endswith(".npz"):
        with np.load(path, allow_pickle=True) as content:
            return {"found": [str(content[key].dtype) for key in content.files]}
    if path.endswith(".pt"):
        return {"found": type(torch.load(path, weights_only=False)).__name__}
    with open(path, "rb") as file:
        return {"found": type(pickle.load(file, encoding="latin1")).__name__}


LOADERS = {
    "archive": model,
    "legacy": model,
    "safetensors": model,
    "twin": lambda path: model(f"random:{path}"),
    "npz": images,
    "folder": images,
    "cifar": cifar,
    "trusted cifar": trusted_cifar,
    "results": lambda path: command("summary", path),
    "compare": lambda path: command("compare", path, path),
    "companion": companion,
    "toml": toml,
    "unsafe": unsafe,
}


def resident() -> int:
    """The largest memory this process has had in RAM, bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def examine(request: dict) -> dict:
    """Read one file, in the fork."""
    from geolip_theorems.io.errors import InputError

    seen: list[str] = []
    if sys.platform == "linux":
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + LARGEST_GROWTH, now + LARGEST_GROWTH))
    if request.get("as_nobody") and os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    begun, before = time.monotonic(), resident()

    def hook(event: str, arguments: tuple) -> None:
        found = noticed(event, arguments, request["home"])
        if found:
            seen.append(found)

    sys.addaudithook(hook)
    report: dict = {"outcome": "fine"}
    try:
        report["result"] = LOADERS[request["loader"]](request["path"])
    except InputError as error:
        report = {"outcome": "refused", "message": str(error)}
    except BaseException as error:
        report = {"outcome": "crashed", "message": f"{type(error).__name__}: {error!s:.300}"}
    report.update(seen=list(seen), seconds=time.monotonic() - begun, growth=resident() - before)
    return report


def in_a_fork(request: dict) -> dict:
    """Fork, examine, and give the report; a fork that dies is a report too."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as reported:
        child = os.fork()
        if child == 0:
            signal.alarm(LONGEST)
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            try:
                text = json.dumps(examine(request), default=str)
                os.write(reported.fileno(), text.encode("utf-8", "backslashreplace"))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        reported.seek(0)
        said.seek(0)
        content = reported.read()
        died = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "no report"
        report = json.loads(content) if content else {"outcome": "died", "message": died, "seen": []}
        return {**report, "said": said.read(4000).decode(errors="replace")}


def warm_up(folder: str) -> None:
    """Read a good file of each kind, so that no import happens in a fork."""
    import geolip_theorems.run.analyse
    import geolip_theorems.run.subject  # noqa: F401
    from geolip_theorems.io.errors import printable
    from tests.hostile.samples import write_samples

    printable("\x1b\udc80\u3000")

    for loader, path in write_samples(Path(folder)).items():
        LOADERS[loader](str(path))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        warm_up(folder)
    gc.freeze()  # a fork that collects garbage copies every page it looks at
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(in_a_fork(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

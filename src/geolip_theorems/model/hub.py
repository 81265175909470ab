"""Model files from the Hugging Face hub, through its own cache and token."""

from __future__ import annotations

import importlib.util
import socket
import threading
from concurrent import futures
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..io.errors import InputError, reason
from .published import place

CONNECT_S = 3.0  # how long a named model may take to answer at all
ADDRESS = "hf://owner/repo/path/to/file.pt@revision"


def installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def published_file(
    version: str, revision: str | None, *, offline: bool, deadline_s: float | None = None
) -> Path:
    """The local path of a published version's checkpoint. Raises InputError: not to be had, or not in time.

    A download that misses its deadline goes on in the background and fills the cache for the next run.
    """
    found: futures.Future[Path] = futures.Future()

    def fetch() -> None:
        try:
            found.set_result(_file(*place(version), revision, offline=offline, name=version))
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        return found.result(timeout=deadline_s)
    except futures.TimeoutError:
        raise InputError(f"model {version!r} did not arrive from the hub within {deadline_s:.0f} s") from None


def addressed_file(address: str, *, offline: bool) -> Path:
    """The local path of ``hf://owner/repo/file@revision``. Raises InputError: malformed, or not to be had."""
    body, _, revision = address.removeprefix("hf://").partition("@")
    parts = body.split("/")
    if len(parts) < 3 or not all(parts) or ".." in parts:
        raise InputError(f"model address {address!r} is malformed; expected {ADDRESS}")
    return _file("/".join(parts[:2]), "/".join(parts[2:]), revision or None, offline=offline, name=address)


def _file(repository: str, file: str, revision: str | None, *, offline: bool, name: str) -> Path:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    hint = (
        f"download it elsewhere with `hf download {repository} {file}` and copy the hub's cache folder here, "
        "or give the file's path"
    )
    if offline or constants.HF_HUB_OFFLINE:
        raise InputError(f"model {name!r} is not in the hub's cache, and the network is switched off; {hint}")
    if not _reachable(constants.ENDPOINT):  # the hub's own client tries again and again for 20 s
        raise InputError(f"model {name!r} is not in the hub's cache, and the hub does not answer; {hint}")
    try:
        return Path(hf_hub_download(repository, file, revision=revision, etag_timeout=CONNECT_S))
    except (OSError, ValueError) as error:  # the hub's own errors are among them
        what = f"could not be fetched from the hub: {reason(error)}"
        raise InputError(f"model {name!r} {what}; {hint}") from None


def _reachable(endpoint: str) -> bool:
    """Whether something accepts a connection at an address; behind a proxy only the proxy can tell: yes."""
    parts = urlsplit(endpoint)
    try:
        if not getproxies():
            socket.create_connection((parts.hostname, parts.port or 443), timeout=CONNECT_S).close()
    except OSError:
        return False
    return True

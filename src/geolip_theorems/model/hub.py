"""Model files from the Hugging Face hub, through its own cache and token."""

from __future__ import annotations

import importlib.util
import queue
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..io.errors import InputError
from .published import place

CONNECT_S = 3.0  # how long a named model may take to answer at all, and `auto` to be reachable
ADDRESS = "hf://owner/repo/path/to/file.pt@revision"


def installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def published_file(
    version: str, revision: str | None, *, offline: bool, deadline_s: float | None = None
) -> Path:
    """The local path of a published version's checkpoint, fetched if it is not in the cache.

    Args:
        version: a key of ``PUBLISHED``.
        revision: branch, tag or commit; None for the main branch.
        offline: read the cache only.
        deadline_s: give up after so many seconds; a download under way then goes on in the background
            and fills the cache for the next run.

    Raises:
        InputError: not in the cache and not to be had, or not in time.
    """

    def fetch() -> Path:
        return _file(*place(version), revision, offline=offline, name=version)

    if deadline_s is None:
        return fetch()
    answer: queue.Queue = queue.Queue()

    def attempt() -> None:
        try:
            answer.put(fetch())
        except InputError as error:
            answer.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        result = answer.get(timeout=deadline_s)
    except queue.Empty:
        raise InputError(f"model {version!r} did not arrive from the hub within {deadline_s:.0f} s") from None
    if isinstance(result, InputError):
        raise result
    return result


def addressed_file(address: str, *, offline: bool) -> Path:
    """The local path of ``hf://owner/repo/file@revision``.

    Raises:
        InputError: the address is malformed, or the file is not to be had.
    """
    body, _, revision = address.removeprefix("hf://").partition("@")
    parts = body.split("/")
    if len(parts) < 3 or not all(parts) or ".." in parts:
        raise InputError(f"model address {address!r} is malformed; expected {ADDRESS}")
    return _file("/".join(parts[:2]), "/".join(parts[2:]), revision or None, offline=offline, name=address)


def _file(repository: str, file: str, revision: str | None, *, offline: bool, name: str) -> Path:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    cached = try_to_load_from_cache(repository, file, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    hint = (
        f"download it elsewhere with `hf download {repository} {file}` and copy the hub's cache folder here, "
        "or give the file's path"
    )
    if offline or constants.HF_HUB_OFFLINE:
        raise InputError(f"model {name!r} is not in the hub's cache, and the network is switched off; {hint}")
    if not _reachable(constants.ENDPOINT):
        raise InputError(f"model {name!r} is not in the hub's cache, and the hub does not answer; {hint}")
    try:
        return Path(hf_hub_download(repository, file, revision=revision, etag_timeout=CONNECT_S))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"model {name!r} could not be fetched from the hub: {text[0][:160]}; {hint}"
        ) from None


def _reachable(endpoint: str) -> bool:
    """Whether something accepts a connection at the hub's address, within ``CONNECT_S``.

    Behind a proxy only the proxy can tell, so there the answer is yes.
    """
    if getproxies():
        return True
    parts = urlsplit(endpoint)
    try:
        with socket.create_connection((parts.hostname, parts.port or 443), timeout=CONNECT_S):
            return True
    except OSError:
        return False

"""Where compiled kernels are kept."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import platformdirs


def cache_directory(pattern: str) -> Path:
    """A writable folder below NUMBA_CACHE_DIR, or the user's cache, or the temporary folder.

    Its name holds a hash of the kernel sources that match the pattern, because Numba notices only changes
    of the one file in which a kernel is defined. Raises OSError when none can be written.
    """
    here = Path(__file__).parent
    kernels = [path for path in here.glob(pattern) if not path.stem.endswith("_backend")]
    sources = sorted([*kernels, *(here / f"{name}.py" for name in ("reference", "repair", "checks"))])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    base = os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("geolip-theorems")
    for parent in (Path(base), Path(tempfile.gettempdir()) / "geolip-theorems"):
        directory = parent / f"conduit-{digest}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                return directory
        except OSError:
            continue
    raise OSError(
        f"no folder for compiled kernels: neither {base} nor {tempfile.gettempdir()} can be written"
    )

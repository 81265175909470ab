"""A comparison of runs as a page of its own, in the report's look."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ...comparison import Comparison
from ...errors import InputError
from ...model.writing import write_atomically
from ...record import finite, now
from .comparing import comparison_blocks, heading


def write_comparison(comparisons: Sequence[Comparison], out: Path) -> Path:
    """Write the page of one or more comparisons, whole or not at all.

    Raises:
        InputError: ``out`` cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("geolip_theorems.report.html"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = environment.loader.get_source
    style, script = (Markup(source(environment, name)[0]) for name in ("style.css", "script.js"))
    content = [finite(comparison.to_dict()) for comparison in comparisons]
    text = environment.get_template("comparison.html.j2").render(
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        created=now(),
        comparisons=[
            (heading(found), comparison_blocks(number, found)) for number, found in enumerate(content, 1)
        ],
        regressed=sum(len(comparison.regressions()) for comparison in comparisons),
    )
    try:
        write_atomically(out, lambda name: Path(name).write_text(text, encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"comparison {str(out)!r} cannot be written ({error.strerror}); give another --html"
        ) from None
    return out

"""What every page shares: escaping, style, script and its permission, writing the file."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ...drawing.text import span, upper_first
from ...io.files import refused, write_atomically


def write_page(out: Path, kind: str, template: str, /, **content: Any) -> Path:
    """Write a page whole or not at all; ``kind`` says what it is.

    Raises:
        InputError: ``out`` cannot be written.
    """
    return write_text(out, kind, render_page(template, **content))


def render_page(template: str, **content: Any) -> str:
    """A page's text from one of the templates; everything in ``content`` is escaped unless it is Markup."""
    environment = Environment(
        loader=PackageLoader("geolip_theorems.report.html"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"minus": minus, "span": span, "slug": slug, "upper_first": upper_first}
    source = environment.loader.get_source
    style, script = (Markup(source(environment, name)[0]) for name in ("style.css", "script.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template(template)
    return page.render(style=style, script=script, script_hash=digest, **content)


def minus(text: str) -> str:
    """A number's text with a true minus sign."""
    return text.replace("-", "−") if text != "-" else "–"


def slug(text: str) -> str:
    """A title as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "data"


def write_text(out: Path, what: str, text: str) -> Path:
    """The same with a text of one's own."""
    with refused(f"{what} {str(out)!r}", "place for it"):
        write_atomically(out, lambda name: Path(name).write_text(text, encoding="utf-8"))
    return out

"""A subject's verdict cards as a piece of HTML, in the report's look, for a notebook's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...drawing.shown import Shown
from ...io.text import clean
from .cards import cards, headline, tally
from .shell import render_page


def fragment(subject: Mapping[str, Any]) -> str:
    """The cards of a subject as it stands in ``results.json``; its style reaches nothing else on the page."""
    shown = Shown(1, clean(subject))
    # Without a page around it there are no sections to lead to.
    found = [replace(card, section="") for card in cards(shown)]
    return render_page(
        "fragment.html.j2", shown=shown, tally=tally(shown), headline=headline(shown), cards=found
    )

"""The page: what is on it, what it says of missing things; nothing in a record is run or believed."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from geolip_theorems.io.errors import InputError
from geolip_theorems.report.html import cards, write
from geolip_theorems.report.html.write import write_report

from .conftest import ATTACK, CLASSES, finished, measured, pictures

SECTIONS = ("verdicts", "q1", "q2", "q3", "q4", "q5", "q6", "run")
ASKED = 6  # sections that are questions
ADDRESSES = ("src", "href", "xlink:href", "action", "srcset", "data", "poster")


@pytest.fixture
def cards_only(monkeypatch):
    """Pages without drawings, which are what takes time."""
    monkeypatch.setattr(write, "questions", lambda: ())


class Page(HTMLParser):
    """Tags, ids, addresses and figures of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.images, self.drawings = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[name] for name in ADDRESSES if name in found]
        self.images += [found] if tag == "img" else []
        self.drawings += [found] if tag == "svg" and "drawing" in found.get("class", "") else []


def test_every_section_is_there_and_nothing_failed_to_draw(labelled):
    found = Page(labelled.html)
    assert [name for name in found.ids if name in SECTIONS] == list(SECTIONS)
    assert "Cannot draw" not in labelled.html
    titles = re.findall(r"<h4>(.*?)</h4>", labelled.html)
    for title in (
        "Spatial CV of each image",
        "Error over all images",
        "Mean error map of each class",
        "Difference from the overall map",
        "Cosine between classes",
        "How much each class loses",
        "Energy of the modes",
        "Ablation of the modes",
        "Dominant mode",
        "Error added by losing a mode",
        "Accuracy of the probes",
        "Lifts",
        "Accuracy of each class",
        "Error by region",
        "What the error goes with",
        "Error against gradient",
        "Best, median and worst images",
        "Friction maps",
        "Settle maps",
    ):
        assert title in titles


def test_ids_differ_and_every_reference_is_met(several):
    found = Page(several.html)
    assert len(found.ids) == len(set(found.ids))
    wanted = {address[1:] for address in found.addresses if address.startswith("#") and len(address) > 1}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", several.html))
    assert wanted <= set(found.ids)


def test_the_file_needs_nothing_else(several):
    found = Page(several.html)
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert not re.findall(r"@import|url\((?!#)", several.html)
    assert "http://" not in several.html
    assert "https://" not in several.html
    assert len(several.html) < 1_000_000


def test_every_picture_says_what_it_shows(several):
    found = Page(several.html)
    assert len(found.images) > 20
    assert all(len(image.get("alt", "")) > 10 for image in found.images)
    assert all(len(drawing.get("aria-label", "")) > 10 for drawing in found.drawings)


def test_two_makes_are_equal(labelled, tmp_path):
    again = write_report(labelled.results, tmp_path / "again.html")
    assert again.read_bytes() == labelled.report.read_bytes()


def test_names_and_messages_are_never_markup(several):
    found = Page(several.html)
    assert sum(tag == "script" for tag, _ in found.tags) == 1  # the page's own
    assert ATTACK not in several.html
    assert "&lt;script&gt;window.attacked" in several.html
    assert not any("onerror" in attributes for _, attributes in found.tags)
    assert not any(tag == "img" and attributes.get("src") == "x" for tag, attributes in found.tags)
    assert "noise has <b>" not in several.html


def test_names_in_drawings_are_text(labelled):
    drawings = re.findall(r'<svg[^>]*class="drawing".*?</svg>', labelled.html, re.S)
    inside = "".join(drawings)
    assert "&lt;script&gt;" in inside
    assert "<script" not in inside
    assert "$x_{$" in inside  # no formula either


def test_only_our_script_may_run(labelled):
    import base64
    import hashlib

    script = re.search(r"<script>(.*?)</script>", labelled.html, re.S).group(1)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', labelled.html).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_characters_that_no_page_can_hold_are_escaped(labelled, tmp_path, cards_only):
    def change(record):
        record["subjects"][0]["model"]["name"] = "a\x00b\x1b[31m"

    text = labelled.changed(tmp_path, change)
    assert r"a\x00b\x1b[31m" in text


def test_cards_come_worst_first(labelled, tmp_path, cards_only):
    def change(record):
        verdicts = record["subjects"][0]["verdicts"]
        for verdict, word in zip(
            verdicts, ("holds", "not measured", "inconclusive", "fails", "fails"), strict=False
        ):
            verdict |= {"verdict": word, "expected": None}
        verdicts[3] |= {"expected": "fails", "expected_reason": "known"}

    found = re.findall(
        r'<article class="card ([a-z-]+)" data-claim="(\w+)"', labelled.changed(tmp_path, change)
    )
    states = [state for state, _ in found]
    order = ["fails", "inconclusive", "not-measured", "holds"]
    assert states == sorted(states, key=order.index)
    claims = [verdict["claim"] for verdict in labelled.record["subjects"][0]["verdicts"]]
    assert [claim for state, claim in found if state == "fails"].index(
        claims[3]
    ) > 0  # expected: after surprises


@pytest.mark.parametrize(("value", "word"), [(True, "yes"), (False, "no"), (None, "not shown")])
def test_attribution_has_three_answers(labelled, tmp_path, cards_only, value, word):
    def change(record):
        for verdict in record["subjects"][0]["verdicts"]:
            verdict["attributed"] = value

    text = labelled.changed(tmp_path, change).partition("<aside")[0]
    assert set(re.findall(r"beyond untrained weights</dt><dd><b>([^<]*)</b>", text)) == {word}


def test_expected_findings_are_marked(labelled, tmp_path):
    verdict = {v["claim"]: v for v in labelled.record["subjects"][0]["verdicts"]}["gradient"]
    assert verdict["expected"] == "fails"
    card = re.search(r'data-claim="gradient".*?</article>', labelled.html, re.S).group(0)
    assert ("Not as expected" in card) == (verdict["verdict"] != "fails")
    assert "noise has &lt;b&gt;no&lt;/b&gt; edges" in card


def test_a_strip_puts_value_and_threshold_where_they_are(labelled, tmp_path, cards_only):
    def change(record):
        verdict = record["subjects"][0]["verdicts"][0]
        verdict |= {"value": 3.0, "ci95": [2.0, 4.0], "threshold": 1.0, "comparison": ">"}
        verdict["script_value"] = None
        record["subjects"][0]["measurements"]["controls"] = None

    text = labelled.changed(tmp_path, change)
    claim = labelled.record["subjects"][0]["verdicts"][0]["claim"]
    card = re.search(rf'data-claim="{claim}".*?</article>', text, re.S).group(0)
    dot = float(re.search(r'<circle cx="([\d.]+)%"', card).group(1))
    line = float(re.search(r'<line x1="([\d.]+)%"[^>]*class="threshold"', card).group(1))
    low, width = map(float, re.search(r'<rect x="([\d.]+)%" y="23" width="([\d.]+)%"', card).groups())
    assert dot == pytest.approx(low + width / 2, abs=0.01)
    assert (dot - line) / width == pytest.approx((3 - 1) / (4 - 2), abs=0.001)


def test_substitutes_are_loud(labelled):
    note = re.search(r'<p class="substitute".*?</p>', labelled.html, re.S).group(0)
    assert "stands in for another" in note


def test_several_subjects_have_an_overview_and_a_column_each(several):
    found = Page(several.html)
    assert 'aria-label="Overview of all subjects"' in several.html
    assert sum(attributes.get("class") == "column" for _, attributes in found.tags) == 3 * ASKED


def test_a_broken_subject_is_a_sentence(several):
    assert "This subject was not measured" in several.html
    assert several.html.count("Not measured: the model&#39;s recon is not finite") == ASKED


def test_missing_labels_and_ablations_are_sentences(several):
    assert "The images have no labels, and this question compares classes." in several.html
    assert "The modes were not ablated" in several.html
    assert "Cannot draw" not in several.html


def test_a_missing_companion_is_a_sentence(labelled, tmp_path):
    def change(record):
        record["subjects"][0]["companion"] = None

    text = labelled.changed(tmp_path, change)
    assert "No companion file" in text
    assert "Accuracy of the probes" in text
    assert "Cannot draw" not in text


def test_another_companion_is_not_believed(labelled, tmp_path):
    def change(record):
        record["subjects"][0]["companion"]["sha256"] = "0" * 64

    text = labelled.changed(tmp_path, change)
    assert "is not the one its results file was written with" in text
    assert "Best, median and worst images" not in text


@pytest.mark.parametrize("parts", [["script", "script_accuracies"], ["calibrated", "controls"]])
def test_missing_parts_of_the_record_break_no_page(labelled, tmp_path, parts):
    def change(record):
        for part in parts:
            del record["subjects"][0]["measurements"][part]

    found = Page(labelled.changed(tmp_path, change))
    assert set(SECTIONS) <= set(found.ids)


def test_what_is_no_record_is_refused_in_a_line(tmp_path):
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(InputError, match="not a results file") as refused:
        write_report(tmp_path / "results.json", tmp_path / "report.html")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "report.html").exists()


def test_a_place_that_cannot_be_written_is_a_line(labelled, tmp_path, cards_only):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(labelled.results, tmp_path / "file" / "report.html")


def test_class_names_are_all_there(labelled):
    from html import unescape

    text = unescape(labelled.html)
    assert all(name in text for name in CLASSES)


def test_a_grid_of_one_patch_is_told_in_sentences(tmp_path):
    record = measured(tmp_path, "one", pixels=pictures()[:9, :4, :4], controls=0, ablation_images=3)
    text = finished(tmp_path, [record]).html
    assert "The grid has one patch" in text
    assert "Cannot draw" not in text


def test_the_first_sentence_counts_what_is_shown_and_nothing_else():
    def said(*verdicts):
        entries = [
            {"verdict": word, "attributed": beyond, "training": training, "attribution": compared}
            for word, beyond, training, compared in verdicts
        ]
        return cards.headline(SimpleNamespace(record={"verdicts": entries}))

    twins = {"attributed": None}
    shown = ("holds", True, True, twins)
    assert "2 of 4 claims hold; of these 1 shown to be beyond untrained weights, 1 to be" in said(
        shown, ("holds", None, None, twins), ("fails", True, True, twins), ("inconclusive", None, None, twins)
    )
    assert "none shown to be beyond untrained weights, none to be" in said(("holds", False, None, twins))
    assert said(("holds", None, None, None)) == "", "nothing was compared"
    assert said(("fails", True, True, twins)) == ""

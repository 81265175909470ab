"""A model card keeps what it says, has one section of ours however often written, and fits the hub."""

import pytest
from huggingface_hub import ModelCard, ModelCardData

from geolip_theorems.cli import main
from geolip_theorems.io.errors import InputError
from geolip_theorems.report.card import BEGIN, END, TASK, subjects_of

OWN = """---
license: mit
model-index:
- name: mine
  results:
  - task: {type: image-classification, name: other}
    dataset: {type: cifar10, name: CIFAR-10}
    metrics: [{type: accuracy, value: 0.9}]
---

# Mine

Before.
"""


@pytest.fixture
def written(labelled, tmp_path):
    """A function that writes a card's text, runs the command on it, and gives the card."""

    def write(text: str | None = None, *words: str) -> ModelCard:
        place = tmp_path / "README.md"
        if text is not None:
            place.write_text(text)
        assert main(["card", str(labelled.results), "--out", str(place), *words]) == 0
        return ModelCard(place.read_text())

    return write


def test_a_new_card_has_the_verdicts_and_what_was_measured(written, labelled):
    card = written()
    (subject,) = labelled.record["subjects"]
    values = {v["metric"]: v["value"] for v in subject["verdicts"] if v["value"] is not None}
    assert {found.metric_type: found.metric_value for found in card.data.eval_results} == values
    assert card.data.model_name == "tiny"
    assert all(verdict["title"] in card.text for verdict in subject["verdicts"])
    ModelCardData(**card.data.to_dict())


def test_what_a_card_says_stays_and_the_section_is_replaced(written):
    written(OWN)
    first = written()
    again = written(str(first).replace(END, f"a line of an earlier run\n{END}") + "\nAfter.\n")
    assert (again.text.count(BEGIN), again.text.count(END)) == (1, 1)
    assert "a line of an earlier run" not in again.text
    assert again.text.strip().startswith("# Mine")
    assert again.text.strip().endswith("After.")
    assert (again.data.license, again.data.model_name) == ("mit", "mine")
    others = [found for found in again.data.eval_results if found.task_name != TASK]
    assert [(found.metric_type, found.metric_value) for found in others] == [("accuracy", 0.9)]
    assert len(again.data.eval_results) == len(first.data.eval_results)


def test_nothing_is_sent_unless_asked(written, monkeypatch):
    sent = []
    monkeypatch.setattr(ModelCard, "push_to_hub", lambda card, repository: sent.append(repository))
    written()
    assert sent == []
    written(None, "--push", "owner/model")
    assert sent == ["owner/model"]


@pytest.mark.parametrize("text", ["---\nlicense: [\n---\nx", "---\nmodel-index: 3\n---\nx"])
def test_metadata_that_cannot_be_used_are_refused_and_the_card_stays(labelled, tmp_path, capsys, text):
    place = tmp_path / "README.md"
    place.write_text(text)
    assert main(["card", str(labelled.results), "--out", str(place)]) == 2
    assert "the card's metadata cannot be used" in capsys.readouterr().err
    assert place.read_text() == text


def test_a_card_is_about_one_model(several):
    with pytest.raises(InputError, match="the run has models tiny, plain, and a card is about one"):
        subjects_of(several.record, None)
    with pytest.raises(InputError, match="unknown model of this run 'tniy'; did you mean 'tiny'"):
        subjects_of(several.record, "tniy")
    assert [subject["id"] for subject in subjects_of(several.record, "tiny")] == [
        several.record["subjects"][0]["id"]
    ]

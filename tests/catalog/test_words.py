# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.catalog import catalog
from rspipe.catalog.words import describe, select, table
from rspipe.errors import RecipeError
from rspipe.schema import DatasetCard

CARDS = list(catalog().values())


def test_each_filter_keeps_the_cards_that_have_it_and_only_those():
    kept = select(CARDS, task="segmentation", layout="mask_pairs", benchmark=True)
    assert {"loveda", "potsdam"} <= {card.name for card in kept}
    for card in CARDS:
        fits = card.task == "segmentation" and card.layout == "mask_pairs"
        assert (card in kept) == bool(fits and card.benchmark_splits)


def test_a_licence_pattern_matches_and_unknown_means_none_stated():
    assert all(c.licence.startswith("CC-BY") for c in select(CARDS, licence="cc-by*"))
    assert all(c.licence is None for c in select(CARDS, licence="unknown"))
    both = len(select(CARDS, licence="unknown")) + len(select(CARDS, licence="?*"))
    assert both > len(CARDS)  # "?*" matches the word `unknown` too


def test_an_unknown_task_is_told_the_nearest_one():
    with pytest.raises(RecipeError, match="did you mean 'captions'"):
        select(CARDS, task="captons")


def test_the_table_has_a_line_for_every_card_and_straight_columns():
    lines = table(CARDS)
    assert len(lines) == len(CARDS) + 2
    starts = [line.index(word) for line, word in zip(lines, ["task"], strict=False)]
    assert all(line[starts[0] - 1] == " " for line in lines)
    assert not any(line[starts[0]] == " " for line in lines)


def test_what_is_not_known_is_told_as_unknown():
    lines = describe(DatasetCard(name="mine"))
    told = {line.split()[0]: line.split()[-1] for line in lines[1:]}
    for fact in ("images", "GSD", "licence", "platform", "classes"):
        assert told[fact] == "unknown"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_fact_of_a_card_is_told(card):
    text = " ".join(" ".join(describe(card)).split())
    stated = [card.licence, card.licence_note, card.citation, card.doi, card.arxiv, card.hf_id]
    facts = [*filter(None, stated), *card.known_faults, *card.sources, *card.urls, *card.aliases]
    for fact in facts:
        assert " ".join(fact.split()) in text

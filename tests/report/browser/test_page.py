# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: what a reader does, and what a stranger's names must not do."""

import io

import numpy as np
import pytest
from PIL import Image

from rspipe.report.browser.build import build_browser
from tests.report.browser.chromium import chromium
from tests.report.browser.world import HOSTILE, key_of


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    return build_browser(world, tmp_path_factory.mktemp("pages") / "whole.html")


@pytest.fixture(scope="module")
def sampled(world, tmp_path_factory):
    return build_browser(world, tmp_path_factory.mktemp("pages") / "sampled.html", rows=16)


@pytest.fixture
def page(browser, whole):
    browser.shape(1400, 900)
    browser.open(whole)
    yield browser
    assert browser.complaints() == []


def shown(page):
    return page.js("return rows.map((row) => tiles.key[row])")


def option(facet, value):
    return f'[data-facet="{facet}"][data-value="{value}"]'


def count_beside(page, facet, value):
    label = page.js("return document.querySelector(arguments[0]).labels[0]", option(facet, value))
    return int(label.find_element("class name", "n").text.replace(",", ""))


def screenshot(page):
    return np.asarray(Image.open(io.BytesIO(page.session.get_screenshot_as_png())).convert("RGB"))


def test_a_filter_changes_grid_counts_and_address_and_the_back_button_undoes_it(page):
    assert len(shown(page)) == 46
    page.click(option("source", "sea"))
    page.until(lambda: len(shown(page)) == 9)
    page.click(option("fate", "screen.blank"))
    page.until(lambda: len(shown(page)) == 3)
    assert page.hash == "#fate=screen.blank&source=sea"
    assert page.text("#count") == "3 tiles and files"
    # A facet counts what its other values would give: kept ones of the same source.
    assert count_beside(page, "fate", "kept") == 6
    assert count_beside(page, "source", "fields") == 0
    page.back()
    page.until(lambda: page.hash == "#source=sea")
    assert len(shown(page)) == 9
    page.back()
    page.until(lambda: len(shown(page)) == 46)


def test_an_address_brings_its_filters_and_its_story_back(page, whole):
    page.open(whole, f"#fate=kept&from=0.3&to=1&q=CROPS&order=path&tile={key_of('f3')}")
    assert len(shown(page)) == 15
    assert page.text("#story-title") == "03.png"
    assert page.js("return document.querySelector('dialog').open")
    page.press("ESCAPE")
    page.until(lambda: "tile" not in page.hash)
    assert not page.js("return document.querySelector('dialog').open")
    assert len(shown(page)) == 15


def test_a_funnel_reason_filters_and_a_picture_opens_its_whole_story(page):
    page.click("#funnel .reason .of-dedup")
    page.until(lambda: shown(page) == [key_of("copy")])
    page.click(f'[data-key="{key_of("copy")}"]')
    story = page.text("#story")
    assert "Dropped by dedup: nearly the same picture." in story
    assert "turned 90° counter-clockwise" in story
    assert "2 of 64 bits apart (limit 4)" in story
    assert "correlation 0.998 (limit 0.985)" in story
    assert "crops/01.png" in story
    assert "Cluster of 2 pictures" in story
    page.back()
    page.until(lambda: not page.js("return document.querySelector('dialog').open"))
    assert shown(page) == [key_of("copy")]


def test_a_copy_turned_back_is_its_original(page, whole):
    # By every orientation's own rule the page undoes what NumPy did.
    page.open(whole, f"#tile={key_of('copy')}")
    x, y, width, height = page.js("""
        const panel = document.querySelector("#story .difference");
        panel.scrollIntoView({block: "center"});
        const {x, y, width, height} = panel.getBoundingClientRect();
        return [x, y, width, height].map(Math.round);""")
    difference = screenshot(page)[y + 9 : y + height - 9, x + 9 : x + width - 9]
    assert np.mean(difference) < 12
    page.js("document.querySelector('#story .difference .over').style.transform = 'none'")
    turned = screenshot(page)[y + 9 : y + height - 9, x + 9 : x + width - 9]
    assert np.mean(turned) > 3 * np.mean(difference)


def test_arrows_step_through_the_stories_and_stop_at_the_ends(page):
    page.click(option("fate", "screen.blank"))
    page.until(lambda: len(shown(page)) == 3)
    keys = shown(page)
    page.click(f'[data-key="{keys[0]}"]')
    seen = []
    for _ in range(4):
        seen.append(page.js("return state.tile"))
        page.press("ARROW_RIGHT")
    assert seen == [*keys, keys[-1]]
    assert "Measured" in page.text("#story")
    assert page.text(".measures .broken").split() == ["flat", "1", "✗", "at", "most", "0.95"]
    page.press("ESCAPE")
    page.until(lambda: page.hash == "#fate=screen.blank")
    assert page.js("return document.activeElement.dataset.key") == keys[-1]


def test_a_window_of_the_whole_image_opens_the_story_of_the_tile_there(page, whole):
    page.open(whole, f"#tile={key_of('s4')}")
    assert "6 kept" in page.text(".whole ~ .legend")
    assert "3 blank" in page.text(".whole ~ .legend")
    own = page.one(".own")
    assert [own.get_attribute(side) for side in ("y", "x", "height", "width")] == ["32"] * 4
    # The middle of the last row is the second blank tile.
    page.js("""
        const whole = document.querySelector(".whole"), seen = whole.getBoundingClientRect();
        const at = {clientX: seen.x + seen.width / 2, clientY: seen.y + seen.height * 5 / 6};
        whole.dispatchEvent(new MouseEvent("click", at));""")
    assert page.js("return state.tile") == key_of("b1")
    assert "Dropped by screen: blank" in page.text("#story")


def test_benchmark_hits_are_shown_with_the_benchmarks_picture(page, whole):
    page.click(option("benchmark", "bench"))
    page.until(lambda: shown(page) == [key_of("leak")])
    page.click(f'[data-key="{key_of("leak")}"]')
    story = page.text("#story")
    assert "Pictures of a benchmark" in story
    assert "mirrored left to right" in story
    assert "1 of 64 bits apart (limit 4)" in story
    assert len(page.all("#story .pair img")) == 5
    page.open(whole, f"#tile={key_of('h0')}")
    assert "Held out." in page.text("#story")
    assert "Found in the sources" in page.text("#story")


def test_objects_are_outlined_where_they_are(page, whole):
    page.open(whole, f"#annotation=boxes&tile={key_of('f2')}")
    assert shown(page) == [key_of("f2")]
    outlines = [polygon.get_attribute("points") for polygon in page.all("#story .large polygon")]
    assert outlines == ["0.25 0.5 0.75 0.5 0.75 1 0.25 1", "0.5 0 1 0.5 0.5 1 0 0.5"]
    assert "2: barn, silo" in page.text("#story")


def test_hostile_names_stay_text(page, whole):
    page.open(whole, f"#tile={key_of('f0')}")
    story = page.text("#story")
    assert HOSTILE in page.js("return document.querySelector('#story').textContent")
    assert "javascript:window.owned=1" in story
    assert [a.get_attribute("href") for a in page.all("#story a")] == []
    page.open(whole, f"#tile={key_of('broken')}")
    assert "Dropped by ingest: unreadable." in page.text("#story")
    assert "A file that never became tiles" in page.text("#story")
    page.open(whole, "#q=onerror")
    page.until(lambda: len(shown(page)) == 2)
    assert page.js("return window.owned") is None
    assert page.js("return document.querySelectorAll('img[onerror], img[src=x]').length") == 0
    assert page.js("return document.scripts.length") == 3


def test_a_sample_says_what_it_is_a_sample_of(browser, sampled):
    browser.open(sampled)
    assert "19 of 46 tiles and dropped files are on this page" in browser.text("#about")
    assert browser.text("#count") == "46 tiles and files, 19 of them on this page"
    browser.click(option("fate", "kept"))
    browser.until(lambda: "kept" in browser.hash)
    assert browser.text("#count").startswith("36 tiles and files, ")
    browser.open(sampled, "#q=crops")
    assert "on this page" in browser.text("#count")
    assert "alone" in browser.text("#notice")
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("width", "height", "scheme", "paper"),
    [(1400, 900, "light", (252, 252, 250)), (400, 850, "dark", (20, 25, 27))],
)
def test_the_page_is_drawn_in_every_size_and_scheme(page, whole, width, height, scheme, paper):
    page.shape(width, height, scheme)
    page.open(whole)
    page.until(lambda: page.js("return [...document.images].every((i) => i.naturalWidth)"))
    seen = screenshot(page)
    assert seen.shape == (height, width, 3)
    assert tuple(seen[2, 2]) == paper
    assert len(np.unique(seen @ np.array([65_536, 256, 1]))) > 500
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")


def test_thousands_of_cards_cost_no_more_than_a_screenful(page):
    page.js("grid.show(Array.from({length: 5000}, (_, i) => i % rows.length), () => '#', () => {})")
    few = len(page.all(".card"))
    assert 0 < few < 250
    page.js("scrollTo(0, document.body.scrollHeight / 2); grid.refresh()")
    assert 0 < len(page.all(".card")) < 250
    middle = page.js("return Number(document.querySelector('.card:last-child a').dataset.at)")
    assert 2_000 < middle < 3_500

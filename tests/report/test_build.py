# SPDX-License-Identifier: Apache-2.0
"""The page as a whole."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from rspipe.errors import CorpusError, RspipeError
from rspipe.report.build import breakable, build_report, render


class _Page(HTMLParser):
    """Collects what a browser would load, and the text that it would show."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.tags, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        loading = {"src", "srcset", "poster", "data", "xlink:href"} | (
            {"href"} if tag != "a" else set()
        )
        self.loaded += [value for name, value in attrs if name in loading]

    def handle_data(self, data):
        self.text.append(data)


def words_of(page):
    return re.sub(r"\s+", " ", " ".join(_Page(page).text))


def test_page_loads_nothing_from_elsewhere(folders):
    page = render(folders)
    loaded = _Page(page).loaded
    assert loaded
    assert all(uri.startswith("data:image/") for uri in loaded)
    assert "link" not in _Page(page).tags
    assert not re.search(r"@import|url\(|https?://", page)


def test_numbers_of_the_funnel_appear(folders):
    text = words_of(render(folders))
    for number in ("4,321", "4,200", "6,789", "6,653", "89 blank", "100 too small", "40", "7"):
        assert number in text
    assert "55 benchmark tiles are kept aside" in text


def test_hostile_names_are_text_not_tags(folders):
    page = render(folders)
    assert "<script>alert" not in page
    assert "<b>nobody" not in page
    assert _Page(page).tags.count("script") == 1
    assert "alert('x')" in words_of(page)


def test_hostile_recipe_name_is_escaped(folders):
    assert "<i>bold</i>" not in render(folders.model_copy(update={"name": "<i>bold</i>"}))


def test_same_artefacts_give_the_same_bytes(folders):
    first = build_report(folders).read_bytes()
    assert build_report(folders).read_bytes() == first


def test_report_goes_beside_the_results_and_is_small(folders):
    out = build_report(folders)
    assert out == folders.results[0] / "report.html"
    assert out.stat().st_size < 6_000_000


@pytest.mark.parametrize(
    ("missing", "command"),
    [("corpus", "make curate"), ("run", "make pretrain"), ("results", "make eval")],
)
def test_a_missing_part_names_the_command_that_makes_it(folders, missing, command):
    assert f"<code>{command}</code>" not in render(folders)
    shutil.rmtree(folders.results[0] if missing == "results" else getattr(folders, missing))
    assert f"<code>{command}</code>" in render(folders)


def test_report_after_curate_alone_makes_its_folder(folders):
    shutil.rmtree(folders.run)
    shutil.rmtree(folders.results[0])
    assert build_report(folders).is_file()


def test_nothing_at_all_is_an_error(folders):
    nowhere = folders.corpus / "nowhere"
    empty = folders.model_copy(update={"corpus": nowhere, "run": nowhere, "results": (nowhere,)})
    with pytest.raises(RspipeError, match="make curate"):
        render(empty)


def test_corpus_of_another_schema_is_an_error(folders):
    manifest = folders.corpus / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema_version": 2', '"schema_version": 0'))
    with pytest.raises(CorpusError, match="schema"):
        render(folders)


def test_chain_of_hashes_is_checked(folders):
    assert 'class="broken"' not in render(folders)
    note = folders.run / "run.yaml"
    note.write_text(note.read_text().replace("c0ffee00c0ffee00", "another0another0"))
    assert "the run was trained on another corpus" in render(folders)


def test_scores_of_another_encoder_are_noticed(folders):
    rows = folders.results[0] / "results.json"
    rows.write_text(rows.read_text().replace("e" * 64, "d" * 64))
    assert "the scores are of another run" in words_of(render(folders))


def test_tiles_without_a_picture_leave_a_placeholder(folders):
    assert render(folders).count(">no picture<") == 3  # benchmark, blank tile, example
    (folders.corpus / "pictures.parquet").unlink()
    page = render(folders)
    assert page.count(">no picture<") == 5
    assert "curate it again" in page


def test_paths_break_at_joints_and_stay_escaped():
    assert str(breakable("a/<b>_c")) == "a/<wbr>&lt;b&gt;_<wbr>c"


def test_the_corpus_browser_is_linked_where_it_was_made(folders):
    assert f"rspipe corpus browse {folders.corpus}" in words_of(render(folders))
    (folders.corpus / "browser.html").write_text("")
    assert '<a href="../corpus/browser.html">' in render(folders)


def test_a_results_folder_that_is_not_there_yet_is_named(folders):
    later = folders.corpus.parent / "later"
    several = folders.model_copy(update={"results": (*folders.results, later)})
    assert f"Not evaluated yet: {later}" in words_of(render(several))
    assert "Not evaluated yet" not in words_of(render(folders))

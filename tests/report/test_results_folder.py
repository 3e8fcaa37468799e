# SPDX-License-Identifier: Apache-2.0
"""Results of several recipes on one page."""

import pytest

from rspipe.errors import RspipeError
from rspipe.io.tables import write_json
from rspipe.report.results_folder import ResultsFolder
from rspipe.report.results_section import describe_results
from tests.report.conftest import score, write_results


@pytest.fixture
def folder_of(tmp_path):
    """Write a folder of results and read it again."""

    def make(name, *rows, **recipe):
        path = tmp_path / name
        path.mkdir()
        write_json({"recipe": {"name": name, **recipe}}, path / "manifest.json")
        return ResultsFolder.read(write_results(path, list(rows)))

    return make


def pair(**more):
    return score("pretrained", 0.8, **more), score("random", 0.6, **more)


def test_no_folder_without_results(tmp_path):
    assert ResultsFolder.read(tmp_path) is None


def test_recipes_that_measure_the_same_have_a_line_each_and_their_names(folder_of):
    """AID at two training ratios: equal names, other settings; neither hides the other."""
    section = describe_results(
        [
            folder_of("aid_20", *pair()),
            folder_of("aid_50", *pair(protocol="linear"), *pair(cell="x")),
        ]
    )
    assert [(row.protocol, row.recipe) for row in section.rows] == [
        ("knn", "aid_20"),
        ("linear", ""),
        ("knn", "aid_50"),
    ]
    assert [one.recipe for one in section.details] == ["aid_20", "", "aid_50"]


def test_a_floor_that_two_recipes_share_is_shown_once(folder_of):
    floor = score("none", 0.3, protocol="majority")
    section = describe_results(
        [folder_of("a", floor, *pair()), folder_of("b", floor, *pair(protocol="linear", cell="x"))]
    )
    assert [row.protocol for row in section.rows] == ["majority", "knn", "linear"]
    assert [row.recipe for row in section.rows] == ["", "", ""]


def test_lines_of_one_benchmark_stand_together(folder_of):
    first = folder_of("a", *pair(), *pair(benchmark="lakes"))
    second = folder_of("b", *pair(protocol="linear"))
    rows = describe_results([first, second]).rows
    assert [(row.benchmark, row.protocol) for row in rows] == [
        ("coasts", "knn"),
        ("coasts", "linear"),
        ("lakes", "knn"),
    ]


def test_pictures_and_arrays_come_from_the_folder_of_their_line(folder_of):
    first, second = folder_of("b", *pair()), folder_of("c", *pair(protocol="linear"))
    second.cell_file(second.rows[0], ".npz").unlink()
    has, lacks = describe_results([first, second]).details
    assert "lake seen as bay: 2" in has.confusion
    assert lacks.confusion == ""


def test_published_figures_stand_below_the_lines_of_their_own_recipe(folder_of):
    def printed(value):
        return [{"benchmark": "coasts", "model": "B", "metric": "OA", "value": value, "source": ""}]

    section = describe_results(
        [
            folder_of("aid_20", *pair(), published=printed(0.9)),
            folder_of("aid_50", *pair(cell="x"), *pair(protocol="linear"), published=printed(0.95)),
        ]
    )
    assert [[one.value for one in row.printed] for row in section.rows] == [[0.9], [], [0.95]]
    assert section.elsewhere == {}


def test_a_label_of_two_encoders_is_refused_by_name(folder_of):
    other = score("pretrained", 0.9, encoder_sha256="f" * 64)
    with pytest.raises(RspipeError, match=r"a and .*b: `pretrained` is of other weights"):
        describe_results([folder_of("a", *pair()), folder_of("b", other)])


def test_baselines_may_differ_and_their_hashes_are_all_shown(folder_of):
    other = score("random", 0.5, encoder_sha256="1" * 64)
    section = describe_results([folder_of("a", *pair()), folder_of("b", other)])
    (random,) = [one for one in section.judged if one.name == "random"]
    assert random.sha256 == ("0" * 64, "1" * 64)

# SPDX-License-Identifier: Apache-2.0
"""Readers of other packages, as an installed package brings them."""

import importlib
import sys

import pytest

from rspipe.doctor import Finding, examine_plugins
from rspipe.errors import PluginError, RecipeError
from rspipe.plugins import plugins
from rspipe.readers import READERS, FileTree, all_readers, read_dataset
from rspipe.schema import DatasetCard
from tests.packages import write_package

READER = """
    from rspipe.readers.base import Listing, record

    class Lined:
        name = "lined"
        options = ("prefix",)

        def recognises(self, tree):
            return "lines.txt" in tree.paths

        def read(self, tree, card):
            rows = [line.split() for line in tree.read_text("lines.txt").splitlines()]
            images = {path: record(path, card, label=label) for path, label in rows}
            return Listing(images, {"lines.txt": "labels"})
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with one reader."""

    def done(name, target, source):
        module, _, cls = target.partition(":")
        write_package(tmp_path, module, source, "readers", name, cls)
        importlib.invalidate_caches()
        forget()

    monkeypatch.syspath_prepend(tmp_path)
    yield done
    forget()


def forget():
    for module in ("plug_one", "plug_two"):
        sys.modules.pop(module, None)
    plugins.cache_clear()
    all_readers.cache_clear()


def test_a_reader_of_another_package_reads_and_is_asked_first(install, tmp_path):
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (data / "a/1.png").touch()
    (data / "lines.txt").write_text("a/1.png ship\n")
    tree = FileTree.scan(data)
    install("lined", "plug_one:Lined", READER)
    for layout in ("auto", "lined"):
        listing = read_dataset(tree, DatasetCard(name="x", layout=layout))
        assert listing.images["a/1.png"].annotation.label == "ship"
        assert listing.sidecars == {"lines.txt": "labels"}
    card = DatasetCard(name="x", layout="lined", options={"prefx": 1})
    with pytest.raises(RecipeError, match="did you mean 'prefix'"):
        read_dataset(tree, card)


@pytest.mark.parametrize(
    ("name", "target", "source", "says"),
    [
        ("lined", "plug_two:Other", READER, r"plug_two 1.2.*cannot be imported.*pip uninstall"),
        ("lined", "plug_two:Lined", "import no_such_module", "No module named 'no_such_module'"),
        ("other", "plug_two:Lined", READER, "calls itself 'lined'"),
        ("voc", "plug_two:Voc", "class Voc:\n    name = 'voc'", "taken by rspipe itself"),
    ],
)
def test_a_broken_plug_in_is_named_with_its_package(install, name, target, source, says):
    install(name, target, source)
    with pytest.raises(PluginError, match=says):
        all_readers()


def test_the_doctor_names_plug_ins_and_their_packages_without_importing_them(install):
    install("lined", "plug_one:Lined", "raise RuntimeError")
    assert Finding("readers: lined", "plug-in of plug_one 1.2") in examine_plugins()


def test_two_packages_cannot_share_a_name(install):
    install("lined", "plug_one:Lined", READER)
    install("lined", "plug_two:Lined", READER)
    with pytest.raises(PluginError, match=r"lined \(plug_two 1.2\).*taken by lined \(plug_one"):
        plugins("readers", tuple(READERS))

# SPDX-License-Identifier: Apache-2.0
import io
import tarfile
import zipfile

import pytest

from rspipe.catalog import card_for
from rspipe.readers import READERS, FileTree
from rspipe.schema import DatasetCard
from tests.fakes import picture

BOX = "1 1 5 1 5 4 1 4"


def read(tree, files, **card):
    card = DatasetCard(name="x", layout="dota", **card)
    return READERS["dota"].read(tree({"images/P1.png": None, **files}), card)


def only(listing):
    return listing.images["images/P1.png"]


def test_the_archives_of_the_publisher_need_no_unpacking(tmp_path):
    """train/images/partN.zip, and labels in an archive for each kind, as they are downloaded."""
    for split, number in (("train", "P0000"), ("val", "P0003")):
        archives = {
            f"{split}/images/part1.zip": {f"images/{number}.png": picture()},
            f"{split}/labelTxt-v1.5/DOTA-v1.5_{split}.zip": {f"{number}.txt": f"{BOX} ship 0\n"},
            f"{split}/labelTxt-v1.5/DOTA-v1.5_{split}_hbb.zip": {f"{number}.txt": f"{BOX} no 0\n"},
        }
        for path, members in archives.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(tmp_path / path, "w") as archive:
                for name, content in members.items():
                    archive.writestr(name, content)
    listing = READERS["dota"].read(FileTree.scan(tmp_path), DatasetCard(name="x", version="1.5"))
    found = {p: (r.split, [b.label for b in r.annotation.boxes]) for p, r in listing.images.items()}
    assert found == {
        "train/images/part1.zip/images/P0000.png": ("train", ["ship"]),
        "val/images/part1.zip/images/P0003.png": ("val", ["ship"]),
    }


@pytest.mark.parametrize("word", ["0", "1", "2", None])
def test_all_but_0_is_difficult(tree, word):
    line = f"{BOX} ship {word or ''}\n"
    (box,) = only(read(tree, {"labelTxt/P1.txt": line})).annotation.boxes
    assert box.difficult == (word in {"1", "2"})


@pytest.mark.parametrize(
    ("head", "sensor", "gsd_m"),
    [
        ("imagesource:GoogleEarth\ngsd:0.146343590398\n", "GoogleEarth", 0.146343590398),
        ("imagesource:null\ngsd:null\n", None, None),
        ("imagesource: GF2 \ngsd:None\n", "GF2", None),
        ("gsd:-1\n", None, None),
        ("\ufeffimagesource:JL\r\n", "JL", None),
        ("", None, None),
    ],
)
def test_the_header_gives_sensor_and_gsd(tree, head, sensor, gsd_m):
    place = only(read(tree, {"labelTxt/P1.txt": f"{head}{BOX} ship 0\n"})).geography
    assert (place.sensor, place.gsd_m) == (sensor, gsd_m)


@pytest.mark.parametrize(
    ("version", "label"), [("1.0", "old"), ("1.5", "mid"), ("2.0", "new"), (None, "new")]
)
def test_the_labels_of_the_card_version_are_taken(tree, version, label):
    files = {
        f"labelTxt-v{v}/P1.txt": f"{BOX} {name} 0\n"
        for v, name in (("1.0", "old"), ("1.5", "mid"), ("2.0", "new"))
    }
    listing = read(tree, files, version=version)
    assert [b.label for b in only(listing).annotation.boxes] == [label]
    assert sum("goes before it" in note for note in listing.sidecars.values()) == 2


def test_oriented_labels_go_before_horizontal_ones_unless_the_card_says_so(tree):
    files = {"labelTxt_hbb/P1.txt": f"{BOX} flat 0\n", "labelTxt_obb/P1.txt": f"{BOX} turned 0\n"}
    (box,) = only(read(tree, files)).annotation.boxes
    assert (box.label, box.corners is None) == ("turned", False)
    (box,) = only(read(tree, files, options={"boxes": "horizontal"})).annotation.boxes
    assert (box.label, box.corners) == ("flat", None)


def test_an_unusable_line_is_named_and_costs_only_itself(tree):
    text = f"gsd:1\n{BOX} ship 0\n1 2 3 ship\n\n1 1 1 1 1 1 1 1 ship 0\nnan 1 5 1 5 4 1 4 ship 0\n"
    listing = read(tree, {"labelTxt/P1.txt": text})
    assert len(only(listing).annotation.boxes) == 1
    note = listing.sidecars["labelTxt/P1.txt"]
    assert note.startswith("annotation; 3 of 4 objects unusable: line 3: is no DOTA box")
    assert "line 5: 'ship' has no area" in note


def test_a_file_without_a_usable_line_is_a_fault(tree):
    listing = read(tree, {"labelTxt/P1.txt": "<html>no such page</html>"})
    assert "line 1: is no DOTA box" in listing.faults["labelTxt/P1.txt"]
    assert not listing.images


def test_a_file_without_objects_says_that_there_are_none(tree):
    assert only(read(tree, {"labelTxt/P1.txt": "gsd:1\n"})).annotation.boxes == ()


def by_hand(text):
    lines = [line.split() for line in text.splitlines() if len(line.split()) == 10]
    return [(words[8], *map(float, words[:8])) for words in lines]


@pytest.mark.real_data
@pytest.mark.parametrize("version", ["1.0", "1.5", "2.0"])
def test_the_layout_reads_as_its_text_says_also_in_archives(real_data, version):
    root = real_data / "layouts_synthetic/dota"
    card = DatasetCard(name="x", layout="dota", version=version)
    listing = READERS["dota"].read(FileTree.scan(root), card)
    found = {
        path: [(b.label, *b.corners) for b in record.annotation.boxes]
        for path, record in listing.images.items()
    }
    wanted = {}
    for file in root.glob(f"*/annotations/version{version}/*.txt"):
        image = file.parent.parent.parent / "images" / f"{file.stem}.png"
        wanted[image.relative_to(root).as_posix()] = by_hand(file.read_text())
    # Each archive of images belongs to the archive of annotations that is called like it.
    for split in ("train", "val"):
        with tarfile.open(root / f"dotav{version}_annotations_{split}.tar.gz") as archive:
            for member in archive.getmembers():
                if member.isfile() and f"version{version}" in member.name:
                    text = io.TextIOWrapper(archive.extractfile(member)).read()
                    name = member.name.rpartition("/")[2].replace(".txt", ".png")
                    outer = f"dotav{version}_images_{split}.tar.gz"
                    wanted[f"{outer}/{split}/images/{name}"] = by_hand(text)
    assert len(wanted) == 10
    assert {path: found[path] for path in wanted} == wanted
    assert all(r.split == ("train" if "train" in p else "val") for p, r in listing.images.items())
    assert {r.geography.gsd_m for r in listing.images.values()} == {1.0}


@pytest.mark.real_data
def test_hit_uav_text_and_xml_hold_the_same_boxes(real_data):
    """The text was derived from the XML, rounded to a tenth of a pixel."""
    root = real_data / "hit_uav"
    tree = FileTree.scan(root)
    options = {"images": "rotate_xml"}
    card = card_for(root).model_copy(update={"options": options, "layout": "dota"})
    text = READERS["dota"].read(tree, card)
    xml = READERS["voc"].read(tree, card).images
    assert len(text.images) == 133
    assert not text.faults
    for path, record in text.images.items():
        ours, theirs = record.annotation.boxes, xml[path].annotation.boxes
        assert [b.label for b in ours] == [b.label for b in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert a.corners == pytest.approx(b.corners, abs=0.051)
        assert record.split == xml[path].split

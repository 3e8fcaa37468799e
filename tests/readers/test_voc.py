# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest

from rspipe.catalog import card_for
from rspipe.errors import RecipeError
from rspipe.readers import READERS, FileTree
from rspipe.schema import DatasetCard

OBJECT = "<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"
EDGES = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"


def xml(*objects, size=""):
    return f"<annotation>{size}{''.join(objects)}</annotation>"


def flat(*edges, name="ship", more=""):
    return OBJECT.format(name=name, more=more, box=EDGES.format(*edges))


def read(tree, files, **options):
    card = DatasetCard(name="x", layout="voc", options=options)
    return READERS["voc"].read(tree({"JPEGImages/a.png": None, **files}), card)


def boxes_of(tree, text, **options):
    listing = read(tree, {"Annotations/a.xml": text}, **options)
    return listing.images["JPEGImages/a.png"].annotation.boxes


def test_numbers_are_kept_as_edges_unless_the_card_says_one_based(tree):
    (box,) = boxes_of(tree, xml(flat(1, 2, 5, 7)))
    assert (box.x0, box.y0, box.x1, box.y1) == (1, 2, 5, 7)
    (box,) = boxes_of(tree, xml(flat(1, 2, 5, 7)), one_based=True)
    assert (box.x0, box.y0, box.x1, box.y1) == (0, 1, 5, 7)
    # A box of one pixel has an area only when pixels are counted.
    (box,) = boxes_of(tree, xml(flat(3, 3, 3, 3)), one_based=True)
    assert (box.x0, box.x1) == (2, 3)


@pytest.mark.parametrize(
    "form",
    [
        "<robndbox><cx>3</cx><cy>4.5</cy><w>4</w><h>5</h><angle>0</angle></robndbox>",
        "<robndbox><x_left_top>1</x_left_top><y_left_top>2</y_left_top><x_right_top>5</x_right_top>"
        "<y_right_top>2</y_right_top><x_right_bottom>5</x_right_bottom>"
        "<y_right_bottom>7</y_right_bottom><x_left_bottom>1</x_left_bottom>"
        "<y_left_bottom>7</y_left_bottom></robndbox>",
        "<polygon><x1>1</x1><y1>2</y1><x2>5</x2><y2>2</y2><x3>5</x3><y3>7</y3><x4>1</x4><y4>7</y4>"
        "</polygon>",
        "<bndbox><x0>1</x0><y0>2</y0><x1>5</x1><y1>2</y1><x2>5</x2><y2>7</y2><x3>1</x3><y3>7</y3>"
        "</bndbox>",
    ],
)
def test_all_forms_of_an_oriented_box_are_one_box(tree, form):
    (box,) = boxes_of(tree, xml(f"<object><name>a</name>{form}</object>"))
    assert (box.x0, box.y0, box.x1, box.y1) == (1, 2, 5, 7)
    assert box.corners == pytest.approx((1, 2, 5, 2, 5, 7, 1, 7))


@pytest.mark.parametrize("option", ["boxes", "angle_unit"])
def test_an_option_that_is_none_of_its_words_is_a_named_error(tree, option):
    with pytest.raises(RecipeError, match=f"option {option} is 'horizonal'; want"):
        boxes_of(tree, xml(), **{option: "horizonal"})


def test_flags_are_kept(tree):
    more = "<difficult>1</difficult><truncated>1</truncated>"
    hard, easy = boxes_of(tree, xml(flat(1, 2, 5, 7, more=more), flat(1, 2, 5, 7)))
    assert (hard.difficult, hard.truncated) == (True, True)
    assert (easy.difficult, easy.truncated) == (False, False)


def test_descriptions_of_objects_are_captions(tree):
    said = [flat(1, 2, 5, 7, more=f"<description>{text}</description>") for text in ("a", "b")]
    listing = read(tree, {"Annotations/a.xml": xml(*said, flat(1, 2, 5, 7))})
    assert listing.images["JPEGImages/a.png"].annotation.caption == "a\nb"


def test_the_card_chooses_between_horizontal_and_oriented_files(tree):
    turned = "<object><name>a</name><polygon><x1>3</x1><y1>1</y1><x2>6</x2><y2>4</y2><x3>3</x3>"
    turned += "<y3>7</y3><x4>0</x4><y4>4</y4></polygon></object>"
    files = {"obb/a.xml": xml(turned), "hbb/a.xml": xml(flat(1, 2, 5, 7))}
    oriented = read(tree, files)
    assert oriented.images["JPEGImages/a.png"].annotation.boxes[0].corners
    assert oriented.sidecars["hbb/a.xml"] == "annotation; obb/a.xml goes before it"
    (box,) = read(tree, files, boxes="horizontal").images["JPEGImages/a.png"].annotation.boxes
    assert (box.x0, box.corners) == (1, None)


def test_unusable_objects_are_named_in_the_ledger_and_the_image_stays(tree):
    # A size of another image, as it occurs: it is not believed.
    size = "<size><width>4</width><height>4</height></size>"
    text = xml(
        flat(1, 2, 5, 7),
        flat(5, 5, 5, 9),
        flat(20, 20, 25, 25),
        flat("nan", 0, 1, 1),
        flat(0, 0, 1, 1, name=" "),
        size=size,
    )
    listing = read(tree, {"Annotations/a.xml": text})
    found = listing.images["JPEGImages/a.png"].annotation.boxes
    assert [box.x0 for box in found] == [1, 20]
    note = listing.sidecars["Annotations/a.xml"]
    assert note.startswith("annotation; 3 of 5 objects unusable: object 2: 'ship' has no area")
    assert "object 4: nan is no coordinate" in note


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not valid XML"),
        ("<annotation><object>", "not valid XML"),
        (xml("<object><name>a</name></object>"), "no usable box"),
        (xml(flat(4, 4, 1, 1)), "1 of 1 objects unusable"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "EntitiesForbidden"),
        ("<annotation>" + "<a>" * 100_000, "not valid XML"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_fault_and_its_image_is_not_called_empty(tree, text, why):
    listing = read(tree, {"Annotations/a.xml": text})
    assert why in listing.faults["Annotations/a.xml"]
    assert not listing.images


def test_other_xml_is_left_to_others(tree):
    listing = read(tree, {"JPEGImages/a.png.aux.xml": "<PAMDataset/>", "Annotations/a.xml": xml()})
    assert set(listing.sidecars) == {"Annotations/a.xml"}
    assert listing.images["JPEGImages/a.png"].annotation.boxes == ()


# ---- real data ----

_NUMBER = r"(-?[\d.]+)"
_ROTATED = re.compile(
    rf"<name>(\w+)</name>.*?<cx>{_NUMBER}</cx>\s*<cy>{_NUMBER}</cy>\s*<w>{_NUMBER}</w>\s*"
    rf"<h>{_NUMBER}</h>\s*<angle>{_NUMBER}</angle>",
    re.DOTALL,
)
_UPRIGHT = re.compile(
    rf"<name>(\w+)</name>.*?<xmin>{_NUMBER}</xmin>\s*<ymin>{_NUMBER}</ymin>\s*"
    rf"<xmax>{_NUMBER}</xmax>\s*<ymax>{_NUMBER}</ymax>",
    re.DOTALL,
)


def turned(cx, cy, w, h, angle):
    """The corners by a rotation matrix."""
    half = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (half @ turn.T + [cx, cy]).ravel()


@pytest.mark.real_data
def test_hit_uav_oriented_xml_reads_as_its_text_says(real_data):
    root = real_data / "hit_uav/rotate_xml"
    listing = READERS["voc"].read(FileTree.scan(root), card_for(real_data / "hit_uav"))
    assert len(listing.images) == 133
    assert not listing.faults
    n_boxes = 0
    for path, record in listing.images.items():
        stem = path.removeprefix("JPEGImages/").removesuffix(".jpg")
        text = (root / f"Annotations/{stem}.xml").read_text()
        by_hand = _ROTATED.findall(text)
        assert [b.label for b in record.annotation.boxes] == [found[0] for found in by_hand]
        corners = [turned(*map(float, found[1:])) for found in by_hand]
        for box, wanted in zip(record.annotation.boxes, corners, strict=True):
            np.testing.assert_allclose(box.corners, wanted, atol=1e-6)
        n_boxes += len(by_hand)
    assert n_boxes == 699 + 322 + 255 + 10


@pytest.mark.real_data
def test_hit_uav_splits_are_those_of_its_lists(real_data):
    root = real_data / "hit_uav"
    listing = READERS["voc"].read(FileTree.scan(root), card_for(root))
    for split, count in (("train", 84), ("val", 16), ("test", 33)):
        names = (root / f"rotate_xml/ImageSets/Main/{split}.txt").read_text().split()
        listed = {p for p, r in listing.images.items() if r.split == split}
        rotated = {p for p in listed if p.startswith("rotate_xml/")}
        assert rotated == {f"rotate_xml/JPEGImages/{name}.jpg" for name in names}
        assert len(rotated) == count
    # 9 pictures are there in a second encoding, with the upright boxes of their own folder.
    assert sum(p.startswith("normal_xml/") for p in listing.images) == 9


@pytest.mark.real_data
def test_hit_uav_upright_boxes_are_the_published_ones_and_frame_the_oriented_ones(real_data):
    root = real_data / "hit_uav"
    tree = FileTree.scan(root)
    options = {"images": "rotate_xml"}
    card = card_for(root).model_copy(update={"options": options})
    oriented = READERS["voc"].read(tree, card).images
    card = card_for(root).model_copy(update={"options": {**options, "boxes": "horizontal"}})
    upright = READERS["voc"].read(tree, card).images
    assert len(upright) == len(oriented) == 133
    near, n_boxes = 0, 0
    for path, record in upright.items():
        stem = path.rpartition("/")[2].removesuffix(".jpg")
        by_hand = _UPRIGHT.findall((root / f"normal_xml/Annotations/{stem}.xml").read_text())
        found = [(b.label, b.x0, b.y0, b.x1, b.y1) for b in record.annotation.boxes]
        assert found == [(name, *map(float, edges)) for name, *edges in by_hand]
        # Two annotations of the same objects, by the same hands but in different forms.
        edges = np.array([f[1:] for f in found]).reshape(-1, 4)
        for box in oriented[path].annotation.boxes:
            gaps = np.abs(edges - [box.x0, box.y0, box.x1, box.y1]).max(axis=1)
            near += bool((gaps <= 1.5).any())
            n_boxes += 1
    # Boxes at the border are clipped in one of the two.
    assert near / n_boxes > 0.95


@pytest.mark.real_data
def test_dior_layout_reads_as_its_text_says(real_data):
    root = real_data / "layouts_synthetic/dior"
    listing = READERS["voc"].read(FileTree.scan(root), DatasetCard(name="x", layout="voc"))
    table = [line.split(",") for line in (root / "sample_df.csv").read_text().split()[1:]]
    assert {p: r.split for p, r in listing.images.items()} == {
        image: split for image, label, split in table if label
    }
    for image, label, _ in table:
        if label:
            by_hand = _UPRIGHT.findall((root / label).read_text())
            found = listing.images[image].annotation.boxes
            assert [(b.label, b.x0, b.y0, b.x1, b.y1) for b in found] == [
                (name, *map(float, edges)) for name, *edges in by_hand
            ]

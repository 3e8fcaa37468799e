# SPDX-License-Identifier: Apache-2.0
import json
from collections import Counter

import numpy as np
import pytest

from rspipe.catalog import card_for
from rspipe.readers import READERS, FileTree
from rspipe.schema import DatasetCard

LABELS = [{"id": 1, "name": "ship"}]


def item(number=1, image=1, bbox=(1, 2, 4, 5), **more):
    return {"id": number, "image_id": image, "category_id": 1, "bbox": list(bbox)} | more


def read(tree, *items, images=({"id": 1, "file_name": "a.png"},), files=None, **options):
    data = {"images": list(images), "annotations": list(items), "categories": LABELS}
    found = tree({"images/a.png": None, "coco.json": json.dumps(data), **(files or {})})
    return READERS["coco"].read(found, DatasetCard(name="x", layout="coco", options=options))


def only(listing):
    return listing.images["images/a.png"].annotation.boxes


QUAD = [[3, 1, 6, 4, 3, 7, 0, 4]]
UPRIGHT = [[1, 2, 5, 2, 5, 7, 1, 7]]
MANY = [[0, 0, 4, 0, 5, 5, 2, 7, 0, 4]]


@pytest.mark.parametrize(
    ("outlines", "oriented"),
    [
        ([QUAD, UPRIGHT], True),
        ([[[*QUAD[0], *QUAD[0][:2]]]], True),  # closed
        ([UPRIGHT, UPRIGHT], False),
        ([QUAD, MANY], False),
        ([QUAD, {"counts": [1, 2], "size": [8, 8]}], False),
        ([QUAD, [QUAD[0], QUAD[0]]], False),
    ],
)
def test_outlines_are_oriented_boxes_where_all_of_a_file_are_of_four_points(
    tree, outlines, oriented
):
    boxes = only(read(tree, *(item(i, segmentation=o) for i, o in enumerate(outlines))))
    assert any(box.corners is not None for box in boxes) == oriented
    if oriented:
        assert boxes[0].corners == (3, 1, 6, 4, 3, 7, 0, 4)
    else:
        assert (boxes[0].x0, boxes[0].y0, boxes[0].x1, boxes[0].y1) == (1, 2, 5, 7)


def test_an_outline_without_a_box_gives_the_rectangle_around_it(tree):
    (box,) = only(read(tree, item(segmentation=MANY) | {"bbox": None}))
    assert (box.x0, box.y0, box.x1, box.y1) == (0, 0, 5, 7)


def test_masks_are_counted_and_not_read(tree):
    mask = {"counts": [1, 2], "size": [8, 8]}
    listing = read(tree, item(1, segmentation=mask), item(2, segmentation=MANY))
    assert "1 run-length masks not read; 1 outlines not read" in listing.sidecars["coco.json"]


def test_a_crowd_is_difficult_unless_all_are(tree):
    some = only(read(tree, item(1, iscrowd=1), item(2, iscrowd=0)))
    assert [box.difficult for box in some] == [True, False]
    every = only(read(tree, item(1, iscrowd=1), item(2, iscrowd=1)))
    assert [box.difficult for box in every] == [False, False]
    assert only(read(tree, item(ignore=1), item(2)))[0].difficult


def test_an_image_under_two_ids_has_the_objects_of_both(tree):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.png"}]
    listing = read(tree, item(1, 1), item(2, 2), images=images)
    assert len(only(listing)) == 2


def test_what_occurs_twice_id_and_all_is_taken_once(tree):
    listing = read(tree, item(7), item(7), item(7, bbox=(0, 0, 1, 1)), item(8))
    assert len(only(listing)) == 3
    assert "1 annotations twice, taken once" in listing.sidecars["coco.json"]


def test_names_go_to_the_image_of_their_split(tree):
    images = [{"id": 1, "file_name": "a.png"}]
    text = json.dumps({"images": images, "annotations": [item()], "categories": LABELS})
    found = tree(
        {"train/a.png": None, "val/a.png": None, "annotations/instances_val2017.json": text}
    )
    listing = READERS["coco"].read(found, DatasetCard(name="x"))
    assert {path: r.split for path, r in listing.images.items()} == {"val/a.png": "val"}


def test_a_name_that_fits_two_images_alike_is_given_to_none(tree):
    files = {"x/a.png": None, "y/a.png": None, "images/a.png": None}
    listing = read(tree, item(), files=files)
    assert not listing.images
    assert "several images fit 1 of 1 names: a.png" in listing.sidecars["coco.json"]
    assert set(read(tree, item(), files=files, images_folder=()).images) == set()


def test_a_file_without_annotations_says_nothing_of_boxes(tree):
    text = json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "categories": LABELS})
    found = tree({"images/a.png": None, "image_info_test.json": text})
    (record,) = READERS["coco"].read(found, DatasetCard(name="x")).images.values()
    assert (record.annotation.boxes, record.split) == (None, "test")
    # One with annotations that has none of an image says that there is nothing.
    assert only(read(tree)) == ()


def test_unusable_objects_are_named_and_the_image_stays(tree):
    bad = [item(2, bbox=(1, 1, 0, 4)), item(4, bbox=(1, 2))]
    bad += [item(5, bbox=(1, 2, 3, "x")), item(6, bbox=(float("nan"), 0, 1, 1))]
    bad += [{"id": 9, "bbox": [1, 1, 2, 2]}, {"id": 10, "image_id": 1, "bbox": [1, 1, 2, 2]}]
    listing = read(tree, item(1), *bad)
    assert len(only(listing)) == 1
    note = listing.sidecars["coco.json"]
    assert "6 of 7 objects unusable: annotation 6: names no image; a.png, object 2" in note
    orphan = read(tree, item(1), item(2, image=99))
    assert "1 objects of images that are not listed" in orphan.sidecars["coco.json"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"images": [{"id": 1}], "annotations": [{}]}', "annotation 1: names no image"),
        ('{"images": [{"id": 1}], "categories": [{"id": 3}]}', "KeyError('name')"),
        ('{"images": [1], "annotations": []}', "not a usable COCO file"),
        ('{"images": [], "annotations": [3]}', "annotation 1: names no image"),
        ('{"images": [], "annotations": 3}', "not a usable COCO file"),
        ('{"images": [{"id": 1}', "not valid JSON"),
        ('{"images": ' + "[" * 100_000, "nested too deeply"),
        ('{"images": [{"id": 1' + "0" * 5000 + "}]}", "not valid JSON"),
        (
            '{"images": [{"id": 1, "file_name": "a.png"}], "categories": [],'
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 0, 0]}]}',
            "1 of 1 objects unusable",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_a_fault(tree, text, why):
    found = tree({"images/a.png": None, "coco.json": text})
    listing = READERS["coco"].read(found, DatasetCard(name="x"))
    assert why in listing.faults["coco.json"]
    assert not listing.images


@pytest.mark.parametrize("text", ['{"type": "FeatureCollection"}', "[1, 2]", '{"a": 1}', ""])
def test_other_json_is_left_to_others(tree, text):
    found = tree({"images/a.png": None, "other.json": text})
    listing = READERS["coco"].read(found, DatasetCard(name="x"))
    assert not listing.sidecars
    assert not listing.faults


# ---- real data ----


def official(path):
    """Boxes by image name as pycocotools reads them."""
    from pycocotools.coco import COCO

    data = COCO(str(path))
    found = {}
    for image in data.loadImgs(data.getImgIds()):
        items = data.loadAnns(data.getAnnIds(image["id"]))
        found[image["file_name"]] = sorted(
            (item["bbox"][0], item["bbox"][1], *np.add(item["bbox"][:2], item["bbox"][2:]))
            for item in items
        )
    return found


def edges(record):
    return sorted((b.x0, b.y0, b.x1, b.y1) for b in record.annotation.boxes)


@pytest.mark.real_data
def test_sen2ships_boxes_are_those_of_pycocotools(real_data, capsys):
    root = real_data / "sen2ships"
    listing = READERS["coco"].read(FileTree.scan(root), card_for(root))
    wanted = {}
    for file in sorted(root.rglob("*.json")):
        for name, boxes in official(file).items():
            path = next((p for p in listing.images if p.rpartition("/")[2] == name), None)
            if path is not None:
                wanted[path] = boxes
    assert {path: edges(record) for path, record in listing.images.items()} == wanted
    # 12 and 15 ships on two pictures each; those of Cartagena have no picture here.
    assert Counter(map(len, wanted.values())) == {12: 2, 15: 2}
    assert "46 run-length masks not read" in listing.sidecars["coco_annotations.json"]
    assert not any(b.difficult for r in listing.images.values() for b in r.annotation.boxes)


@pytest.mark.real_data
def test_vhr10_layout_needs_its_folder_and_reads_as_pycocotools(real_data, capsys):
    root = real_data / "layouts_synthetic/vhr10"
    tree = FileTree.scan(root)
    plain = READERS["coco"].read(tree, DatasetCard(name="x"))
    assert not plain.images
    options = {"images": "positive image set", "empty": "negative image set"}
    listing = READERS["coco"].read(tree, DatasetCard(name="x", options=options))
    base = "NWPU VHR-10 dataset"
    wanted = {f"{base}/negative image set/00{i}.jpg": [] for i in range(1, 6)}
    for name, boxes in official_without_categories(root / "annotations.json").items():
        wanted[f"{base}/positive image set/{name}"] = boxes
    assert {path: edges(record) for path, record in listing.images.items()} == wanted


def official_without_categories(path):
    from pycocotools.coco import COCO

    data = COCO()
    data.dataset = json.loads(path.read_text())
    data.createIndex()
    return {
        image["file_name"]: [
            (x, y, x + w, y + h) for x, y, w, h in (a["bbox"] for a in data.imgToAnns[image["id"]])
        ]
        for image in data.dataset["images"]
    }


@pytest.mark.real_data
def test_soda_layout_reads_as_its_json_says(real_data):
    root = real_data / "layouts_synthetic/soda"
    listing = READERS["coco"].read(FileTree.scan(root), DatasetCard(name="x"))
    assert len(listing.images) == 7
    for file in root.rglob("*.json"):
        data = json.loads(file.read_text())
        record = listing.images[f"Images/{data['images']['file_name']}"]
        names = {c["id"]: c["name"] for c in data["categories"]}
        assert [(b.label, *b.corners) for b in record.annotation.boxes] == [
            (names[a["category_id"]], *a["poly"]) for a in data["annotations"]
        ]
        assert record.split == file.parent.name


@pytest.mark.real_data
def test_hit_uav_json_and_xml_hold_the_same_oriented_boxes(real_data):
    root = real_data / "hit_uav"
    tree = FileTree.scan(root)
    card = card_for(root).model_copy(update={"options": {"images": "rotate_xml"}})
    coco = READERS["coco"].read(tree, card)
    xml = READERS["voc"].read(tree, card).images
    assert len(coco.images) == 133
    assert not coco.faults
    for path, record in coco.images.items():
        ours, theirs = record.annotation.boxes, xml[path].annotation.boxes
        key = lambda b: (b.label, *(round(c, 2) for c in b.corners))  # noqa: E731
        assert sorted(map(key, ours)) == sorted(map(key, theirs))
        assert record.split == xml[path].split
        assert record.geography.acquired.startswith("202")


@pytest.mark.real_data
def test_hit_uav_upright_json_and_xml_hold_the_same_boxes(real_data):
    root = real_data / "hit_uav"
    tree = FileTree.scan(root)
    options = {"images": "rotate_xml", "boxes": "horizontal"}
    card = card_for(root).model_copy(update={"options": options})
    coco = READERS["coco"].read(tree, card).images
    xml = READERS["voc"].read(tree, card).images
    assert len(coco) == 133
    for path, record in coco.items():
        assert edges(record) == edges(xml[path])

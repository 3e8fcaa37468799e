"""Readers on real data sets, against counts that their publishers or curators state."""

from collections import Counter

import pytest

from rspipe.catalog import card_for
from rspipe.readers import READERS, FileTree, read_dataset

pytestmark = pytest.mark.real_data


@pytest.fixture
def listing(real_data):
    def listing(name):
        folder = real_data / name
        return read_dataset(FileTree.scan(folder), card_for(folder))

    return listing


def test_hurricane_damage_has_its_four_native_splits(listing):
    found = Counter(
        (r.split, r.annotation.label) for r in listing("hurricane_damage").images.values()
    )
    assert found == {
        ("train_another", "damage"): 827,
        ("train_another", "no_damage"): 679,
        ("validation_another", "damage"): 172,
        ("validation_another", "no_damage"): 135,
        ("test_another", "damage"): 1359,
        ("test_another", "no_damage"): 127,
        ("test", "damage"): 185,
        ("test", "no_damage"): 117,
    }


def test_eurosat_has_80_tiles_in_each_of_10_classes(listing):
    found = Counter(r.annotation.label for r in listing("eurosat_recut").images.values())
    assert set(found.values()) == {80}
    assert len(found) == 10


def test_dubai_pairs_every_image_with_its_mask(listing):
    records = listing("dubai_seg").images.values()
    assert len(records) == 45
    assert all(r.annotation.mask_path for r in records)


def test_hit_uav_oriented_boxes_have_the_published_horizontal_envelopes(real_data):
    """Two independent annotations of the same objects agree to within a pixel."""
    folder = real_data / "hit_uav"
    card = card_for(folder)
    rotated = READERS["voc"].read(FileTree.scan(folder / "rotate_xml"), card).images
    boxes = [b for r in rotated.values() for b in r.annotation.boxes]
    assert Counter(b.label for b in boxes)["Person"] == 699
    flat = {
        path.stem: path.read_text() for path in (folder / "normal_xml/Annotations").glob("*.xml")
    }
    from rspipe.readers.voc import parse_voc

    compared = 0
    for path, record in rotated.items():
        stem = path.rpartition("/")[2].rpartition(".")[0]
        theirs = parse_voc(flat[stem])
        for box in record.annotation.boxes:
            gaps = [
                max(abs(box.x0 - t.x0), abs(box.y0 - t.y0), abs(box.x1 - t.x1), abs(box.y1 - t.y1))
                for t in theirs
            ]
            # Boxes at the border are clipped in one of the two.
            compared += min(gaps) <= 1.5
    assert compared / len(boxes) > 0.95


def test_hit_uav_dota_text_holds_the_same_boxes_as_its_xml(real_data):
    folder = real_data / "hit_uav"
    card = card_for(folder)
    xml = READERS["voc"].read(FileTree.scan(folder / "rotate_xml"), card).images
    texts = sorted((folder / "labelTxt_derived").rglob("*.txt"))
    from rspipe.readers.dota import parse_dota

    assert sum(len(parse_dota(t.read_text())) for t in texts) == sum(
        len(r.annotation.boxes) for r in xml.values()
    )


def test_sen2ships_has_its_46_ships_in_one_file(real_data):
    from rspipe.readers.coco import parse_coco

    boxes = parse_coco((real_data / "sen2ships/coco_annotations.json").read_text())
    assert sum(map(len, boxes.values())) == 12 + 15 + 19

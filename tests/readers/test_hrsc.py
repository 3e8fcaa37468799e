# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.readers import READERS
from rspipe.schema import DatasetCard

OBJECT = (
    "<HRSC_Object><Class_ID>100000005</Class_ID><difficult>1</difficult><truncated>0</truncated>"
    "<box_xmin>1</box_xmin><box_ymin>2</box_ymin><box_xmax>5</box_xmax><box_ymax>7</box_ymax>"
    "{mbox}</HRSC_Object>"
)
MBOX = (
    "<mbox_cx>{}</mbox_cx><mbox_cy>{}</mbox_cy><mbox_w>{}</mbox_w><mbox_h>{}</mbox_h>"
    "<mbox_ang>{}</mbox_ang>"
)


def read(tree, *objects, header="", classes=None, **options):
    text = f"<HRSC_Image>{header}<HRSC_Objects>{''.join(objects)}</HRSC_Objects></HRSC_Image>"
    files = tree({"AllImages/1.bmp": None, "Annotations/1.xml": text, "LandMask/1.png": None})
    card = DatasetCard(name="x", layout="hrsc", classes=classes, options=options)
    return READERS["hrsc"].read(files, card)


def test_ships_are_turned_clockwise_by_radians(tree):
    record = read(tree, OBJECT.format(mbox=MBOX.format(10, 20, 8, 2, 1.5707963267948966)))
    (box,) = record.images["AllImages/1.bmp"].annotation.boxes
    assert box.corners == pytest.approx((11, 16, 11, 24, 9, 24, 9, 16))
    assert box.difficult


def test_without_a_turned_box_the_upright_one_is_taken(tree):
    (box,) = read(tree, OBJECT.format(mbox="")).images["AllImages/1.bmp"].annotation.boxes
    assert (box.x0, box.y0, box.x1, box.y1, box.corners) == (1, 2, 5, 7, None)


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({}, "100000005"),
        ({"classes": {"Nimitz": 100000005}}, "Nimitz"),
        ({"one_class": "ship"}, "ship"),
    ],
)
def test_a_class_is_called_as_the_card_says(tree, more, label):
    listing = read(tree, OBJECT.format(mbox=""), **more)
    assert listing.images["AllImages/1.bmp"].annotation.boxes[0].label == label


def test_masks_are_no_pictures_and_half_a_header_is_no_fault(tree):
    listing = read(tree, header="<Img_Resolution>x</Img_Resolution><Img_Date>soon</Img_Date>")
    assert listing.sidecars["LandMask/1.png"] == "land mask"
    record = listing.images["AllImages/1.bmp"]
    assert record.annotation.boxes == ()
    assert (record.geography.gsd_m, record.geography.acquired) == (None, None)


@pytest.mark.parametrize("angle", ["", "nan", "1e999"])
def test_an_angle_that_is_none_is_named(tree, angle):
    good = OBJECT.format(mbox="")
    listing = read(tree, good, OBJECT.format(mbox=MBOX.format(10, 20, 8, 2, angle)))
    assert "1 of 2 objects unusable: object 2" in listing.sidecars["Annotations/1.xml"]

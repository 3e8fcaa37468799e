"""Each reader on a tiny tree of its layout, and the laws that hold for all of them."""

import io
import json

import pytest
from PIL import Image

from rspipe.catalog import card_for, catalog
from rspipe.errors import ReaderError, RecipeError
from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.readers.boxes import corners_from_angle
from rspipe.readers.coco import parse_coco
from rspipe.readers.dota import parse_dota
from rspipe.readers.voc import parse_voc
from rspipe.schema import DatasetCard


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def tree(tmp_path):
    def tree(**files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = png() if content is None else content
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return FileTree.scan(tmp_path)

    return tree


VOC = """<annotation><object><name>ship</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>7</ymax></bndbox></object></annotation>"""
VOC_CORNERS = """<annotation><object><name>ship</name><robndbox>
<x_left_top>1</x_left_top><y_left_top>2</y_left_top><x_right_top>5</x_right_top>
<y_right_top>2</y_right_top><x_right_bottom>5</x_right_bottom><y_right_bottom>7</y_right_bottom>
<x_left_bottom>1</x_left_bottom><y_left_bottom>7</y_left_bottom></robndbox></object></annotation>"""
VOC_ANGLE = """<annotation><object><name>ship</name><robndbox><cx>3</cx><cy>4.5</cy><w>4</w><h>5</h>
<angle>0</angle></robndbox></object></annotation>"""
COCO = json.dumps(
    {
        "images": [{"id": 7, "file_name": "sub/a.png"}],
        "annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2, 4, 5]}],
        "categories": [{"id": 2, "name": "ship"}],
    }
)
LAYOUTS = {
    "image_folder": {"train/forest/a.png": None, "test/river/b.png": None},
    "voc": {
        "JPEGImages/a.png": None,
        "Annotations/a.xml": VOC,
        "ImageSets/Main/train.txt": "a\n",
    },
    "dota": {"images/a.png": None, "labelTxt/a.txt": "gsd:1\n1 2 5 2 5 7 1 7 ship 1\n"},
    "coco": {"images/sub/a.png": None, "annotations.json": COCO},
    "mask_pairs": {"train/images/a.png": None, "train/masks/a.png": None},
    "scenes": {"x/a.tif": None, "b.tif": None},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_recognised_by_its_own_reader(tree, layout):
    listing = read_dataset(tree(**LAYOUTS[layout]), DatasetCard(name="x"))
    assert listing == READERS[layout].read(tree(), DatasetCard(name="x"))
    assert listing.images


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_reader_names_only_files_that_are_there_and_each_once(tree, layout):
    files = tree(**LAYOUTS[layout])
    listing = READERS[layout].read(files, DatasetCard(name="x"))
    assert set(listing.images) <= set(files.image_paths)
    assert not set(listing.images) & set(listing.sidecars)
    assert set(listing.sidecars) | set(listing.faults) <= set(files.paths)
    assert all(path == record.source_path for path, record in listing.images.items())


@pytest.mark.parametrize("layout", ["voc", "dota", "coco"])
def test_every_detection_layout_gives_the_same_box(tree, layout):
    listing = READERS[layout].read(tree(**LAYOUTS[layout]), DatasetCard(name="x"))
    (record,) = listing.images.values()
    (box,) = record.annotation.boxes
    assert (box.label, box.x0, box.y0, box.x1, box.y1) == ("ship", 1, 2, 5, 7)


@pytest.mark.parametrize("text", [VOC_CORNERS, VOC_ANGLE])
def test_oriented_voc_boxes_carry_their_corners(text):
    (box,) = parse_voc(text)
    assert (box.x0, box.y0, box.x1, box.y1) == (1, 2, 5, 7)
    assert box.corners == pytest.approx((1, 2, 5, 2, 5, 7, 1, 7))


def test_angles_turn_clockwise_in_image_axes():
    corners = corners_from_angle(0, 0, 4, 2, 3.141592653589793 / 2)
    assert corners == pytest.approx((1, -2, 1, 2, -1, 2, -1, -2))


def test_class_folders_give_label_and_split(tree):
    listing = read_dataset(tree(**LAYOUTS["image_folder"]), DatasetCard(name="x"))
    found = {r.source_path: (r.split, r.annotation.label) for r in listing.images.values()}
    assert found == {
        "train/forest/a.png": ("train", "forest"),
        "test/river/b.png": ("test", "river"),
    }


def test_unlabelled_folders_give_no_label(tree):
    card = DatasetCard(name="x", layout="image_folder", task="unlabelled")
    listing = read_dataset(tree(**LAYOUTS["image_folder"]), card)
    assert {r.annotation.label for r in listing.images.values()} == {None}


def test_voc_splits_come_from_the_lists(tree):
    listing = READERS["voc"].read(tree(**LAYOUTS["voc"]), DatasetCard(name="x"))
    assert listing.images["JPEGImages/a.png"].split == "train"


def test_a_mask_is_a_sidecar_also_without_its_image(tree):
    listing = READERS["mask_pairs"].read(
        tree(**LAYOUTS["mask_pairs"], **{"train/masks/b.png": None}), DatasetCard(name="x")
    )
    assert listing.images["train/images/a.png"].annotation.mask_path == "train/masks/a.png"
    assert set(listing.sidecars) == {"train/masks/a.png", "train/masks/b.png"}


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_voc, "<annotation><object>"),
        (parse_voc, "<annotation><object><name>a</name></object></annotation>"),
        (parse_voc, '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'),
        (parse_dota, "1 2 3 ship"),
        (parse_coco, '{"images": [{"id": 1}], "annotations": [{}]}'),
        (parse_coco, "[1, 2"),
    ],
)
def test_a_malformed_annotation_is_a_named_error(parse, text):
    with pytest.raises(ReaderError):
        parse(text)


def test_one_bad_annotation_costs_only_itself(tree):
    listing = READERS["voc"].read(
        tree(**LAYOUTS["voc"], **{"Annotations/b.xml": "<annotation"}), DatasetCard(name="x")
    )
    assert set(listing.images) == {"JPEGImages/a.png"}
    assert "not valid XML" in listing.faults["Annotations/b.xml"]


def test_an_unknown_layout_names_the_nearest(tree):
    with pytest.raises(RecipeError, match="did you mean 'voc'"):
        read_dataset(tree(), DatasetCard(name="x", layout="vocc"))


def test_the_folder_own_card_goes_before_the_catalog(tmp_path):
    folder = tmp_path / "eurosat"
    folder.mkdir()
    assert card_for(folder).title == catalog()["eurosat"].title
    (folder / "dataset.yaml").write_text("name: mine\nlayout: scenes\n")
    assert card_for(folder).name == "mine"
    (folder / "dataset.yaml").write_text("name: mine\nlicense: MIT\n")
    with pytest.raises(RecipeError, match="did you mean 'licence'"):
        card_for(folder)


def test_every_catalog_card_names_a_reader():
    assert len(catalog()) >= 5
    for card in catalog().values():
        assert set(card.layout.split("+")) <= READERS.keys()

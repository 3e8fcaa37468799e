# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.io.storage import FileEntry, Storage
from rspipe.readers import FileTree
from rspipe.readers.matching import ImageFinder, plain_parts


def finder(*paths, **options):
    entries = tuple(FileEntry(path, 1, 0) for path in sorted(paths))
    return ImageFinder(FileTree(Storage("/nowhere"), entries), **options)


@pytest.mark.parametrize(
    ("annotation", "images", "wanted"),
    [
        # the nearest folder
        ("train/p1/xml/0.xml", ["train/p1/img/0.tif", "train/p2/img/0.tif"], 0),
        # the same folder names at the end
        ("Annotations/test/0.xml", ["Images/train/0.jpg", "Images/test/0.jpg"], 1),
        # the same words in folder names
        ("ann_test/0.xml", ["JPEGImages-trainval/0.jpg", "JPEGImages-test/0.jpg"], 1),
        # a picture before its mask
        ("labels/0.txt", ["labels/0.png", "images/0.jpg"], 1),
        ("Annotations/0.xml", ["JPEGImages/0.jpg", "SegmentationClass/0.png"], 0),
        # in archives as in folders
        ("p1/xml.zip/xml/0.xml", ["p1/img.zip/img/0.tif", "p2/img.zip/img/0.tif"], 0),
        ("a_train.tar/x/0.xml", ["i_train.tar/y/0.tif", "i_val.tar/y/0.tif"], 0),
        # what lies unpacked belongs together
        ("t/xml/0.xml", ["img.tar/t/img/0.tif", "t/img/0.tif"], 1),
    ],
)
def test_the_nearest_image_is_taken(annotation, images, wanted):
    assert finder(*images).of_stem(annotation) == (images[wanted],)


def test_of_two_equally_near_images_none_is_taken():
    found = finder("a/0.jpg", "b/0.jpg").of_stem("c/0.xml")
    assert found == ("a/0.jpg", "b/0.jpg")


def test_copies_of_one_image_in_archives_are_one():
    found = finder("v1.zip/img/0.jpg", "v2.zip/img/0.jpg").of_stem("c/0.xml")
    assert found == ("v1.zip/img/0.jpg",)


def test_an_image_is_found_by_the_longest_end_of_its_name():
    images = finder("x/north/0.png", "x/south/0.png", "x/south/0.jpg", "y/1.PNG")
    assert images.of_name("x.json", "south/0.png") == ("x/south/0.png",)
    assert images.of_name("x.json", "d:\\data\\north\\0.png") == ("x/north/0.png",)
    assert len(images.of_name("x.json", "0.png")) == 2
    # A mask differs from its picture in the suffix alone; in upper and lower case it does not.
    assert images.of_name("x.json", "1.jpg") == ()
    assert images.of_name("x.json", "1.png") == ("y/1.PNG",)


def test_a_card_may_say_where_the_images_lie():
    images = ["negative/0.jpg", "positive/0.jpg"]
    assert finder(*images, folders=["positive"]).of_stem("0.xml") == ("positive/0.jpg",)


def test_an_annotation_may_carry_the_suffix_of_its_image():
    assert finder("img/0.jpg").of_stem("ann/0.jpg.xml") == ("img/0.jpg",)


def test_paths_are_compared_without_their_containers():
    assert plain_parts("a/b.tar.gz/c/d.png") == ("a", "c", "d.png")


def test_thirty_thousand_images_of_one_name_are_told_apart_by_look_up():
    """By search, 30,000 look-ups among 30,000 names would not end."""
    n = 30_000
    images = finder(*(f"scenes/{i:06}/image.png" for i in range(n)))
    for i in range(n):
        assert images.of_stem(f"labels/{i:06}/image.xml") == (f"scenes/{i:06}/image.png",)

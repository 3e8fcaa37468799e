# SPDX-License-Identifier: Apache-2.0
"""DIOR as published: horizontal and oriented XML of the same images, ImageSets."""

from tests.fakes import Expected, write_files

_FLAT = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>7</ymax></bndbox>"
_TURNED = (
    "<robndbox><x_left_top>3</x_left_top><y_left_top>1</y_left_top>"
    "<x_right_top>6</x_right_top><y_right_top>4</y_right_top>"
    "<x_right_bottom>3</x_right_bottom><y_right_bottom>7</y_right_bottom>"
    "<x_left_bottom>0</x_left_bottom><y_left_bottom>4</y_left_bottom></robndbox>"
)
_OBJECT = "<object><name>{name}</name><difficult>0</difficult>{box}</object>"
_FILE = (
    "<annotation><filename>{number}.jpg</filename><size><width>8</width><height>8</height>"
    "<depth>3</depth></size>{objects}</annotation>"
)


def write(root):
    splits = {"00001": "train", "00002": "val", "11726": "test"}
    images, files = {}, {}
    for number, split in splits.items():
        folder = "JPEGImages-test" if split == "test" else "JPEGImages-trainval"
        path = f"{folder}/{number}.jpg"
        files[path] = None
        corners = (3.0, 1.0, 6.0, 4.0, 3.0, 7.0, 0.0, 4.0)
        images[path] = {"split": split, "boxes": [("ship", 0.0, 1.0, 6.0, 7.0, corners)]}
        for kind, box in (("Horizontal", _FLAT), ("Oriented", _TURNED)):
            text = _FILE.format(number=number, objects=_OBJECT.format(name="ship", box=box))
            files[f"Annotations/{kind} Bounding Boxes/{number}.xml"] = text
    for split in ("train", "val", "test"):
        names = [n for n, s in splits.items() if s == split]
        files[f"ImageSets/Main/{split}.txt"] = "".join(f"{n}\n" for n in names)
    files["ImageSets/Main/trainval.txt"] = "00001\n00002\n"
    files["ImageSets/Main/ship_train.txt"] = "00001  1\n"
    write_files(root, files)
    return Expected("voc", images, frozenset(set(files) - set(images)))

# SPDX-License-Identifier: Apache-2.0
"""FAIR1M: the same names in every part; test without labels."""

from tests.fakes import Expected, write_files

_XML = (
    "<annotation><source><filename>0.tif</filename><origin>GF2/GF3</origin></source>"
    "<size><width>8</width><height>8</height><depth>3</depth></size><objects><object>"
    "<coordinate>pixel</coordinate><type>rectangle</type><description>None</description>"
    "<possibleresult><name>{name}</name></possibleresult><points>{points}</points>"
    "</object></objects></annotation>"
)


def write(root):
    images, files = {}, {}
    for place, (folder, split) in enumerate(
        (("train/part1", "train"), ("train/part2", "train"), ("validation", "validation"))
    ):
        corners = (1.0, 1.0, 5.0, 1.0 + place, 4.0, 5.0, 0.5, 4.0)
        pairs = [*zip(corners[::2], corners[1::2], strict=True), corners[:2]]
        points = "".join(f"<point>{x:.6f},{y:.6f}</point>" for x, y in pairs)
        path = f"{folder}/images/0.tif"
        files[path] = None
        files[f"{folder}/labelXml/0.xml"] = _XML.format(name="Liquid Cargo Ship", points=points)
        boxes = [("Liquid Cargo Ship", 0.5, 1.0, 5.0, 5.0, corners)]
        images[path] = {"split": split, "boxes": boxes, "sensor": "GF2/GF3"}
    sidecars = set(files) - set(images)
    # No labels are published, but the split is known.
    files["test/images/0.tif"] = None
    images["test/images/0.tif"] = {"split": "test"}
    write_files(root, files)
    return Expected("fair1m", images, frozenset(sidecars))

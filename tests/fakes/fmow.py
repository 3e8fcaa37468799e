# SPDX-License-Identifier: Apache-2.0
"""fMoW: every view twice, each with its own metadata; test without categories."""

import json

from tests.fakes import Expected, write_files


def _metadata(box, category, **more):
    entry = {"ID": 0, "box": box} | ({"category": category} if category else {})
    return json.dumps(
        {
            "gsd": 0.5,
            "img_width": 8,
            "img_height": 8,
            "cloud_cover": 12,
            "timestamp": "2015-07-30T11:06:59Z",
            "sensor_platform_name": "WORLDVIEW02",
            "utm": "30T",
            "raw_location": "POLYGON ((-3.5 40.25, -3.25 40.25, -3.25 40.5, -3.5 40.25))",
            "bounding_boxes": [entry],
        }
        | more
    )


def write(root):
    place = {"xmin": -3.5, "ymin": 40.25, "xmax": -3.25, "ymax": 40.5, "cloud_cover": 0.12}
    place |= {"acquired": "2015-07-30T11:06:59Z", "sensor": "WORLDVIEW02"}
    images, files = {}, {}
    for split in ("train", "val", "seq"):
        for kind, gsd in (("rgb", 0.5), ("msrgb", 2.0)):
            stem = f"{split}/airport/airport_0/airport_0_0_{kind}"
            files[f"{stem}.json"] = _metadata([1, 2, 4, 5], "airport", gsd=gsd)
            boxes = [("airport", 1.0, 2.0, 5.0, 7.0)]
            images[f"{stem}.jpg"] = {"split": split, "label": "airport", "boxes": boxes}
            images[f"{stem}.jpg"] |= place | {"gsd_m": gsd}
    stem = "test/0000001/0000001_0_rgb"
    files[f"{stem}.json"] = _metadata([1, 2, 4, 5], None)
    images[f"{stem}.jpg"] = {"split": "test", "gsd_m": 0.5} | place
    write_files(root, {**dict.fromkeys(images), **files})
    return Expected("fmow", images, frozenset(files))

# SPDX-License-Identifier: Apache-2.0
"""xBD: pictures before and after, JSON labels with outlines in pixels and degrees, targets."""

import json

from tests.fakes import Expected, write_files

# A pixel is 0.5e-5 by 0.4e-5 degrees; the picture's corner lies at 95.5 W, 29.8 N.
_WEST, _NORTH, _DX, _DY = -95.5, 29.8, 0.5e-5, 0.4e-5
_SIZE = 1024


def _wkt(points):
    return "POLYGON ((" + ", ".join(f"{x!r} {y!r}" for x, y in points) + "))"


def _feature(uid, points, in_degrees, subtype):
    if in_degrees:
        points = [(_WEST + _DX * x, _NORTH - _DY * y) for x, y in points]
    properties = {"feature_type": "building", "uid": uid}
    if subtype:
        properties["subtype"] = subtype
    return {"properties": properties, "wkt": _wkt(points)}


def label(buildings, date, sensor="GEOEYE01"):
    """Text of a label file; buildings are (vertices, damage or None)."""
    features = {
        key: [
            _feature(f"u{i}", points, key == "lng_lat", d)
            for i, (points, d) in enumerate(buildings)
        ]
        for key in ("lng_lat", "xy")
    }
    metadata = {
        "sensor": sensor,
        "gsd": 2.09,
        "pan_resolution": 0.52,
        "capture_date": date,
        "width": _SIZE,
        "height": _SIZE,
    }
    return json.dumps({"features": features, "metadata": metadata})


_HOUSE = [(10.0, 20.0), (30.0, 20.5), (29.0, 41.25), (10.0, 40.0), (10.0, 20.0)]
_BARN = [(900.0, 1000.0), (1000.0, 1000.0), (950.0, 1020.5), (900.0, 1000.0)]


def write(root):
    images, sidecars, files = {}, set(), {}
    for split, place in (
        ("train", "harvey_00000072"),
        ("tier3", "joplin_00000001"),
        ("hold", "palu_00000003"),
    ):
        for time, other, damage, date in (
            ("pre", "post", (None, None), "2016-11-08T16:52:40.000Z"),
            ("post", "pre", ("destroyed", "no-damage"), "2017-08-31T17:24:05.000Z"),
        ):
            stem = f"{place}_{time}_disaster"
            path, text = f"{split}/images/{stem}.png", f"{split}/labels/{stem}.json"
            target = f"{split}/targets/{stem}_target.png"
            files |= {path: None, target: None}
            files[text] = label(list(zip((_HOUSE, _BARN), damage, strict=True)), date)
            sidecars |= {text, target}
            images[path] = {
                "split": split,
                "pair_path": f"{split}/images/{place}_{other}_disaster.png",
                "mask_path": target,
                "boxes": [
                    (damage[0] or "building", 10.0, 20.0, 30.0, 41.25),
                    (damage[1] or "building", 900.0, 1000.0, 1000.0, 1020.5),
                ],
                "acquired": date,
                "sensor": "GEOEYE01",
                "gsd_m": _DY * 111_320,
                "xmin": _WEST,
                "ymin": _NORTH - _DY * _SIZE,
                "xmax": _WEST + _DX * _SIZE,
                "ymax": _NORTH,
            }
    # Looked at and nothing found: an empty list, and no way to tell where it lies.
    empty = "train/images/harvey_00000073_pre_disaster.png"
    files |= {empty: None, "train/labels/harvey_00000073_pre_disaster.json": label([], "2016")}
    images[empty] = {"split": "train", "boxes": [], "acquired": "2016", "sensor": "GEOEYE01"}
    sidecars.add("train/labels/harvey_00000073_pre_disaster.json")
    files["train/labels/harvey_00000074_pre_disaster.json"] = '{"features": '
    write_files(root, files)
    return Expected(
        "xbd",
        images,
        frozenset(sidecars),
        frozenset({"train/labels/harvey_00000074_pre_disaster.json"}),
    )

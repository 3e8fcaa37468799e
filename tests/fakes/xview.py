# SPDX-License-Identifier: Apache-2.0
"""xView: one GeoJSON for all images, class names in the publisher's list."""

import json

from tests.fakes import Expected, write_files


def write(root):
    def feature(image, box, type_id):
        said = {"bounds_imcoords": box, "type_id": type_id, "image_id": image, "feature_id": 1}
        ring = [[-90.5, 35.1], [-90.4, 35.1], [-90.4, 35.2], [-90.5, 35.1]]
        place = {"type": "Polygon", "coordinates": [ring]}
        return {"type": "Feature", "properties": said, "geometry": place}

    features = [
        feature("5.tif", "1,2,5,7", 11),
        feature("5.tif", "0,0,3,3", 75),
        feature("5.tif", "4,4,4,6", 11),
        feature("10.tif", "2,2,4,4", 18),
        feature("1395.tif", "2,2,4,4", 18),
    ]
    data = {"type": "FeatureCollection", "crs": {"type": "name"}, "features": features}
    images = {
        "train_images/5.tif": {
            "split": "train",
            "boxes": [("Fixed-wing Aircraft", 1.0, 2.0, 5.0, 7.0), ("75", 0.0, 0.0, 3.0, 3.0)],
        },
        "train_images/10.tif": {"split": "train", "boxes": [("Small Car", 2.0, 2.0, 4.0, 4.0)]},
    }
    files = {
        "xView_train.geojson": json.dumps(data),
        "xview_class_labels.txt": "11:Fixed-wing Aircraft\n18:Small Car\n",
    }
    # No labels are published, but the split is known.
    images["val_images/7.tif"] = {"split": "val_images"}
    write_files(root, {**dict.fromkeys(images), **files})
    return Expected("xview", images, frozenset(files))

# SPDX-License-Identifier: Apache-2.0
"""Chips with outlines in two folders: what the fakes of SpaceNet share; no fake of its own."""

import json

POLYGONS = json.dumps({"type": "FeatureCollection", "features": []})


def chip_set(products, labels):
    """Images and sidecars of chips: products is [(split, preferred, others)], labels path → path.

    Args:
        products: per chip its split, the path of the preferred product and those of the others.
        labels: preferred product → outlines.
    """
    images, sidecars = {}, set()
    for split, best, others in products:
        images[best] = {"split": split}
        if best in labels:
            images[best]["footprints_path"] = labels[best]
            sidecars.add(labels[best])
        sidecars |= set(others)
    return images, sidecars

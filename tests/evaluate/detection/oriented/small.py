# SPDX-License-Identifier: Apache-2.0
"""A detector small enough for tests of seconds."""

from rspipe.evaluate.detection.oriented import OrientedSettings

SMALL = OrientedSettings.model_validate(
    {
        "width": 32,
        "proposals": {
            "anchor_scale": 4,
            "border_px": None,
            "samples": 64,
            "before_nms": 100,
            "kept": 60,
        },
        "regions": {"hidden": 64, "samples": 48, "bins": 5},
    }
)

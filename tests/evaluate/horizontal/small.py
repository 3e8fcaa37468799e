"""A Faster R-CNN small enough for tests of seconds."""

from rspipe.evaluate.horizontal import FasterRCNNSettings

SMALL = {
    "width": 32,
    "proposals": {"anchor_scale": 4, "samples": 64, "before_nms": 100, "kept": 60},
    "regions": {"hidden": 64, "samples": 48, "bins": 5},
}


def small(**said):
    return FasterRCNNSettings.model_validate({**SMALL, **said})

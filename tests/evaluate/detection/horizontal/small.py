# SPDX-License-Identifier: Apache-2.0
"""Detectors small enough for tests of seconds."""

from rspipe.evaluate.detection.horizontal import FasterRCNNSettings, PlainDETRSettings

SMALL = {
    "width": 32,
    "proposals": {"anchor_scale": 4, "samples": 64, "before_nms": 100, "kept": 60},
    "regions": {"hidden": 64, "samples": 48, "bins": 5},
}

SMALL_DETR = {
    **{"width": 48, "heads": 4, "layers": 2, "hidden": 96, "bias_hidden": 32},
    **{"anchor_cells": 2, "queries": 12, "many_queries": 24, "many_repeats": 3},
}


def small(**said):
    return FasterRCNNSettings.model_validate({**SMALL, **said})


def small_detr(**said):
    return PlainDETRSettings.model_validate({**SMALL_DETR, **said})

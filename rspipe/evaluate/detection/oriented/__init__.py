# SPDX-License-Identifier: Apache-2.0
"""Oriented R-CNN in plain torch, on any feature pyramid.

Source: Xie et al. 2021, arXiv:2108.05699, with the settings of mmrotate's oriented_rcnn le90
configuration, which the published DIOR-R numbers of MTP and SelectiveMAE use. What differs from
mmrotate, all of it:

| part | mmrotate | here |
|---|---|---|
| rotated IoU of assignment, NMS and metric | mmcv, float32 | exact, float64 (`boxes.overlap`) |
| corners to boxes | OpenCV, float32 | in the dtype of the boxes |
| NMS of proposals | mmcv `batched_nms` | torchvision's `batched_nms`, on the same hulls |
| padding | to a multiple of 32, anchors there left out | none: images have the pyramid's size |
| random sampling | numpy and torch | torch, one seed |

None of it was run against mmrotate (its builds are pinned to old CUDA); the tests hold coders,
IoU, NMS and RoIAlign to identities and to torchvision at θ = 0.
"""

from rspipe.evaluate.detection.oriented.detector import OrientedRCNN
from rspipe.evaluate.detection.oriented.settings import OrientedSettings

__all__ = ["OrientedRCNN", "OrientedSettings"]

# SPDX-License-Identifier: Apache-2.0
"""Detectors of horizontal boxes that train with their encoder: Faster R-CNN and Plain DETR.

Faster R-CNN is torchvision's, brought to the released configuration of SelectiveMAE and MTP for
DIOR, which is mmdet's. Closed, against torchvision's defaults:

| part | torchvision | here, as mmdet |
|---|---|---|
| images | resized and standardised inside | come scaled, standardised as the encoder says |
| anchors' sides | whole pixels, five sizes of 32 to 512 px | real-valued, 8 strides |
| anchors' strides | image // map: 61 for 64 px at 800 px | the level's own |
| an object's best anchors | learn it at any overlap | at IoU 0.3 |
| box losses | smooth L1, β = 1/9 | L1, over the number of drawn boxes |
| RoIAlign | not aligned, 2 × 2 samples | aligned, as many samples as a bin has cells |
| proposals kept | 2,000 in training, 1,000 at test | 1,000; before NMS as torchvision's |
| weights at the start | torch's defaults | FPN and linear layers Xavier, outputs normal |
| labels | nothing is 0 | classes from 0 outside, so metrics see the data set's |

Equal in both: IoU 0.7 / 0.3 and 0.5, 256 and 512 samples with half and a quarter positive, box
deltas over 0.1, 0.1, 0.2, 0.2, a box per class, score 0.05, NMS 0.5, 100 detections per image.

Left as torchvision has it: widths and heights are clamped upwards only (mmdet: both ways); boxes
below 0.001 px (proposals) and 0.01 px (detections) go; where an image is not square, proposals
may reach into its padding; random draws are torch's. And images without objects train, as
background (mmdet leaves them out; DIOR has none). None of it was run against mmdet.

Plain DETR (arXiv:2308.01904) is ours, on the map of a plain transformer's last block: six decoder
layers with box-relative position bias, re-parameterised boxes, mixed query selection, a one-to-many
branch in training, no NMS. What differs from its authors' code:

| part | there | here |
|---|---|---|
| encoder | Swin, its last stage enlarged to stride 16 | any of ours, stride one patch |
| proposals | from four maps made of the one, strides 8 to 64 (1 AP more) | from the one map |
| their scores | first output of a layer of all classes | the one output of a layer |
| their first boxes | 50 px and larger by level | squares of 4 cells |
| entry of the map | 1 × 1 convolution, GroupNorm | the same, LayerNorm |
| images | several sizes, cropped | one size, mirrored |
| boxes | cut at the image's edges by every layer | cut at the end |
| padding | masked | seen, as the mean colour |

Nobody has published it on DIOR; its figures compare encoders with each other.
"""

from rspipe.evaluate.detection.horizontal.faster_rcnn import FasterRCNN
from rspipe.evaluate.detection.horizontal.plain_detr import PlainDETR
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNSettings, PlainDETRSettings

__all__ = ["FasterRCNN", "FasterRCNNSettings", "PlainDETR", "PlainDETRSettings"]

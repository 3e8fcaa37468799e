# SPDX-License-Identifier: Apache-2.0
"""Average precision of detections, horizontal and oriented, each number with its convention.

`CocoAP` is pycocotools (horizontal boxes); `BoxAP` covers VOC07, VOC area and COCO's rule for
both kinds of boxes, and agrees with `CocoAP` where both apply.
"""

from rspipe.evaluate.detection.average_precision.coco import CocoAP
from rspipe.evaluate.detection.average_precision.matches import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.average_precision.measures import MEASURES, BoxAP

__all__ = ["MEASURES", "BoxAP", "CocoAP", "FoundBoxes", "TrueBoxes"]

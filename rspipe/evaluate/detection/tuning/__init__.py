# SPDX-License-Identifier: Apache-2.0
"""What detectors that train together with their encoder share, whatever boxes they find.

A protocol adds a `Detector`, its settings, and how a data set's boxes are read, learned, drawn
and scored: see `evaluator.TunedDetection`.
"""

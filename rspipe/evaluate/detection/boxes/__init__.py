# SPDX-License-Identifier: Apache-2.0
"""Geometry of horizontal and oriented boxes: angles, overlap, anchors, assignment, NMS, RoIAlign.

An oriented box is (cx, cy, w, h, θ): centre and sides in pixels, θ in radians, clockwise on the
screen (y down). Of its many descriptions `angles.CONVENTIONS` names the customary ones; nothing
here but `angles.regular` and what says so depends on which of them is used.
"""

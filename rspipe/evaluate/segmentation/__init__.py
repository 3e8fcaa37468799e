# SPDX-License-Identifier: Apache-2.0
"""Segmentation of pixels: a linear head on the frozen encoder, and UPerNet, fine-tuned.

`evaluators` are over `model` (encoder and `linear` or `upernet` head), `training` on `crops`,
`sliding` windows, `scores` and `floors`. Truth: `pixels` reads images with their `masks`, or with
outlines drawn by `footprints`; `submission` writes masks for a benchmark's server.
"""

# SPDX-License-Identifier: Apache-2.0
"""Segmentation of pixels: heads, crops, training and sliding windows."""

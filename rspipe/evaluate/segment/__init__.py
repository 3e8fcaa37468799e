"""Segmentation of pixels: heads, crops, training and sliding windows."""

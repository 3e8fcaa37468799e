# SPDX-License-Identifier: Apache-2.0
"""Bytes and files: 8-bit images, rasters, tables. Decoders only, no policy."""

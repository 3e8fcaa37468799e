"""Bytes and files: 8-bit images, rasters, tables. Decoders only, no policy."""

# SPDX-License-Identifier: Apache-2.0
"""Bytes and pixels: where files are, how they are read and written. No policy."""

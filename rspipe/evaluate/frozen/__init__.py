# SPDX-License-Identifier: Apache-2.0
"""Frozen features: every image decoded once, encoded once, kept on disk for all probes."""

# SPDX-License-Identifier: Apache-2.0
"""Curation, stage by stage: ingest, exclude, slice, screen, dedup, leakage, pack. No torch."""

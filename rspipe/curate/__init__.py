# SPDX-License-Identifier: Apache-2.0
"""Curation: ingest → exclude → slice → dedup → leakage → pack. No torch; Dask only in `runner`."""

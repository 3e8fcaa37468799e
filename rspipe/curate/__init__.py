"""Curation: ingest → exclude → slice → dedup → leakage → pack. No torch; Dask only in `runner`."""

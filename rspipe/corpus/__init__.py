"""The corpus: Parquet shards, a ledger, a manifest. pyarrow, NumPy and Pillow only."""

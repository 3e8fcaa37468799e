# SPDX-License-Identifier: Apache-2.0
"""The corpus: Parquet shards, a ledger, a manifest. pyarrow, NumPy and Pillow only."""

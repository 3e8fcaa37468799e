# SPDX-License-Identifier: Apache-2.0
"""A corpus, an encoder and scores out of real data sets that were cut down to a few megabytes."""

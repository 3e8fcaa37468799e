# SPDX-License-Identifier: Apache-2.0
"""One HTML page over a corpus, a run and its scores, made from their folders alone."""

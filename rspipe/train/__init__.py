# SPDX-License-Identifier: Apache-2.0
"""Pre-training: a corpus and a recipe in, a run folder with an encoder out."""

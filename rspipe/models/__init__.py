# SPDX-License-Identifier: Apache-2.0
"""Encoder, decoders, and the way their weights enter and leave."""

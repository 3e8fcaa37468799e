# SPDX-License-Identifier: Apache-2.0
"""Deduplication: hash → exact and radius search → pixel verification → clusters."""

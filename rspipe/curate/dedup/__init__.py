"""Deduplication: hash → exact and radius search → pixel verification → clusters."""

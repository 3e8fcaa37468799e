# SPDX-License-Identifier: Apache-2.0
"""Recipes, one folder per purpose; `demo` also holds the code that makes its data."""

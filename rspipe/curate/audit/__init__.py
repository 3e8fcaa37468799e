# SPDX-License-Identifier: Apache-2.0
"""`rspipe duplicates` and `rspipe audit`: curation's matching on anything, without a recipe."""

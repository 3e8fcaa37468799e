"""`rspipe duplicates` and `rspipe audit`: curation's matching on anything, without a recipe."""

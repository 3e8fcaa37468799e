"""`rspipe duplicates` and `rspipe audit`: the matching of curation on anything, without a recipe."""

"""Pre-training: a corpus and a recipe in, a run folder with an encoder out."""

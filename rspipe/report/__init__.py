"""One HTML page over a corpus, a run and its scores, made from their folders alone."""

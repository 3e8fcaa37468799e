"""Public remote-sensing datasets in; a clean corpus, an encoder and a score out."""

__version__ = "0.1.0"

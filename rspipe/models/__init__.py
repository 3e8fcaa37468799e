"""Encoder, decoders, and the way their weights enter and leave."""

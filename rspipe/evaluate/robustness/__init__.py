"""What becomes of frozen features and fitted probes when test images are corrupted."""

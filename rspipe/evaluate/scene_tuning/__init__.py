"""Fine-tuning an encoder to tell scenes apart: dials, pictures, network, training."""

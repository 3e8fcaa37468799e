# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning an encoder to tell scenes apart: dials, pictures, network, training."""

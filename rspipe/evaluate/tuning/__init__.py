# SPDX-License-Identifier: Apache-2.0
"""What every fine-tuning shares: rates by layer, stochastic depth, four taps, a way to go on."""

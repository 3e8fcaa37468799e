# SPDX-License-Identifier: Apache-2.0
"""`python -m rspipe.cli`, as `torchrun` starts it."""

from rspipe.cli.program import main

main()

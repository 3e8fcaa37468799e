# SPDX-License-Identifier: Apache-2.0
"""`python -m rspipe` is `rspipe`."""

from rspipe.cli.program import main

main()

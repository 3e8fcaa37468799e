# SPDX-License-Identifier: Apache-2.0
"""Exit codes: the one table that help, documentation and tests read."""

DONE = 0
FOUND = 1
USAGE = 2
MISSING = 3
BAD_INPUT = 4
BUG = 70
INTERRUPTED = 130
TERMINATED = 143

EXIT_CODES = {
    DONE: "done, or done before",
    FOUND: "a check found something: a damaged corpus, a leak, a missing package or data set",
    USAGE: "the command line, a recipe or a card is wrong; nothing was begun",
    MISSING: "a package or a system library is not installed",
    BAD_INPUT: "what it was given cannot be worked on, or the machine fails: no corpus, a broken "
    "file, a full disk; what is done stays",
    BUG: "an error that nobody foresaw: a traceback, and what to report",
    INTERRUPTED: "stopped by Ctrl-C: the same command goes on where it was",
    TERMINATED: "stopped by SIGTERM, as schedulers do: the same command goes on where it was",
}
"""Every code that `rspipe` ends with."""

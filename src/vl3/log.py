"""Logging: one logger, to standard error, quiet unless there is something to say."""

import logging
import sys

logger = logging.getLogger("vl3")


def setup_logging(verbose: bool = False) -> None:
    """Sends the log to standard error (standard output belongs to answers). Called once, by the command line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)

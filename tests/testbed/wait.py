# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for a condition, with a deadline that is generous because it only ends broken runs."""
import os
import time

POLL = 0.02

# Valgrind and the sanitizers slow the service down by up to this factor; deadlines stretch with it.
FACTOR = float(os.environ.get("GUESTBUS_TIMEOUT_FACTOR", "1"))


class Timeout(AssertionError):
    """The condition did not come true in time."""


def deadline(seconds):
    return time.monotonic() + seconds * FACTOR


def wait_until(condition, timeout=20, what=None, poll=POLL):
    """Call condition() until it returns something true, and return that.

    An exception out of condition() is raised at once: to wait through errors, catch them in it.
    By default it waits longer than polkitd 122 stands still when it misses the end of a rule's run, as happens once
    in some thousand checks: 15 s. what may be a callable; it is only evaluated to describe a failure.
    """
    end = deadline(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise Timeout(f"not within {timeout * FACTOR:g} s: {text or condition}")
        time.sleep(poll)

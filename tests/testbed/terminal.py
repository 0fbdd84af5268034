# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program on a terminal of its own, as a person would run it: typed at, read from, closed."""
import fcntl
import os
import pty
import struct
import termios

from .process import Process
from .wait import wait_until

SIZE = struct.pack("HHHH", 40, 200, 0, 0)


class Terminal(Process):
    """The program's standard streams are the terminal; text is all it has printed there so far.

    wait_go: start in a shell that waits for go(), so that something can be done with the pid before.
    """

    def __init__(self, world, argv, wait_go=False, env=None, user=None, **options):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, SIZE)
        os.set_blocking(self.master, False)
        if user:
            os.fchown(self.slave, user.uid, -1)
        self.text = ""
        # A leader of a session that opens a terminal gets it as its controlling one: interrupts arrive.
        script = 'exec <"$0" >"$0" 2>&1; ' + ("read -r go && " if wait_go else "") + 'exec "$@"'
        super().__init__(world, world.unique("terminal"),
                         ["/bin/sh", "-c", script, os.ttyname(self.slave), *argv],
                         env={"TERM": "xterm", **(env or {})}, user=user, **options)

    def go(self):
        self.type("go\n")
        return self

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self):
        try:
            while chunk := os.read(self.master, 65536):
                self.text += chunk.decode(errors="replace")
        except (BlockingIOError, OSError):
            pass
        return self.text

    def wait_text(self, text, timeout=20):
        wait_until(lambda: text in self.read(), timeout, lambda: f"{text!r} on the terminal; there is:\n{self.text}")
        return self.text

    def wait(self, timeout=20):
        """The exit status; reads on meanwhile, for a full terminal stops its program."""
        wait_until(lambda: self.read() is not None and not self.alive, timeout,
                   lambda: f"the program's end; the terminal has:\n{self.text}")
        self.read()
        return self.popen.returncode

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def close(self):
        if self.alive:
            self.kill()
        os.close(self.master)
        os.close(self.slave)

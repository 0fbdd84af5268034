# SPDX-License-Identifier: LGPL-2.1-or-later
"""The process that cleans up after a world, even when the test run was killed.

It reads lines from its standard input, whose other end only the owner of the world holds:
    process PID START-TIME      end this process
    pidfiles GLOB               end the processes that these files name (guests, dnsmasq)
    directory PATH              remove this tree
    empty PATH                  remove this directory if it is empty (a control group)
and acts on all of them when that end closes, for whatever reason it closes.
"""
import glob
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from testbed.process import send_signal, start_time  # noqa: E402

GRACE = 5


def named_by_pidfiles(pattern):
    """What the files name, if it was started before its file was written (else the pid was reused)."""
    for name in glob.glob(pattern):
        try:
            with open(name, encoding="ascii") as file:
                pid = int(file.read().split()[0])
            written = os.stat(name).st_mtime
        except (OSError, ValueError, IndexError):
            continue
        started = start_time(pid)
        if started is None:
            continue
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
        if time.time() - age <= written + 1:
            yield pid, started


def end(processes):
    """End all of them: politely first, since libvirtd and QEMU have files of their own to tidy."""
    processes = list(processes)
    for number in (signal.SIGCONT, signal.SIGTERM):
        for pid, started in processes:
            send_signal(pid, started, number)
    limit = time.monotonic() + GRACE
    while any(start_time(pid) == started for pid, started in processes):
        if time.monotonic() > limit:
            for pid, started in processes:
                send_signal(pid, started, signal.SIGKILL)
            break
        time.sleep(0.02)


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    processes, patterns, directories, empty = [], [], [], []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "process":
            pid, started = rest.split()
            processes.append((int(pid), int(started)))
        elif word == "pidfiles":
            patterns.append(rest)
        elif word == "directory":
            directories.append(rest)
        elif word == "empty":
            empty.append(rest)
    end(processes)
    for pattern in patterns:
        end(named_by_pidfiles(pattern))
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)
    for path in reversed(empty):
        try:
            os.rmdir(path)
        except OSError:
            pass


if __name__ == "__main__":
    main()

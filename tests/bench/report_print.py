#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbus-report -p with many fake guests, beside what Python needs to read and print the same, in one run. Prints
figures and ratios, asserts nothing but that both print the same bytes.

    tests/bench/report_print.py [--guests 10000] [--runs 5]

virt-who 1.32 on the same kind of machine: 1.4 s of CPU and 82 MB for 10,000 guests.
"""
import argparse
import filecmp
import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

BUILD = Path(os.environ.get("GUESTBUS_BUILD", Path(__file__).resolve().parents[2] / "build"))
GUESTS_PER_HOST = 50
VIRT_WHO_CPU, VIRT_WHO_MIB = 1.4, 82
PYTHON = "import json,sys;print(json.dumps(json.load(open(sys.argv[1])),indent=4))"


def fake(count):
    def guest(number):
        return {"guestId": str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))), "state": 1,
                "attributes": {"virtWhoType": "esx", "active": 1}}
    return {"hypervisors": [
        {"hypervisorId": {"hypervisorId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"host {first}"))},
         "name": f"host-{first}.example",
         "guestIds": [guest(number) for number in range(first, min(first + GUESTS_PER_HOST, count))],
         "facts": {"cpu.cpu_socket(s)": "2", "hypervisor.type": "VMware ESXi", "hypervisor.version": "6.5.0",
                   "dmi.system.uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"system {first}"))}}
        for first in range(0, count, GUESTS_PER_HOST)]}


def measure(argv, env, output):
    """CPU seconds and MiB of one run."""
    with open(output, "wb") as stdout:
        process = subprocess.Popen(argv, env={**os.environ, **env}, stdout=stdout)
        _pid, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{argv[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def medians(argv, env, output, runs):
    cpu, memory = zip(*(measure(argv, env, output) for _ in range(runs)))
    return statistics.median(cpu), max(memory)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--guests", type=int, default=10000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gb.") as name:
        root = Path(name)
        source = root / "fake.json"
        # In another process: a child's peak of memory counts from the fork, so this one has to stay small.
        if os.fork() == 0:
            source.write_text(json.dumps(fake(options.guests)))
            os._exit(0)
        os.wait()
        source.chmod(0o600)
        (root / "etc/virt-who.d").mkdir(parents=True)
        (root / "etc/virt-who.d/one.conf").write_text(f"[one]\ntype=fake\nfile={source}\n")
        env = {"GUESTBUS_REPORTER_ROOT": name}
        ours = medians([str(BUILD / "cli/report/guestbus-report"), "-p"], env, root / "ours", options.runs)
        python = medians(["/usr/bin/python3", "-c", PYTHON, str(source)], {}, root / "python", options.runs)
        if not filecmp.cmp(root / "ours", root / "python", shallow=False):
            sys.exit("the outputs differ")
    print(f"print of {options.guests} guests: median CPU of {options.runs} runs, largest memory")
    print(f"  guestbus-report        {ours[0]:7.3f} s {ours[1]:7.1f} MiB")
    print(f"  python3, JSON alone    {python[0]:7.3f} s {python[1]:7.1f} MiB")
    if options.guests == 10000:
        print(f"  of virt-who's figures  {ours[0] / VIRT_WHO_CPU:7.1%}   {ours[1] / VIRT_WHO_MIB:7.1%}   "
              "(goals 10% and 25%)")


if __name__ == "__main__":
    main()

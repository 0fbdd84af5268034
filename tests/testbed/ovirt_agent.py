# SPDX-License-Identifier: LGPL-2.1-or-later
"""A shell script in a tiny guest that plays the oVirt agent on its real virtio-serial port.

It says what the test tells it to, and keeps what it hears. Like the real one it holds its port open all the
time, and the port's device takes one opener.
"""
import json
import shlex

from .wait import wait_until

# cat ends when the host is not there (a read returns nothing then), hence the loop.
SCRIPT = """
mkdir -p /run/ovirt && cd /run/ovirt && rm -f say && mkfifo say && : > heard
cat > agent <<'END'
exec 3<>/dev/virtio-ports/{port} 4<>/run/ovirt/say
while :; do cat <&3 >>/run/ovirt/heard; usleep 50000; done &
echo $! > /run/ovirt/pids
cat <&4 >&3 &
echo $! >> /run/ovirt/pids
echo $$ >> /run/ovirt/pids
wait
END
setsid sh agent </dev/null >/dev/null 2>&1 &
"""
# Killed is not gone: until the last of them has let the port go, it still reads, and nobody else can open it.
STOP = """
kill -KILL $(cat /run/ovirt/pids) 2>/dev/null
for p in $(pidof cat); do kill -KILL $p; done
rm -f /run/ovirt/pids
port=$(readlink -f /dev/virtio-ports/{port})
while ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q " $port$"; do usleep 20000; done
"""
BEATS = """
cat > /run/ovirt/beat <<'END'
while :; do echo {line} >/run/ovirt/say; usleep {period}; done
END
setsid sh /run/ovirt/beat </dev/null >/dev/null 2>&1 &
echo $! > /run/ovirt/beat.pid
"""
# Many lines in each write: the shell's own loop would make a few thousand a second only.
FLOOD = """
cd /run/ovirt
echo {text} > lines
for i in 1 2 3 4 5 6 7 8 9; do cat lines lines > more; mv more lines; done
cat > flood <<'END'
while :; do cat /run/ovirt/lines; done >/run/ovirt/say
END
setsid sh flood </dev/null >/dev/null 2>&1 &
echo $! > flood.pid
"""


def message(name, /, **members):
    return json.dumps({"__name__": name, **members})


class OvirtAgent:
    def __init__(self, machine):
        self.machine = machine

    def start(self):
        self.machine.exec(SCRIPT.format(port=self.machine.options.ovirt))
        wait_until(lambda: self.machine.exec("cat /run/ovirt/pids 2>/dev/null | wc -l").strip() == "3", 30, "the agent's script")
        return self

    def stop(self):
        """As a crash: nothing is said."""
        self.stop_beating()
        self.stop_flooding()
        self.machine.exec(STOP.format(port=self.machine.options.ovirt))

    def say(self, *lines):
        """Write lines in one go; str or bytes, the LF is added."""
        raw = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        octal = "".join(f"\\{byte:03o}" for byte in raw)
        self.machine.exec(f"printf {shlex.quote(octal)} >/run/ovirt/say")

    def beat(self, period=1.0, **members):
        """Send heartbeats until stop_beating()."""
        members = {"free-ram": "40", "memory-stat": {"mem_total": 98304}, "apiVersion": 3, **members}
        self.machine.exec(BEATS.format(line=shlex.quote(message("heartbeat", **members)),
                                       period=int(period * 1000000)))

    def stop_beating(self):
        self.machine.exec("kill -KILL $(cat /run/ovirt/beat.pid) 2>/dev/null; rm -f /run/ovirt/beat.pid; true")

    def heard(self):
        """What the host wrote, as it came."""
        return self.machine.exec("cat /run/ovirt/heard")

    def wait_heard(self, text, timeout=20):
        return wait_until(lambda: text in self.heard() and self.heard(), timeout,
                          lambda: f"{text!r} in the guest; heard {self.heard()!r}", 0.2)

    def forget(self):
        self.machine.exec(": > /run/ovirt/heard")

    def flood(self, *lines):
        """Write these lines as fast as the guest can until stop_flooding()."""
        self.machine.exec(FLOOD.format(text=shlex.quote("\n".join(lines))))

    def stop_flooding(self):
        self.machine.exec("kill -KILL $(cat /run/ovirt/flood.pid) 2>/dev/null; rm -f /run/ovirt/flood.pid; true")

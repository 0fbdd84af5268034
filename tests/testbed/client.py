# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of the private bus: calls, properties, and a recorder of signals in the order they came."""
import dataclasses
import time

from gi.repository import Gio, GLib

from .wait import Timeout, deadline, FACTOR

NAME = "org.guestbus1"
ROOT = "/org/guestbus1"
MANAGER = NAME + ".Manager"
SOURCE = NAME + ".Source"
VM = NAME + ".VM"
GUEST = NAME + ".Guest"
QMP = NAME + ".QMP"
ERROR = NAME + ".Error."
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"

# Above the 25 s of most clients, so that a missed answer of the service shows as such.
CALL_TIMEOUT = 30


def vm_path(label, uuid):
    """Of a VM's object; for labels of plain letters and digits, which need no encoding."""
    return f"{ROOT}/vm/{label}/{uuid.replace('-', '_')}"


def source_path(label):
    return f"{ROOT}/source/{label}"


class BusError(Exception):
    """An error reply; name is the D-Bus error's."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


def bus_error(error):
    name = Gio.DBusError.get_remote_error(error)
    if name:
        return BusError(name, error.message.removeprefix(f"GDBus.Error:{name}: "))
    if error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT):
        return BusError("org.freedesktop.DBus.Error.NoReply", "no answer in time")
    if error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CLOSED):
        return BusError("org.freedesktop.DBus.Error.Disconnected", "the connection is closed")
    return BusError("local", error.message)


def plain(variant):
    """A reply's value: nothing, the one value, or the tuple."""
    values = variant.unpack()
    return None if not values else values[0] if len(values) == 1 else values


def pump_until(condition, timeout, what):
    """Run the main context, which delivers signals and replies, until condition() is true."""
    context = GLib.MainContext.default()
    end = deadline(timeout)
    # Wakes the blocking iteration now and then, for conditions that no message makes true.
    ticker = GLib.timeout_add(20, lambda: True)
    try:
        while True:
            while context.pending():
                context.iteration(False)
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise Timeout(f"not within {timeout * FACTOR:g} s: {what() if callable(what) else what}")
            context.iteration(True)
    finally:
        GLib.source_remove(ticker)


@dataclasses.dataclass
class Signal:
    path: str
    interface: str
    member: str
    args: tuple
    time: float

    def __str__(self):
        return f"{self.path} {self.interface}.{self.member} {self.args}"


class Signals:
    """Everything that a name signals, from the moment this object exists."""

    def __init__(self, connection, sender):
        self.connection = connection
        self.all = []
        self._subscription = connection.signal_subscribe(
            sender, None, None, None, None, Gio.DBusSignalFlags.NONE, self._on_signal)
        # The match must be at the bus before the caller goes on: a round trip on the same connection.
        connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                             "GetId", None, None, Gio.DBusCallFlags.NONE, -1, None)

    def _on_signal(self, _connection, _sender, path, interface, member, parameters):
        self.all.append(Signal(path, interface, member, parameters.unpack(), time.monotonic()))

    def close(self):
        self.connection.signal_unsubscribe(self._subscription)

    def clear(self):
        pump_until(lambda: True, 1, "")
        self.all.clear()

    def matching(self, member=None, path=None, interface=None, where=None):
        return [signal for signal in self.all
                if member in (None, signal.member) and path in (None, signal.path)
                and interface in (None, signal.interface) and (where is None or where(*signal.args))]

    def wait(self, member=None, path=None, interface=None, where=None, count=1, timeout=10):
        """Wait for that many matching signals, counted from the last clear(); the last of them."""
        found = pump_until(
            lambda: len(self.matching(member, path, interface, where)) >= count
            and self.matching(member, path, interface, where),
            timeout, lambda: f"{count} x {member} of {path or 'anybody'}; seen:\n{self}")
        return found[count - 1]

    def changes(self, path=None, interface=None):
        """The PropertiesChanged of an interface, each as (changed, invalidated)."""
        return [signal.args[1:] for signal in self.matching("PropertiesChanged", path)
                if interface in (None, signal.args[0])]

    def wait_changed(self, path, interface, timeout=10, **expected):
        """Wait for one PropertiesChanged with all these values; returns everything it changed."""
        def matches(changed_interface, changed, _invalidated):
            return changed_interface == interface and expected.items() <= changed.items()
        return self.wait("PropertiesChanged", path, where=matches, timeout=timeout).args[1]

    def __str__(self):
        return "\n".join(f"  {signal}" for signal in self.all) or "  (nothing)"


class Pending:
    """A call under way; its reply and the signals before it are kept in order."""

    def __init__(self, what):
        self.what = what
        self.done = False
        self.variant = None
        self.error = None
        self.fds = []

    def finished(self, connection, task):
        try:
            self.variant, fd_list = connection.call_with_unix_fd_list_finish(task)
            self.fds = fd_list.steal_fds() if fd_list else []
        except GLib.Error as error:
            self.error = bus_error(error)
        self.done = True

    def result(self, timeout=CALL_TIMEOUT):
        pump_until(lambda: self.done, timeout + 5, f"answer to {self.what}")
        if self.error:
            raise self.error
        return plain(self.variant)


class Client:
    def __init__(self, bus):
        self.connection = bus.connect()

    @property
    def unique_name(self):
        return self.connection.get_unique_name()

    def start(self, member, signature=None, *args, path=ROOT, interface=MANAGER, dest=NAME,
              interactive=False, timeout=CALL_TIMEOUT):
        """Send a call and return at once with a Pending."""
        pending = Pending(f"{interface}.{member} on {path}")
        flags = Gio.DBusCallFlags.NO_AUTO_START
        if interactive:
            flags |= Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION
        self.connection.call_with_unix_fd_list(
            dest, path, interface, member, GLib.Variant(signature, args) if signature else None, None,
            flags, int(timeout * FACTOR * 1000), None, None, pending.finished)
        return pending

    def call(self, member, signature=None, *args, **options):
        """Call and wait; signals that came before the reply are recorded before this returns."""
        return self.start(member, signature, *args, **options).result(
            options.get("timeout", CALL_TIMEOUT) * FACTOR)

    def call_fd(self, member, signature=None, *args, **options):
        """For methods that return one descriptor; the caller owns it."""
        pending = self.start(member, signature, *args, **options)
        pending.result()
        (fd,) = pending.fds
        return fd

    def get(self, path, interface, name, dest=NAME):
        return self.call("Get", "(ss)", interface, name, path=path, interface=PROPERTIES, dest=dest)

    def get_all(self, path, interface, dest=NAME):
        return self.call("GetAll", "(s)", interface, path=path, interface=PROPERTIES, dest=dest)

    def managed_objects(self):
        return self.call("GetManagedObjects", path=ROOT, interface=OBJECT_MANAGER)

    def introspect(self, path, dest=NAME):
        return self.call("Introspect", path=path, interface="org.freedesktop.DBus.Introspectable",
                         dest=dest)

    def record(self, sender=NAME):
        return Signals(self.connection, sender)

    def wait_property(self, path, interface, name, value, timeout=10):
        """Read a property until it has that value (or value(current) is true)."""
        seen = []

        def holds():
            seen[:] = [self.get(path, interface, name)]
            return value(seen[0]) if callable(value) else seen[0] == value
        pump_until(holds, timeout, lambda: f"{name} of {path} is {value}, last {seen}")
        return seen[0]

    def close(self):
        if not self.connection.is_closed():
            self.connection.close_sync(None)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private test world made of real parts: dbus-daemon, polkitd, libvirtd, QEMU guests, guestbusd.

Start reading at world.py; README.md says how to use it by hand and from tests.
"""

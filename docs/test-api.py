#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/api.py: every member is on the page, and what is not described is refused."""
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import api  # noqa: E402

INTERFACES = sorted((HERE.parent / "dbus").glob("org.guestbus1.*.xml"))

EXAMPLE = """<node>
  <!-- What it is. -->
  <interface name="org.guestbus1.Example">
    <!--
      Does something.
      And more.

      A second paragraph.
      @options: what to
        think of
      Errors: Busy
    -->
    <method name="Act">
      <arg name="options" type="a{sv}" direction="in"/>
      <annotation name="org.guestbus1.PolkitAction" value="org.guestbus1.act"/>
    </method>
    <!-- .hidden \\ value. -->
    <property name="Size" type="t" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
    </property>
  </interface>
</node>"""


class Page(unittest.TestCase):
    def render(self, text):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "example.xml"
            path.write_text(text, encoding="utf-8")
            return api.page("@INTERFACES@", [path], "1").splitlines()

    def test_every_member_of_every_interface_is_on_the_page(self):
        page = api.page("@INTERFACES@", INTERFACES, "1").splitlines()
        self.assertEqual(len(INTERFACES), 7)
        for path in INTERFACES:
            section = f"\\fB{api.roff(path.stem)}\\fR"
            start = page.index(section)
            for member in ET.parse(path).getroot().find("interface"):
                heading = f"\\fB{member.get('name')}\\fR"
                self.assertTrue(any(line.startswith(heading) for line in page[start:]), f"{path}: {heading}")

    def test_interfaces_come_in_the_order_in_which_one_meets_them(self):
        page = api.page("@INTERFACES@", INTERFACES, "1").splitlines()
        self.assertEqual([line.split()[1] for line in page if line.startswith(".SH ")],
                         ["MANAGER", "SOURCE", "VM", "GUEST", "QMP", "REPORTER", "REPORTER.MAPPING"])

    def test_method(self):
        page = self.render(EXAMPLE)
        start = page.index("\\fBAct\\fR(a{sv} \\fIoptions\\fR)")
        self.assertEqual(page[start + 1:start + 9], [
            "Does something. And more.", ".sp", "A second paragraph.", ".br",
            "\\fIoptions\\fR: what to think of", ".br", "Errors: Busy.", ".br"])
        self.assertEqual(page[start + 9], "polkit action: org.guestbus1.act.")

    def test_text_is_no_roff(self):
        page = self.render(EXAMPLE)
        self.assertIn("\\&.hidden \\e value.", page)
        self.assertIn("A change emits no signal.", page)

    def test_undescribed_is_refused(self):
        for old, new in (("<!-- What it is. -->", ""), ("<!-- .hidden \\\\ value. -->", ""),
                         ("@options: what to", ""), ("@options:", "@others:"),
                         ('value="false"', 'value="maybe"')):
            broken = EXAMPLE.replace(old.replace("\\\\", "\\"), new)
            self.assertNotEqual(broken, EXAMPLE, old)
            with self.assertRaises(api.Mistake, msg=old):
                self.render(broken)


if __name__ == "__main__":
    unittest.main()

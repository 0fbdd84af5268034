# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus interfaces as comparable values: what the project's XML says, and what a service answers."""
import xml.etree.ElementTree as ET
from pathlib import Path

XML_DIR = Path(__file__).resolve().parents[2] / "dbus"

EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
EXPLICIT = "org.freedesktop.systemd1.Explicit"
ACTION = "org.guestbus1.PolkitAction"


def annotation(element, name, default=""):
    return next((item.get("value") for item in element.findall("annotation") if item.get("name") == name), default)


def arguments(element, direction):
    return [(item.get("direction", direction), item.get("type"), item.get("name")) for item in element.findall("arg")]


def describe(interface):
    """{"method Start": ..., "property Name": ..., "signal Event": ...}"""
    members = {}
    for element in interface:
        key = f"{element.tag} {element.get('name')}"
        if element.tag == "property":
            members[key] = {
                "type": element.get("type"),
                "access": element.get("access"),
                "emits": annotation(element, EMITS, "true"),
                "explicit": annotation(element, EXPLICIT, "false"),
            }
        elif element.tag == "method":
            members[key] = arguments(element, "in")
        elif element.tag == "signal":
            # A signal's arguments have no direction; some services write "out".
            members[key] = [(kind, name) for _, kind, name in arguments(element, "out")]
    return members


def file_of(name):
    return XML_DIR / f"{name}.xml"


def all_names():
    return sorted(path.stem for path in XML_DIR.glob("org.guestbus1.*.xml"))


def documented(name):
    """The members of an interface in its XML file."""
    return describe(ET.parse(file_of(name)).getroot().find("interface"))


def published(client, path, **options):
    """{interface name: members} of what an object answers to Introspect."""
    root = ET.fromstring(client.introspect(path, **options))
    return {item.get("name"): describe(item) for item in root.findall("interface")}


def children(client, path):
    """Full paths of the nodes below an object."""
    root = ET.fromstring(client.introspect(path))
    return sorted({f"{path}/{item.get('name')}" for item in root.findall("node")})

#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make the manual page org.guestbus1(5) from the interface descriptions.

  docs/api.py --version 1.0.0 org.guestbus1.5.in ../dbus/*.xml > org.guestbus1.5

Each interface, method, signal and property is described by the comment right before it. In it, a line
"@name: text" is about an argument, a line "Errors: text" about errors; other lines are running text,
with empty lines between paragraphs.
An element without a comment, or an argument without its line, is a mistake and ends with status 1.
"""
import argparse
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

PREFIX = "org.guestbus1."
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
EXPLICIT = "org.freedesktop.systemd1.Explicit"
ACTION = "org.guestbus1.PolkitAction"
SENSITIVE = "org.guestbus1.Sensitive"

# In the order in which one meets them; others follow by name.
ORDER = ["Manager", "Source", "VM", "Guest", "QMP", "Reporter", "Reporter.Mapping"]

EMITS_WORDS = {
    "true": "",
    "const": "Never changes.",
    "invalidates": "A change is told without the new value.",
    "false": "A change emits no signal.",
}


class Mistake(Exception):
    pass


class Doc:
    """A comment, taken apart: running text, arguments by name, errors."""

    def __init__(self, comment, where):
        self.paragraphs, self.arguments, self.errors = [], {}, ""
        if not comment or not comment.strip():
            raise Mistake(f"{where} has no description")
        kind = "paragraph"
        for line in comment.strip().splitlines():
            kind = self._line(line.strip(), kind)
        self.paragraphs = [text for text in self.paragraphs if text]

    def _line(self, line, kind):
        """Add a line to what it continues or begins; returns what that is."""
        argument = re.match(r"@(\w+): (.*)", line)
        if argument:
            self.arguments[argument[1]] = argument[2]
            return argument[1]
        if line.startswith("Errors: "):
            self.errors = line.removeprefix("Errors: ")
            return "errors"
        if kind == "errors":
            self.errors += " " + line
        elif kind != "paragraph":
            self.arguments[kind] += " " + line
        elif self.paragraphs and self.paragraphs[-1] and line:
            self.paragraphs[-1] += " " + line
        else:
            self.paragraphs.append(line)
        return kind


def annotation(element, name, default=""):
    for item in element.findall("annotation"):
        if item.get("name") == name:
            return item.get("value")
    return default


def members_with_comments(parent):
    """(element, text of the comment before it) for each child that is no comment."""
    comment = ""
    for child in parent:
        if child.tag is ET.Comment:
            comment = child.text
        else:
            yield child, comment
            comment = ""


def parse(path):
    """The one interface of a file, and the comment before it."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    root = ET.parse(path, parser).getroot()
    for element, comment in members_with_comments(root):
        if element.tag == "interface":
            return element, comment
    raise Mistake(f"{path} has no interface")


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def bold(text):
    return f"\\fB{roff(text)}\\fR"


def italic(text):
    return f"\\fI{roff(text)}\\fR"


def argument_list(arguments):
    return ", ".join(f"{roff(item.get('type'))} {italic(item.get('name'))}" for item in arguments)


def heading(element):
    """The line that a member's description hangs from."""
    name, arguments = bold(element.get("name")), element.findall("arg")
    if element.tag == "property":
        return f"{name} {roff(element.get('type'))}"
    if element.tag == "signal":
        return f"{name}({argument_list(arguments)})"
    results = [item for item in arguments if item.get("direction") == "out"]
    given = [item for item in arguments if item.get("direction") != "out"]
    return f"{name}({argument_list(given)})" + (f" \\(-> {argument_list(results)}" if results else "")


def traits(element):
    """What the annotations say, in words."""
    if annotation(element, ACTION):
        yield f"polkit action: {roff(annotation(element, ACTION))}."
    if annotation(element, SENSITIVE) == "true":
        yield "The message carries a secret and is wiped from memory."
    if element.tag == "property":
        emits = annotation(element, EMITS)
        if emits not in EMITS_WORDS:
            raise Mistake(f"{element.get('name')}: {emits!r} is no way to emit changes")
        if EMITS_WORDS[emits]:
            yield EMITS_WORDS[emits]


def member_lines(interface, element, comment):
    where = f"{interface}.{element.get('name')}"
    doc = Doc(comment, where)
    names = [item.get("name") for item in element.findall("arg")]
    if list(doc.arguments) != names:
        raise Mistake(f"{where} has the arguments {names}, and describes {list(doc.arguments)}")
    yield ".TP"
    yield heading(element)
    yield from "\n.sp\n".join(roff(text) for text in doc.paragraphs).splitlines()
    for name, text in doc.arguments.items():
        yield ".br"
        yield f"{italic(name)}: {roff(text)}"
    for text in [f"Errors: {roff(doc.errors)}." if doc.errors else "", *traits(element)]:
        if text:
            yield ".br"
            yield text


def interface_lines(element, comment):
    name = element.get("name")
    yield f".SH {name.removeprefix(PREFIX).upper()} INTERFACE"
    yield bold(name)
    for paragraph in Doc(comment, name).paragraphs:
        yield ".PP"
        yield roff(paragraph)
    for tag, title in (("method", "Methods"), ("signal", "Signals"), ("property", "Properties")):
        members = [(item, text) for item, text in members_with_comments(element) if item.tag == tag]
        if members:
            yield f".SS {title}"
        for item, text in members:
            yield from member_lines(name, item, text)


def order(item):
    short = item[0].get("name").removeprefix(PREFIX)
    return (ORDER.index(short) if short in ORDER else len(ORDER), short)


def page(template, paths, version):
    interfaces = sorted((parse(path) for path in paths), key=order)
    text = "\n".join(line for element, comment in interfaces for line in interface_lines(element, comment))
    return template.replace("@VERSION@", version).replace("@INTERFACES@", text)


def main():
    parser = argparse.ArgumentParser(description="Make org.guestbus1(5) from the interface descriptions.")
    parser.add_argument("--version", required=True)
    parser.add_argument("template", type=Path)
    parser.add_argument("xml", type=Path, nargs="+")
    options = parser.parse_args()
    try:
        sys.stdout.write(page(options.template.read_text(encoding="utf-8"), options.xml, options.version))
    except (Mistake, ET.ParseError) as mistake:
        sys.exit(f"{parser.prog}: {mistake}")


if __name__ == "__main__":
    main()

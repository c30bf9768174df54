"""Tables, names and texts that try something: to run, to be a formula, to turn the text around them."""

from __future__ import annotations

import csv
import io

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
TURNED = "\u202eexe.gpj\u2067 hidden"
CELLS = (HOSTILE, '=HYPERLINK("http://evil.example")', TURNED, "</textarea></p><svg/onload=alert(3)>")
TAME = "odd '><b>name.csv"
"""What is left of NAME where it is uploaded. Without a quotation mark, which browsers send as %22."""
NAME = TAME.replace("name", "\u202ename")
MARKER = "POISON"


def hostile_table(rows: int, marked: bool = False) -> bytes:
    """Each cell of CELLS in turn, and at the end two rows without an id; with `marked`, three rows hold the
    text that a provider refuses."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["id", "title", "<i onclick=alert(4)>more</i>"])
    for number in range(rows - 2):
        text = f"{CELLS[number % len(CELLS)]} {number}"
        writer.writerow(
            [f"r{number}", f"{text} {MARKER}" if marked and number in (7, 77, 177) else text, "x"]
        )
    writer.writerow(["", '=cmd|"/c calc"!A1', "y"])
    writer.writerow(["", TURNED, "z"])
    return table.getvalue().encode()


INTRUDERS = """() => [...document.querySelectorAll("*")].filter((one) =>
  [...one.attributes].some((attribute) => attribute.name.startsWith("on")) ||
  (one.matches("script") && !one.src && one.type !== "application/json") ||
  one.matches("main b:not(.help > b), main img:not([src^='/static/'])")).map((one) => one.outerHTML)"""
"""Elements that are none of ours: a cell became markup."""

LOOSE = """() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const loose = [];
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode;
    const apart = ["isolate", "isolate-override", "plaintext"];
    if (!/[\\u202a-\\u202e\\u2066-\\u2069]/.test(data) || parentElement.matches("script, option")) continue;
    if (!apart.includes(getComputedStyle(parentElement).unicodeBidi)) loose.push(parentElement.outerHTML);
  }
  return loose;
}"""
"""Elements whose text turns the text around them, too."""

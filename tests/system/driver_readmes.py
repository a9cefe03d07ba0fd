# SPDX-License-Identifier: Apache-2.0
"""Goal: the README of a driver and what the driver says of itself name the same keys, with type, unit, default, range and help."""
import os
import re

from cluster import expect, rideau, step

SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"number": "integer", "true or false": "boolean"}     # what people read at the prompt, as READMEs call it
UNITS = {"size": "bytes", "duration": "ms"}
COLUMNS = ["key", "type", "unit", "default", "range", "required", "help"]


def described(plugin):
    """The rows that `rideau plugins describe` prints: "  KEY (TYPE, [RANGE], [default X | required])", then the help."""
    rows = {}
    lines = rideau("plugins", "describe", plugin).stdout.splitlines()
    for line, following in zip(lines, [*lines[1:], ""]):
        found = re.fullmatch(r"  (\w+) \((.*)\)", line)
        if not found:
            continue
        kind, *facts = found[2].split(", ")
        row = dict.fromkeys(COLUMNS, "") | {"key": found[1], "type": TYPES.get(kind, kind), "required": "no"}
        row["unit"] = UNITS.get(row["type"], "")
        for fact in facts:
            if fact == "required":
                row["required"] = "yes"
            elif fact.startswith("default "):
                row["default"] = fact.removeprefix("default ")
            elif " to " in fact:
                row["range"] = re.sub(r"^0 \S+ to ", "0 to ", fact)      # zero needs no unit
            else:
                raise AssertionError(f"{plugin}: \"{fact}\" in \"{line}\" is not understood")
        row["help"] = following.strip()
        expect(row["key"] not in rows, f"{plugin}: {row['key']} is described twice")
        rows[row["key"]] = row
    return rows


def written(readme):
    """The rows of the table that begins with "| key | type |"."""
    with open(os.path.join(SOURCES, readme)) as file:
        lines = file.read().splitlines()
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else None for line in lines]
    expect(cells.count(COLUMNS) == 1, f"{readme} has {cells.count(COLUMNS)} tables of keys, not one")
    rows = {}
    for number in range(cells.index(COLUMNS) + 2, len(lines)):
        if cells[number] is None:
            break
        expect(len(cells[number]) == len(COLUMNS), f"{readme}:{number + 1}: not {len(COLUMNS)} columns")
        row = dict(zip(COLUMNS, cells[number]))
        row["key"] = row["key"].strip("`")
        expect(row["key"] not in rows, f"{readme}:{number + 1}: {row['key']} stands there twice")
        rows[row["key"]] = row
    return rows


problems = []
for name, page in (("inproc", "transports/inproc/README.md"), ("rdma", "transports/rdma/README.md"), ("tcp", "transports/tcp/README.md"),
                   ("zmq", "transports/zmq/README.md"),
                   ("lmdb", "backends/lmdb/README.md"),
                   ("raw-file", "backends/raw_file/README.md"), ("block-device", "backends/block_device/README.md"),
                   ("index-objects", "backends/index_objects/README.md")):
    step(f"{name} and {page}")
    says, page_says = described(name), written(page)
    expect(says, f"{name} describes no key")
    problems += [f"{page}: no row for {key}" for key in says.keys() - page_says.keys()]
    problems += [f"{page}: {key} is no key of {name}" for key in page_says.keys() - says.keys()]
    problems += [f"{page}: {key}: {column} is \"{page_says[key][column]}\", the driver says \"{says[key][column]}\""
                 for key in says.keys() & page_says.keys() for column in COLUMNS
                 if says[key][column] != page_says[key][column]]
expect(not problems, "\n".join(sorted(problems)))
print("drivers and their pages agree")

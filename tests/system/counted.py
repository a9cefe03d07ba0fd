# SPDX-License-Identifier: Apache-2.0
"""What the nodes of a cluster have counted, for tests that hold how often something happens."""
import json
import re

from cluster import expect, rideau


class Counted:
    """Up to now."""

    def __init__(self, made):
        told = json.loads(rideau("stats", "--config", made.config, "--json").stdout)
        self.nodes = {node["node"]: node["metrics"] for node in told["nodes"]}

    def total(self, kind, name, method=None):
        """Of all nodes whose name begins with `kind`."""
        wanted = re.compile(name + (rf'\{{.*method="{method}".*\}}' if method else r"(\{.*)?$"))
        return sum(value for node, metrics in self.nodes.items() if node.startswith(kind)
                   for key, value in metrics.items() if wanted.match(key))

    def since(self, before, kind, name, method=None):
        return self.total(kind, name, method) - before.total(kind, name, method)


def dirty_for_long(made):
    """Makes the configuration of a cluster under which nothing is written because of its age."""
    made.up()
    made.down()
    with open(made.config) as file:
        text = file.read()
    changed = text.replace('#dirty_age = "5 s"', 'dirty_age = "1 h"')
    expect(changed != text, "the configuration does not mention dirty_age")
    with open(made.config, "w") as file:
        file.write(changed)

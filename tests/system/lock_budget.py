# SPDX-License-Identifier: Apache-2.0
"""Goal: clients that cache more than the metadata server has room for are told so and give back what they use least; everything
stays right, and nobody is refused anything."""
import json
import os
import re
import time

from cluster import cluster, expect, need_fuse, rideau, step

LOCKS_MAX = 2000
FILES = 4000


def figure(made, node, name):
    told = json.loads(rideau("stats", "--config", made.config, "--json").stdout)
    metrics = next(one["metrics"] for one in told["nodes"] if one["node"] == node)
    return next(value for key, value in metrics.items() if re.match(name + r"(\{|$)", key))


def await_at_most(made, node, name, most):
    """What writers wait for is granted beyond the bound, and goes soon."""
    until = time.monotonic() + 60
    while figure(made, node, name) > most:
        expect(time.monotonic() < until, f"{node} has {figure(made, node, name)} {name}, more than {most}")
        time.sleep(0.1)


def main():
    with cluster(oss=1) as made:
        made.down()
        with open(made.config) as file:
            text = file.read()
        changed = re.sub(r"#locks_max = \d+", f"locks_max = {LOCKS_MAX}", text)
        expect(changed != text, "the configuration does not mention locks_max")
        with open(made.config, "w") as file:
            file.write(changed)
        made.up()
        step(f"{FILES} files, where {LOCKS_MAX} locks are the bound")
        os.mkdir(made.mount + "/many")
        for number in range(FILES):
            with open(f"{made.mount}/many/{number}", "w") as file:
                file.write(str(number))
        await_at_most(made, "client0", "rideau_client_locks", LOCKS_MAX // 4 * 3)
        await_at_most(made, "mds0", "rideau_mds_locks", LOCKS_MAX)
        held = figure(made, "client0", "rideau_client_locks")
        expect(0 < held <= LOCKS_MAX // 4 * 3, f"the client keeps {held} locks")
        step("another client gets its share, and both see everything")
        other = made.mount_another("second")
        for mount in (other, made.mount):
            for number in range(FILES):
                with open(f"{mount}/many/{number}") as file:
                    expect(file.read() == str(number), f"file {number} on {mount}")
            await_at_most(made, "mds0", "rideau_mds_locks", LOCKS_MAX)
        for number in range(0, FILES, 40):
            os.chmod(f"{other}/many/{number}", 0o600)
            expect(os.stat(f"{made.mount}/many/{number}").st_mode & 0o777 == 0o600, "chmod does not show")
        made.down()
        made.check()
    print("nobody held too much, and everything was right")


need_fuse()
main()

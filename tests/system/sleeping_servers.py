# SPDX-License-Identifier: Apache-2.0
"""Goal: a server that sleeps keeps its target, so nobody can take its place behind its back (S52): a second process of the
same node, or of another name, is refused and told which process has it. Who is really replaced has ended before, and what
he wrote last is his. The mount waits meanwhile, and nothing is lost."""
import os
import signal
import subprocess
import threading

from cluster import PATIENCE, RIDEAU, await_end, cluster, expect, need_fuse, step


def refused(made, config, node, holder):
    done = subprocess.run([RIDEAU, "serve", "--config", config, "--node", node], capture_output=True, text=True,
                          timeout=60 * PATIENCE)
    said = done.stdout + done.stderr
    expect(done.returncode == 1 and str(holder) in said, f"a second {node}: exit status {done.returncode}: {said}")


def under_other_names(made):
    """The same data for nodes of other names: only the stores themselves know who has them."""
    with open(made.config) as file:
        text = file.read()
    other = made.config + ".other.toml"
    with open(other, "w") as file:
        for node in ("mds0", "oss0"):
            text = text.replace(f"[node.{node}]", f"[node.{node}x]")
        file.write(text)
    return other


def write_all(folder, count, done):
    for number in range(count):
        with open(os.path.join(folder, f"file{number}"), "wb", buffering=0) as file:
            file.write(b"%d" % number * 20_000)
            os.fsync(file.fileno())
    done.append(count)


need_fuse()
with cluster(oss=1) as made:
    other = under_other_names(made)
    for round_, (node, ends) in enumerate([("mds0", False), ("oss0", False), ("mds0", True), ("oss0", True)]):
        step(f"{node} sleeps" + (", and is replaced" if ends else ""))
        folder = os.path.join(made.mount, f"round{round_}")
        os.mkdir(folder)
        holder = made.process(node)
        done = []
        writer = threading.Thread(target=write_all, args=(folder, 40, done), daemon=True)
        os.kill(holder, signal.SIGSTOP)
        try:
            writer.start()
            refused(made, made.config, node, holder)
            refused(made, other, node + "x", holder)
            expect(not done, "the work has ended without the server")
        finally:
            os.kill(holder, signal.SIGKILL if ends else signal.SIGCONT)
        if ends:
            await_end(holder)
            made.serve(node)
        writer.join(120 * PATIENCE)
        expect(done == [40], f"the work on the mount has not ended after {node} came back")
        for number in range(40):
            with open(os.path.join(folder, f"file{number}"), "rb") as file:
                expect(file.read() == b"%d" % number * 20_000, f"{folder}/file{number} has other bytes")
    made.down()
    made.check()

# SPDX-License-Identifier: Apache-2.0
"""Goal: a mount far from its servers works: 20 ms each way, one packet of a hundred lost; and when the cable is cut for 30 s in
the middle of a copy, the copy ends right, nobody is evicted, and nothing else is seen of it.

usage: far_machines.py BUILD
"""
import filecmp
import os
import random
import subprocess
import time
import uuid

from cluster import expect, need_fuse, run, step, temporary_folder
from machines import Machine, enter_own_world
from relay import Relay

NEAR, FAR = "10.9.0.1", "10.9.0.2"
CUT_SECONDS = 30
CONFIG = """
[cluster]
name = "far"
uuid = "{uuid}"
folder = "{folder}"

[node.mds0]
roles = ["mds"]
id = 1
listen = "{far}:7400"
data = "mds0"

[node.oss0]
roles = ["oss"]
id = 2
listen = "{far}:7401"
data = "oss0"

[node.client0]
roles = ["client"]
"""


def make_tree(folder, seed):
    """Two larger files and some small ones, in folders."""
    chance = random.Random(seed)
    sizes = [3_000_000, 1_500_001] + [chance.randrange(0, 20_000) for _ in range(30)]
    for number, size in enumerate(sizes):
        path = f"{folder}/{number % 4}/file{number}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(chance.randbytes(size))
    return folder


def same(left, right):
    """Names and bytes."""
    found = filecmp.dircmp(left, right)
    expect(not found.left_only and not found.right_only, f"only in one: {found.left_only} {found.right_only}")
    _, other, failed = filecmp.cmpfiles(left, right, found.common_files, shallow=False)
    expect(not other and not failed, f"not the same: {other}, not read: {failed}")
    for name in found.common_dirs:
        same(f"{left}/{name}", f"{right}/{name}")


def log_of(folder, node):
    with open(f"{folder}/{node}.log") as file:
        return file.read()


def work(near, far, relay, folder):
    config, point = f"{folder}/cluster.toml", f"{folder}/mnt"
    with open(config, "w") as file:
        file.write(CONFIG.format(uuid=uuid.uuid4(), folder=folder, far=FAR))
    os.mkdir(point)
    step("servers far away, and a mount")
    for node in ("mds0", "oss0"):
        os.mkdir(f"{folder}/{node}")
        far.serve(config, node, f"{folder}/{node}.log")
    until = time.monotonic() + 60
    while near.rideau("status", "--config", config, check=False).returncode != 0:
        expect(time.monotonic() < until, near.rideau("status", "--config", config, check=False).stdout)
        time.sleep(0.2)
    near.mount(config, point)
    inside = near.inside + point

    begun = time.monotonic()
    source = make_tree(f"{folder}/source", 1)
    near.run("cp", "-a", source, point + "/first")
    near.run("sync", "-f", point)
    step(f"a copy took {time.monotonic() - begun:.1f} s")

    source = make_tree(f"{folder}/source2", 2)
    copy = subprocess.Popen(near.words("cp", "-a", source, point + "/second"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1.5)
    expect(copy.poll() is None, "the copy has ended before the cut")
    step(f"the cable is cut for {CUT_SECONDS} s")
    relay.cut()
    time.sleep(CUT_SECONDS)
    expect(copy.poll() is None, f"the copy ended without a cable:\n{copy.stdout.read() if copy.poll() is not None else ''}")
    relay.mend()
    begun = time.monotonic()
    told, _ = copy.communicate(timeout=180)
    step(f"the copy ended {time.monotonic() - begun:.1f} s after it was mended")
    expect(copy.returncode == 0 and not told, f"cp: exit status {copy.returncode}\n{told}")
    near.run("sync", "-f", point)

    step("everything is there, for this mount and for a new one")
    same(f"{folder}/source2", inside + "/second")
    near.rideau("umount", point)
    near.mount(config, point)
    same(f"{folder}/source", inside + "/first")
    same(f"{folder}/source2", inside + "/second")
    expect("evict" not in log_of(folder, "mds0"), "the client was evicted:\n" + log_of(folder, "mds0")[-3000:])
    near.rideau("umount", point)
    answer = far.rideau("fsck", "--config", config)
    expect("clean" in answer.stdout, answer.stdout)
    for node, server in far.servers.items():
        server.terminate()
        expect(server.wait(60) == 0, f"{node} ended with {server.returncode}")


need_fuse()
enter_own_world()
if not os.path.exists("/dev/net/tun"):
    run("mkdir", "-p", "/dev/net")
    run("mknod", "/dev/net/tun", "c", 10, 200)
with temporary_folder() as top:
    machines = [Machine(), Machine()]
    cable = Relay(machines, [NEAR, FAR], delay=0.02, loss=0.01, seed=7)
    try:
        work(*machines, cable, top)
    except BaseException:
        for name in ("mds0", "oss0"):
            if os.path.exists(f"{top}/{name}.log"):
                print(f"--- {name}\n{log_of(top, name)[-3000:]}", flush=True)
        raise
    finally:
        for one in machines:
            one.end()
        cable.end()
print("a mount far away works, and outlives a cut cable")

# SPDX-License-Identifier: Apache-2.0
"""Goal: targets are grouped in pools by the file of the cluster; directories name one, files below lie in it and nowhere else,
also when it is full or one of its servers is drained; what the file says of pools is checked."""
import errno
import json
import os

from cluster import cluster, expect, need_fuse, rideau, run, step, temporary_folder

MIB = 1 << 20


def layout_of(path):
    return json.loads(rideau("layout", "get", "--json", path).stdout)[0]


def put_into_pools(made, pools):
    with open(made.config) as file:
        text = file.read()
    for node, names in pools.items():
        at = text.index(f"[node.{node}]\n") + len(f"[node.{node}]\n")
        text = text[:at] + f"pools = {json.dumps(names)}\n" + text[at:]
    with open(made.config, "w") as file:
        file.write(text)
    rideau("check-config", made.config)
    rideau("reload", "--config", made.config)


def write(path, size=3 * MIB):
    data = os.urandom(size)
    with open(path, "wb") as file:
        file.write(data)
    return data


def mistakes(made):
    step("what the file says of pools is checked")
    with open(made.config) as file:
        good = file.read()
    for old, new, telling in (("[node.oss0]\n", '[node.oss0]\npools = ["a b"]\n', "node.oss0.pools: wants names"),
                              ("[node.oss0]\n", '[node.oss0]\npools = ["none"]\n', "node.oss0.pools: wants names"),
                              ("[node.oss0]\n", '[node.oss0]\npools = ["a", "a"]\n', "names a twice"),
                              ("[node.oss0]\n", "[node.oss0]\npools = 3\n", "wants a list"),
                              ("[node.mds0]\n", '[node.mds0]\npools = ["a"]\n', "is for targets of the role oss"),
                              ("[node.client0]\n", '[node.client0]\npools = ["a"]\n', "is for nodes with the role")):
        with open(made.config, "w") as file:
            file.write(good.replace(old, new))
        refused = rideau("check-config", made.config, check=False)
        expect(refused.returncode == 2 and telling in refused.stdout, f"{new}: {refused.stdout}")
    with open(made.config, "w") as file:
        file.write(good)


def placement(made):
    step("files below a directory lie in its pool, by the command and by the attribute")
    top = made.mount
    os.mkdir(top + "/scratch")
    rideau("layout", "set", "--pool", "fast", "--count", "all", top + "/scratch")
    expect(layout_of(top + "/scratch")["pool"] == "fast", layout_of(top + "/scratch"))
    os.makedirs(top + "/scratch/below/deep")
    data = write(top + "/scratch/below/deep/file")
    told = layout_of(top + "/scratch/below/deep/file")
    expect(sorted(told["targets"]) == [2, 3] and told["pool"] == "fast", told)
    expect(b"pool=fast" in os.getxattr(top + "/scratch/below", "rideau.layout"), "the attribute")
    os.mkdir(top + "/archive")
    os.setxattr(top + "/archive", "rideau.layout", b"pool=slow")
    write(top + "/archive/file")
    expect(layout_of(top + "/archive/file")["targets"] == [4], layout_of(top + "/archive/file"))
    write(top + "/anywhere")
    expect(sorted(layout_of(top + "/anywhere")["targets"]) == [2, 3, 4], layout_of(top + "/anywhere"))
    rideau("layout", "set", "--pool", "slow", top + "/one")
    write(top + "/one")
    expect(layout_of(top + "/one")["targets"] == [4], layout_of(top + "/one"))
    step("pools that are not there, and layouts that a pool cannot have, are refused with words")
    for words, telling in ((["--pool", "quick"], "no pool of object targets"), (["--pool", "fast", "--count", "3"], "the pool"),
                           (["--pool", "fast", "--offset", "2"], "the pool")):
        refused = rideau("layout", "set", *words, top + "/scratch", check=False)
        expect(refused.returncode == 1 and telling in refused.stdout, f"{words}: {refused.stdout}")
    refused = rideau("layout", "set", "--pool", "a b", top + "/scratch", check=False)
    expect(refused.returncode == 2, refused.stdout)
    return data


def full(made):
    step("a full pool is full, though others have room")
    failure = None
    try:
        with open(made.mount + "/archive/large", "wb") as file:
            for _ in range(400):
                file.write(os.urandom(MIB))
            os.fsync(file.fileno())
    except OSError as error:
        failure = error.errno
    expect(failure == errno.ENOSPC, f"{failure}")
    write(made.mount + "/scratch/room", 8 * MIB)
    os.unlink(made.mount + "/archive/large")


def drained(made, data):
    step("a drained target leaves its pool, and files stay within it")
    rideau("drain", "--config", made.config, "oss0", "--rate", "unlimited")
    file = made.mount + "/scratch/below/deep/file"
    expect(set(layout_of(file)["targets"]) == {3}, layout_of(file))
    with open(file, "rb") as reader:
        expect(reader.read() == data, "other bytes")
    write(made.mount + "/scratch/later")
    expect(layout_of(made.mount + "/scratch/later")["targets"] == [3], layout_of(made.mount + "/scratch/later"))


need_fuse()
with temporary_folder() as images, cluster(oss=3, start=False) as made_cluster:
    image = images + "/small.img"
    run("truncate", "-s", "192M", image)
    rideau("format", "--device", image)
    made_cluster.options = ["--objects", "block-device", "--device", f"oss2={image}"]
    made_cluster.up()
    mistakes(made_cluster)
    put_into_pools(made_cluster, {"oss0": ["fast"], "oss1": ["fast"], "oss2": ["slow", "old"]})
    bytes_of_file = placement(made_cluster)
    full(made_cluster)
    drained(made_cluster, bytes_of_file)
    step("everything stops and starts, and is the same")
    made_cluster.down()
    made_cluster.check()
    made_cluster.options = []
    made_cluster.up()
    write(made_cluster.mount + "/scratch/after")
    expect(layout_of(made_cluster.mount + "/scratch/after")["targets"] == [3], "after a restart")
    made_cluster.down()
print("files lie in the pools of their directories")

# SPDX-License-Identifier: Apache-2.0
"""Goal: servers listen on different transports, and on several; every client takes the one that it prefers to each of them, and
all see the same files. Such a cluster grows, its commands find it, and a file that leaves somebody without a way is refused.

usage: mixed_transports.py BUILD
"""
import json
import os
import re
import socket

from cluster import BUILD, cluster, expect, need_fuse, rideau, run, step

BENCH = os.path.join(BUILD, "tests", "rideau-bench-library")
# Over Unix sockets nobody could see who is connected with whom.
DEFAULTS = '[{ plugin = "tcp", local = false }, "zmq", "rdma"]'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def mixed(text):
    """mds0 on tcp, and able to reach the others; oss0 on zmq alone; oss1 on rdma and tcp. The ports, by node and transport."""
    ports = {}

    def listens(node, *transports):
        nonlocal text
        own = int(re.search(rf'\[node\.{node}\][^[]*\[[^[]*?listen = "127\.0\.0\.1:(\d+)"', text).group(1))
        addresses = []
        for transport, wanted in transports:
            port = (own if not addresses else free_port()) if wanted else None
            addresses.append(f"127.0.0.1:{port}" if port else "")
            ports[node, transport] = port
        text = text.replace(f'listen = "127.0.0.1:{own}"',
                            f"transport = {json.dumps([name for name, _ in transports])}\nlisten = {json.dumps(addresses)}", 1)

    listens("mds0", ("tcp", True), ("zmq", False), ("rdma", False))
    listens("oss0", ("zmq", True))
    listens("oss1", ("rdma", True), ("tcp", True))
    text = text.replace('transport = "tcp"', f"transport = {DEFAULTS}", 1)
    return text.replace('[node.client0]', '[node.client0]\ntransport = ["rdma", "zmq", "tcp"]'), ports


def connected_ports(process):
    """To which TCP ports this process has connections."""
    inodes = set()
    for descriptor in os.listdir(f"/proc/{process}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{process}/fd/{descriptor}"))
        except FileNotFoundError:
            pass
    with open(f"/proc/{process}/net/tcp") as file:
        lines = [line.split() for line in list(file)[1:]]
    return {int(words[2].split(":")[1], 16) for words in lines if words[3] == "01" and f"socket:[{words[9]}]" in inodes}


def goes(made, node, ports, *ways):
    """The node is connected with these, and with no other listener of the cluster."""
    found = connected_ports(made.process(node)) & set(ports.values())
    expect(found == {ports[way] for way in ways}, f"{node}: connected with {found}, not {ways} of {ports}")


def fails(*words, telling):
    done = rideau(*words, check=False)
    expect(done.returncode == 2 and telling in done.stdout, f"{words}: exit status {done.returncode}, without \"{telling}\":\n{done.stdout}")


def refusals(made):
    step("files that leave somebody without a way")
    with open(made.config) as file:
        text = file.read()
    other = made.config + ".changed.toml"

    def change(old, new):
        expect(old in text, f"the configuration has no {old!r}")
        write(other, text.replace(old, new, 1).encode())
        return other

    fails("check-config", change('["rdma", "zmq", "tcp"]', '["rdma", "tcp"]'),
          telling="node.client0.transport: names no transport on which node.oss0 listens (zmq)")
    fails("check-config", change('["tcp", "zmq", "rdma"]', '["tcp", "zmq"]'), telling="wants 2 addresses, one for each transport")
    fails("serve", "--config", change('["rdma", "tcp"]', '["rdma", "rdma"]'), "--node", "oss1", telling="names rdma twice")
    fails("check-config", change('["rdma", "tcp"]', '["rdma", "pigeon"]'), telling="pigeon")
    # client0 is mounted; another one is as [defaults] say.
    write(other, text.replace(DEFAULTS, '"zmq"', 1).encode())
    rideau("check-config", other)
    os.makedirs(made.folder + "/nowhere", exist_ok=True)
    fails("mount", "--config", other, made.folder + "/nowhere",
          telling="connects over zmq, and node mds0 listens on tcp alone: `transport` in [defaults]")
    done = run(BENCH, other, made.folder, "--files", "10", "--rounds", "1", check=False)
    expect(done.returncode != 0 and "node mds0 listens on tcp alone" in done.stdout, done.stdout)
    os.unlink(other)


def work(here, there):
    data = {f"file{number}": os.urandom(300_000 * number) for number in range(12)}
    for name, content in data.items():
        write(os.path.join(here, name), content)
    rideau("sync", here)
    for name, content in data.items():
        expect(read(os.path.join(there, name)) == content, f"{name} came back with other bytes")
        with open(os.path.join(there, name), "ab") as file:
            file.write(b"more")
        expect(read(os.path.join(here, name)) == content + b"more", f"{name} does not show what the other mount appended")


def commands(made):
    step("commands: status, trace, stats, reload, check of running servers, a program with the library")
    told = json.loads(rideau("status", "--config", made.config, "--json").stdout)
    expect(told["healthy"], told)
    expect("file3" in rideau("layout", "get", made.mount + "/file3").stdout, "layout")
    expect("client0" in rideau("trace", "--config", made.config).stdout, "trace tells nothing of client0")
    names = {node["node"] for node in json.loads(rideau("stats", "--config", made.config, "--json").stdout)["nodes"]}
    expect({"mds0", "oss0", "oss1", "client0"} <= names, names)
    rideau("reload", "--config", made.config)
    done = rideau("fsck", "--config", made.config, check=False)
    expect(done.returncode == 0, f"fsck: {done.stdout}")
    run(BENCH, made.config, made.folder, "--files", "100", "--rounds", "1")


def growth(made, second):
    step("one more object server, on everything that [defaults] name")
    expect("oss2 is new" in rideau("up", "--dir", made.folder, "--oss", "3").stdout, "oss2")
    made.oss = 3
    with open(made.config) as file:
        listed = re.search(r"\[node\.oss2\][^[]*\[[^[]*listen = (\[.*\])", file.read()).group(1)
    ports = {("oss2", transport): int(address.split(":")[1])
             for transport, address in zip(("tcp", "zmq", "rdma"), json.loads(listed))}
    expect(len(set(ports.values())) == 3, ports)
    content = os.urandom(5 << 20)
    write(second + "/wide", content)
    expect(read(made.mount + "/wide") == content, "bytes on three servers")
    goes(made, "client0", ports, ("oss2", "rdma"))
    goes(made, "client1", ports, ("oss2", "tcp"))
    goes(made, "mds0", ports, ("oss2", "tcp"))


need_fuse()
with cluster(options=["--no-mount"]) as made_cluster:
    made_cluster.down()
    with open(made_cluster.config) as configuration:
        changed, listening = mixed(configuration.read())
    write(made_cluster.config, changed.encode())
    rideau("check-config", made_cluster.config)
    made_cluster.options.remove("--no-mount")
    step("a mount that prefers rdma, and one that prefers tcp")
    expect(f"oss1 is up on 127.0.0.1:{listening['oss1', 'rdma']}, 127.0.0.1:{listening['oss1', 'tcp']}" in made_cluster.up().stdout,
           "up tells both addresses")
    other_mount = made_cluster.mount_another("second")     # of no node in the file
    work(made_cluster.mount, other_mount)
    goes(made_cluster, "client0", listening, ("mds0", "tcp"), ("oss0", "zmq"), ("oss1", "rdma"))
    goes(made_cluster, "client1", listening, ("mds0", "tcp"), ("oss0", "zmq"), ("oss1", "tcp"))
    goes(made_cluster, "mds0", listening, ("oss0", "zmq"), ("oss1", "tcp"))
    commands(made_cluster)
    refusals(made_cluster)
    growth(made_cluster, other_mount)
    step("a server on two transports comes back")
    made_cluster.kill("oss1")
    made_cluster.serve("oss1")
    write(made_cluster.mount + "/after", b"x" * 3_000_000)
    rideau("sync", made_cluster.mount)
    expect(read(other_mount + "/after") == b"x" * 3_000_000, "bytes after a restart")
    step("files go, and the stopped servers hold together")
    for file_name in os.listdir(other_mount):
        if file_name.startswith("file"):
            os.unlink(os.path.join(other_mount, file_name))
    rideau("umount", other_mount)
    made_cluster.down()
    made_cluster.check()
print("every client went its way")

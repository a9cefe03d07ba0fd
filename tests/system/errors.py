# SPDX-License-Identifier: Apache-2.0
"""Goal: what goes wrong when a cluster is started is told in clear words, with the exit status of the contract (S54, S61, S62)."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time

from cluster import BUILD, PATIENCE, RIDEAU, await_end, cluster, expect, need_fuse, rideau, run, step, temporary_folder


def fails(status, *words, telling, **options):
    done = rideau(*words, check=False, timeout=60 * PATIENCE, **options)
    expect(done.returncode == status, f"{words}: exit status {done.returncode}, not {status}\n{done.stdout}")
    for text in [telling] if isinstance(telling, str) else telling:
        expect(text in done.stdout, f"{words}: does not tell \"{text}\":\n{done.stdout}")


def changed(config, *pairs):
    with open(config) as file:
        text = file.read()
    for old, new in pairs:
        expect(old in text, f"the configuration has no {old!r}")
        text = text.replace(old, new, 1)
    other = config + ".changed.toml"
    with open(other, "w") as file:
        file.write(text)
    return other


def wrong_options(folder):
    step("options and commands that do not exist, or not yet")
    fails(2, "up", telling="--dir")
    fails(2, "frobnicate", telling=["frobnicate", "rideau --help"])
    fails(2, "upp", telling="did you mean \"up\"")
    fails(2, "keys", "nod", telling=["keys", "did you mean \"node\""])
    for words in (["--transport", "pigeon"], ["--index", "rocks"], ["--objects", "tape"], ["--mds", "2"]):
        fails(2, "up", "--dir", folder + "/never", *words, telling="not in this version")
    for device, telling in (("oss0=/dev/null", "--objects block-device"), ("oss7=/dev/null", "oss0 to oss1"), ("oss0", "OSS=PATH")):
        fails(2, "up", "--dir", folder + "/never", "--device", device, telling=telling)
    fails(2, "format", telling="--device")
    fails(1, "format", "--device", folder + "/none", telling="No such file")
    fails(2, "fsck", "--config", "x", telling="x")
    fails(1, "layout", "get", "x", telling="No such file")
    fails(2, "layout", "set", "x", telling="at least one of")
    expect(not os.path.exists(folder + "/never/cluster.toml"), "a refused `up` left a configuration")
    for command in ([], ["up"], ["down"], ["serve"], ["mount"], ["umount"], ["status"], ["check-config"], ["plugins"], ["sync"], ["keys"], ["keys", "node"]):
        expect(rideau(*command, "--help").returncode == 0, "--help")
    expect(rideau("--version").stdout == rideau("version").stdout != "", "--version")


def wrong_configurations(config, folder):
    step("configurations: every problem at once, with file, line and key")
    bad = changed(config, ('stripe_size = "1 MiB"', 'stripe_sise = "1 MiB"'), ("stripe_count = 0", 'stripe_count = "many"'))
    fails(2, "check-config", bad, telling=[bad + ":", "stripe_sise", "stripe_size", "stripe_count"])
    fails(2, "status", "--config", bad, telling="stripe_sise")
    missing = changed(config, ('roles = ["mds"]', ""))
    fails(2, "check-config", missing, telling="roles")
    unknown = changed(config, ('transport = "tcp"', 'transport = "pigeon"'))
    fails(2, "check-config", unknown, telling="pigeon")
    fails(2, "check-config", folder + "/none.toml", telling="none.toml")
    key = changed(config, ("[node.oss0]", '[node.oss0.index]\nplugin = "lmdb"\nmap_sise = "1 GiB"\n[node.oss0]'))
    fails(2, "check-config", key, telling=["map_sise", "map_size"])
    both = changed(config, ('stripe_size = "1 MiB"', 'stripe_sise = "1 MiB"'), ('transport = "tcp"', 'transport = "pigeon"'))
    fails(2, "check-config", both, telling=["stripe_sise", "pigeon"])
    fails(2, "serve", "--config", config, "--node", "oss9", telling=["oss9", "oss0"])
    fails(2, "serve", "--config", config, "--node", "oss0", "--role", "mds", telling="oss")
    step("any bytes as configuration: problems, never an abort")
    chance = random.Random(7)
    with open(config, "rb") as file:
        text = bytearray(file.read())
    for round_number in range(60):
        mutated = bytearray(text)
        for _ in range(chance.randrange(1, 12)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        with open(folder + "/mutated.toml", "wb") as file:
            file.write(mutated[:chance.randrange(1, len(mutated) + 1)])
        done = rideau("check-config", folder + "/mutated.toml", check=False)
        expect(done.returncode in (0, 2), f"round {round_number}: exit status {done.returncode}\n{done.stdout}")


def no_events(config, folder):
    step("files that hold no events")
    empty = folder + "/empty.events"
    with open(empty, "w"):
        pass
    fails(1, "trace", "--config", config, "--with", empty, telling=[empty, "is empty"])
    fails(1, "trace", "--config", config, "--with", config, telling=config)


def second_starts(made):
    step("a second start of one node, of one target, and a port in use")
    fails(1, "serve", "--config", made.config, "--node", "mds0", telling=["runs already", str(made.process("mds0"))])
    # The same data under another node's name: the store itself knows who has it.
    with open(made.config) as file:
        text = file.read()
    other = made.config + ".other.toml"
    with open(other, "w") as file:
        file.write(text.replace("[node.mds0]", "[node.mdsx]"))
    fails(1, "serve", "--config", other, "--node", "mdsx", telling=str(made.process("mds0")))
    rideau("down", "--dir", made.folder)
    with open(made.config) as file:
        port = int(file.read().split("[node.mds0]")[1].split("127.0.0.1:")[1].split('"')[0])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        fails(1, "serve", "--config", made.config, "--node", "mds0", telling=["127.0.0.1:" + str(port), "listen"])
    step("a missing folder")
    os.rename(made.folder + "/mds0", made.folder + "/away")
    fails(1, "serve", "--config", made.config, "--node", "mds0", telling=made.folder + "/mds0")
    os.rename(made.folder + "/away", made.folder + "/mds0")
    made.up()


def strangers(made, folder):
    step("a target of another cluster is refused")
    with open(made.config) as file:
        text = file.read()
    uuid = text.split('uuid = "')[1].split('"')[0]
    other = folder + "/stranger.toml"
    with open(other, "w") as file:
        file.write(text.replace(uuid, "00000000-1111-4222-8333-444444444444"))
    os.makedirs(folder + "/strange-mount")
    fails(1, "mount", "--config", other, folder + "/strange-mount", telling="cannot reach the cluster")
    done = rideau("status", "--config", other, check=False)
    expect(done.returncode == 1 and "belongs to cluster" in done.stdout, done.stdout)


def plugins_that_do_not_fit(folder):
    step("plugins: listed, described, and refused when they are not what they should be")
    listed = rideau("plugins").stdout
    for name in ("tcp", "lmdb", "raw-file"):
        expect(name in listed, f"{name} is not listed")
        expect("path" in rideau("plugins", "describe", name).stdout or name == "tcp", f"describe {name}")
    fails(2, "plugins", "describe", "pigeon", telling="pigeon")
    os.makedirs(folder + "/plugins")
    with open(folder + "/plugins/rideau-broken.so", "wb") as file:
        file.write(b"this is not a library")
    fails(1, "--plugin-path", folder + "/plugins", "plugins", telling="rideau-broken.so")
    shutil.copy("/usr/lib/x86_64-linux-gnu/libm.so.6", folder + "/plugins/rideau-other.so")
    fails(1, "--plugin-path", folder + "/plugins", "plugins", telling="rideau-other.so")


def garbage_on_ports(made):
    step("garbage on every port closes that link alone (S60)")
    chance = random.Random(11)
    with open(made.config) as file:
        ports = [int(part.split('"')[0]) for part in file.read().split("127.0.0.1:")[1:]]
    for port in sorted(set(ports)):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
                with_hello = chance.random() < 0.5
                data = chance.randbytes(chance.randrange(1, 5000))
                try:
                    if with_hello:
                        data = link.recv(4096) + data
                    link.sendall(data)
                    link.shutdown(socket.SHUT_WR)
                    while link.recv(4096):
                        pass
                except OSError:
                    pass
    with open(made.mount + "/still-here", "w") as file:
        file.write("yes")
    status = json.loads(rideau("status", "--config", made.config, "--json").stdout)
    expect(status["healthy"], "a server is gone after garbage on its port")


def missing_servers(made):
    step("status tells which server is missing; it comes back with `serve`")
    made.kill("oss1")
    fails(1, "status", "--config", made.config, telling=["oss1", "down"])
    log = open(made.folder + "/log/oss1.log", "a")
    server = subprocess.Popen([RIDEAU, "serve", "--config", made.config, "--node", "oss1"], stdout=log, stderr=log)
    until = time.monotonic() + 20 * PATIENCE
    while rideau("status", "--config", made.config, check=False).returncode != 0:
        expect(time.monotonic() < until, "oss1 does not come back")
    server.terminate()
    expect(server.wait(20) == 0, "an orderly end has exit status 0")


def another_cluster(made):
    step("`up` with words for a new cluster says that the one that is there is another")
    for words in (("--oss", "1"), ("--transport", "zmq"), ("--objects", "block-device"), ("--single-process",)):
        fails(2, "up", "--dir", made.folder, *words, telling=" ".join(words) + " is for a new cluster")
    rideau("up", "--dir", made.folder, "--oss", "2", "--transport", "tcp", "--objects", "raw-file", "--index", "lmdb")


def stale_mounts(made):
    step("a stale mount is cleaned; a mount over the cluster's own folder is refused")
    client = made.process("client0")
    os.kill(client, signal.SIGKILL)
    await_end(client)
    made.up()
    expect(os.path.exists(made.mount + "/still-here"), "not mounted anew")
    fails(2, "up", "--dir", made.folder, "--mount", made.folder, telling="inside the mount point")
    fails(1, "mount", "--config", made.config, os.path.dirname(made.folder), telling="inside the mount point")
    fails(1, "mount", "--config", made.config, made.folder + "/nowhere", telling="mkdir")
    fails(1, "umount", "/usr", telling="no Rideau file system")
    fails(2, "sync", "/usr", telling="not on a Rideau file system")
    rideau("sync", made.mount)


need_fuse()
with temporary_folder() as scratch:
    wrong_options(scratch)
    plugins_that_do_not_fit(scratch)
    with cluster() as made_cluster:
        run("sh", "-c", f"{RIDEAU} version | grep -q rideau")
        rideau("check-config", made_cluster.config)
        wrong_configurations(made_cluster.config, scratch)
        no_events(made_cluster.config, scratch)
        second_starts(made_cluster)
        strangers(made_cluster, scratch)
        garbage_on_ports(made_cluster)
        another_cluster(made_cluster)
        stale_mounts(made_cluster)
        missing_servers(made_cluster)
        made_cluster.down()
print("every failure was told clearly")

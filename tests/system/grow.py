# SPDX-License-Identifier: Apache-2.0
"""Goal: a cluster gets more object servers while programs work on it, which notice nothing: with one command on one machine,
and from an edited file. A client that nobody told finds out by itself."""
import json
import os
import socket
import threading

from cluster import cluster, expect, need_fuse, rideau, run, step

MIB = 1 << 20


def targets(path):
    told = json.loads(rideau("layout", "get", "--json", path).stdout)
    return sorted((told[0] if isinstance(told, list) else told)["targets"])


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Writer(threading.Thread):
    """Makes files and reads them back until it is told to stop; whatever fails is kept."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.files = 0
        self.failure = None
        self.stopping = False
        os.mkdir(folder)

    def run(self):
        try:
            while not self.stopping:
                path = f"{self.folder}/{self.files}"
                data = os.urandom(3 * MIB)
                write(path, data)
                expect(read(path) == data, f"{path}: other bytes")
                self.files += 1
                if self.files > 20:
                    os.unlink(f"{self.folder}/{self.files - 20}")
        except Exception as failure:  # told in the main thread
            self.failure = failure

    def finish(self):
        self.stopping = True
        self.join()
        expect(self.failure is None and self.files > 0, f"after {self.files} files: {self.failure}")


def tell_only(made, node):
    """Has one node read the file again, and no other."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{made.folder}/run/{node}.sock")
        connection.sendall(b"POST /reload HTTP/1.1\r\nHost: node\r\nContent-Length: 0\r\n\r\n")
        told = connection.recv(65536).decode()
    expect(" 200 " in told.splitlines()[0], told)


def with_one_command(made, other):
    before = os.urandom(5 * MIB)
    write(made.mount + "/before", before)
    expect(targets(made.mount + "/before") == [2], "one object server")
    step("two more object servers, while two mounts are at work")
    writers = [Writer(made.mount + "/here"), Writer(other + "/there")]
    for writer in writers:
        writer.start()
    told = rideau("up", "--dir", made.folder, "--oss", "3").stdout
    expect("oss1 is new in" in told and "oss2 is up on" in told, told)
    made.oss = 3
    for writer in writers:
        writer.finish()
    rideau("status", "--config", made.config)
    after = os.urandom(7 * MIB)
    write(other + "/after", after)
    expect(targets(other + "/after") == [2, 3, 4], f"new files lie on all: {targets(other + '/after')}")
    for mount in (made.mount, other):
        expect(read(mount + "/before") == before and read(mount + "/after") == after, f"{mount}: other bytes")


def from_an_edited_file(made, other):
    step("one more from an edited file; of those that run only the metadata server is told")
    with open(made.config) as file:
        text = file.read()
    ports = {int(line.split(":")[1].split('"')[0]) for line in text.splitlines() if line.startswith("listen")}
    port = next(port for port in range(max(ports) + 1, 65536) if is_free(port))
    with open(made.config, "a") as file:
        file.write(f'\n[node.extra]\nroles = ["oss"]\nid = 9\nlisten = "127.0.0.1:{port}"\ndata = "extra"\n')
    rideau("check-config", made.config)
    os.mkdir(made.folder + "/extra")
    made.serve("extra")
    made.oss = 4
    tell_only(made, "mds0")
    data = os.urandom(9 * MIB)
    write(made.mount + "/wide", data)
    expect(targets(made.mount + "/wide") == [2, 3, 4, 9], f"{targets(made.mount + '/wide')}")
    expect(read(other + "/wide") == data, "other bytes through the other mount")
    os.truncate(other + "/wide", 4 * MIB + 5)
    expect(read(made.mount + "/wide") == data[:4 * MIB + 5], "other bytes after a cut")
    rideau("reload", "--config", made.config)


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def refusals(made):
    step("what cannot change while nodes run is told, and changes nothing")
    with open(made.config) as file:
        text = file.read()
    for old, new, telling in (("id = 9", "id = 10", "had target 9 and has it no more"),
                              ('[node.extra]\nroles = ["oss"]\nid = 9', '[node.other]\nroles = ["oss"]\nid = 9',
                               "node.extra is there no more")):
        expect(old in text, "the file is another")
        write(made.config, text.replace(old, new).encode())
        refused = rideau("reload", "--config", made.config, check=False)
        expect(refused.returncode == 1 and telling in refused.stdout, refused.stdout)
    write(made.config, text.encode())
    fewer = rideau("up", "--dir", made.folder, "--oss", "1", check=False)
    expect(fewer.returncode == 2 and "--oss 1 is for a new cluster" in fewer.stdout, fewer.stdout)


need_fuse()
with cluster(oss=1) as made_cluster:
    another = made_cluster.mount_another("other")
    with_one_command(made_cluster, another)
    from_an_edited_file(made_cluster, another)
    refusals(made_cluster)
    step("the metadata server is killed and comes back; then everything stops and starts")
    made_cluster.kill("mds0")
    made_cluster.serve("mds0")
    write(another + "/later", os.urandom(4 * MIB))
    run("umount", another)
    made_cluster.down()
    made_cluster.check()
    made_cluster.up()
    expect(len(read(made_cluster.mount + "/later")) == 4 * MIB and targets(made_cluster.mount + "/later") == [2, 3, 4, 9],
           "after a restart")
    made_cluster.down()
print("a cluster grows while programs work")

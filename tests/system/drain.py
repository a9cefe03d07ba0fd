# SPDX-License-Identifier: Apache-2.0
"""Goal: an object server is emptied while programs on two mounts write, rename and map the very files that move, and while
servers and the command itself are killed; nobody sees an error or a wrong byte, no object is left over, and the server is
taken out of the cluster for ever."""
import json
import mmap
import multiprocessing
import os
import random
import subprocess
import time

from cluster import RIDEAU, PATIENCE, await_end, cluster, expect, kill_processes, need_fuse, rideau, run, step

MIB = 1 << 20
LEAVING = 3  # target of oss1


def targets(path):
    return json.loads(rideau("layout", "get", "--json", path).stdout)[0]["targets"]


def nodes(made):
    told = json.loads(rideau("status", "--config", made.config, "--json", check=False).stdout)["nodes"]
    return {node["node"]: node for node in told}


class Work(multiprocessing.Process):
    """A program of its own: does its step again and again until it is told to stop, then compares everything. A process,
    since one that waits for a server in a mapping would have all threads of Python wait."""

    def __init__(self, folder, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.folder = folder
        self.stopping = multiprocessing.Event()
        self.told = multiprocessing.SimpleQueue()
        os.mkdir(folder)

    def run(self):
        steps = 0
        try:
            self.begin()
            while not self.stopping.is_set():
                self.step()
                steps += 1
            self.compare()
            self.told.put((steps, None))
        except Exception as failure:  # told by finish()
            self.told.put((steps, repr(failure)))

    def finish(self):
        self.stopping.set()
        steps, failure = self.told.get()
        self.join()
        expect(failure is None and steps > 0, f"{self.folder} after {steps} steps: {failure}")


class Writer(Work):
    """Writes into one open file at random places, cuts it, appends to it, and reads it back."""

    def begin(self):
        self.model = bytearray(os.urandom(6 * MIB))
        self.file = os.open(self.folder + "/file", os.O_RDWR | os.O_CREAT, 0o644)
        os.write(self.file, self.model)

    def step(self):
        what = self.random.random()
        if what < 0.05:
            size = self.random.randrange(MIB, len(self.model) + MIB)
            os.ftruncate(self.file, size)
            self.model = self.model[:size] + bytearray(max(0, size - len(self.model)))
        elif what < 0.1:
            os.fsync(self.file)
        elif what < 0.6:
            data = os.urandom(self.random.randrange(1, 200_000))
            offset = self.random.randrange(min(len(self.model), 7 * MIB))
            expect(os.pwrite(self.file, data, offset) == len(data), "a short write")
            if len(self.model) < offset + len(data):
                self.model += bytearray(offset + len(data) - len(self.model))
            self.model[offset:offset + len(data)] = data
        else:
            offset = self.random.randrange(len(self.model))
            size = self.random.randrange(1, 300_000)
            expect(os.pread(self.file, size, offset) == self.model[offset:offset + size], f"other bytes at {offset}")
        time.sleep(0.002)

    def compare(self):
        with open(self.folder + "/file", "rb") as file:
            expect(file.read() == self.model, "other bytes in the end")
        os.close(self.file)


class Renamer(Work):
    """Makes files, renames them over each other, reads them, and leaves some unlinked and open."""

    def begin(self):
        self.files = {}
        self.orphans = []

    def step(self):
        name = f"{self.folder}/{self.random.randrange(30)}"
        what = self.random.random()
        if what < 0.4 or not self.files:
            data = os.urandom(self.random.randrange(100_000))
            with open(name + ".new", "wb") as file:
                file.write(data)
            os.rename(name + ".new", name)
            self.files[name] = data
        elif what < 0.6:
            old = self.random.choice(sorted(self.files))
            if old != name:
                os.rename(old, name)
                self.files[name] = self.files.pop(old)
        elif what < 0.65 and len(self.orphans) < 5:
            old = self.random.choice(sorted(self.files))
            self.orphans.append((os.open(old, os.O_RDONLY), self.files.pop(old)))
            os.unlink(old)
        else:
            old = self.random.choice(sorted(self.files))
            with open(old, "rb") as file:
                expect(file.read() == self.files[old], f"{old}: other bytes")

    def compare(self):
        expect(sorted(os.listdir(self.folder)) == sorted(map(os.path.basename, self.files)), "other names")
        for name, data in self.files.items():
            with open(name, "rb") as file:
                expect(file.read() == data, f"{name}: other bytes in the end")
        for file, data in self.orphans:
            expect(os.pread(file, len(data) + 1, 0) == data, "other bytes of a file without a name")
            os.close(file)


class Mapper(Work):
    """Changes a file through a mapping and compares it with what it wrote."""

    def begin(self):
        self.model = bytearray(os.urandom(3 * MIB))
        with open(self.folder + "/mapped", "wb") as file:
            file.write(self.model)
        self.file = os.open(self.folder + "/mapped", os.O_RDWR)
        self.map = mmap.mmap(self.file, len(self.model))

    def step(self):
        offset = self.random.randrange(len(self.model) - 5000)
        data = os.urandom(5000)
        self.map[offset:offset + 5000] = data
        self.model[offset:offset + 5000] = data
        there = self.random.randrange(len(self.model) - 5000)
        expect(self.map[there:there + 5000] == self.model[there:there + 5000], f"other bytes in the mapping at {there}")
        if self.random.random() < 0.1:
            self.map.flush()
        time.sleep(0.005)

    def compare(self):
        self.map.flush()
        self.map.close()
        os.close(self.file)
        with open(self.folder + "/mapped", "rb") as file:
            expect(file.read() == self.model, "other bytes behind the mapping")


class Still:
    """Files that nobody touches meanwhile: bytes, holes, times and names stay what they were."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder)
        for number in range(60):
            with open(f"{folder}/{number}", "wb") as file:
                file.write(os.urandom(3000 + 100 * number))
        with open(folder + "/large", "wb") as file:
            file.write(os.urandom(40 * MIB))
        with open(folder + "/sparse", "wb") as file:
            file.write(b"begin")
            file.seek(300 * MIB)
            file.write(b"end")
        os.truncate(folder + "/sparse", 500 * MIB)
        os.link(folder + "/1", folder + "/link")
        os.setxattr(folder + "/2", "user.colour", b"green")
        os.utime(folder + "/3", ns=(10**18, 10**18))
        os.chmod(folder + "/4", 0o4711)
        run("sync", "-f", folder, check=False)
        self.before = self.look(folder)
        self.sparse_blocks = os.stat(folder + "/sparse").st_blocks

    @staticmethod
    def look(folder):
        seen = {}
        for name in sorted(os.listdir(folder)):
            path = f"{folder}/{name}"
            stat = os.stat(path)
            with open(path, "rb") as file:
                content = hash(file.read()) if name != "sparse" else (file.read(5), file.seek(300 * MIB), file.read(10))
            seen[name] = (stat.st_mode, stat.st_size, stat.st_nlink, stat.st_mtime_ns, stat.st_ctime_ns, content)
        return seen

    def compare(self, *folders):
        for folder in folders:
            now = self.look(folder)
            for name, was in self.before.items():
                expect(now.get(name) == was, f"{folder}/{name}: {was} became {now.get(name)}")
            expect(os.getxattr(folder + "/2", "user.colour") == b"green", "an attribute")
            with open(folder + "/sparse", "rb") as file:
                expect(os.lseek(file.fileno(), 6 * MIB, os.SEEK_DATA) >= 299 * MIB, "holes were filled")


def begin_drain(made, rate, node="oss1"):
    return subprocess.Popen([RIDEAU, "drain", "--config", made.config, node, "--rate", rate], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def wait_for(what, condition, seconds=60 * PATIENCE):
    until = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < until, f"not within {seconds} s: {what}")
        time.sleep(0.1)


def moved(made):
    return nodes(made).get("oss1", {}).get("drain", {}).get("files_moved", 0)


def wrong_words(made):
    step("what makes no sense is refused with words")
    for words, telling in ((["oss1", "--rate", "10"], "with a unit"), (["oss1", "--rate", "0"], "with a unit"),
                           (["oss9"], "is no node"), (["mds0"], "is no object server"),
                           (["oss1", "--cancel", "--remove"], "excludes")):
        refused = rideau("drain", "--config", made.config, *words, check=False)
        expect(refused.returncode == 2 and telling in refused.stdout, f"{words}: {refused.stdout}")
    refused = rideau("drain", "--config", made.config, "oss1", "--remove", check=False)
    expect(refused.returncode == 1 and "not drained" in refused.stdout, refused.stdout)
    refused = rideau("scrub", "--config", made.config, "--rate", "0", check=False)
    expect(refused.returncode == 2 and "with a unit" in refused.stdout, refused.stdout)


def drain_while_everything_dies(made, other, still):
    step("oss1 is drained, slowly, while two mounts are at work")
    tool = begin_drain(made, "6 MiB")
    wait_for("files move", lambda: moved(made) > 3)
    state = nodes(made)["oss1"]["drain"]
    expect(state["state"] == "draining" and state["files_left"] > 0, f"status: {state}")
    step("new files lie elsewhere, and a layout that names it is refused")
    with open(made.mount + "/new", "wb") as file:
        file.write(os.urandom(4 * MIB))
    expect(LEAVING not in targets(made.mount + "/new"), f"{targets(made.mount + '/new')}")
    refused = rideau("layout", "set", "--offset", "1", made.mount + "/named", check=False)
    expect(refused.returncode == 1 and "drained" in refused.stdout, refused.stdout)
    step("the command is killed; the files go on moving")
    kill_processes([tool.pid])
    tool.wait()
    before = moved(made)
    wait_for("files move without the command", lambda: moved(made) > before)
    for node in ("oss1", "mds0", "oss0", "oss2", "mds0"):
        step(f"{node} is killed and comes back")
        made.kill(node)
        time.sleep(0.3)
        made.serve(node)
        wait_for(f"{node} is back", lambda: nodes(made)[node]["up"])
        time.sleep(1)
    still.compare(made.mount + "/still")
    step("the command again, at full speed")
    tool = begin_drain(made, "unlimited")
    told, _ = tool.communicate(timeout=300 * PATIENCE)
    expect(tool.returncode == 0 and "oss1 is drained" in told, f"{tool.returncode}: {told}")
    now = nodes(made)["oss1"]
    expect(now["objects"] == 0 and now["drain"]["state"] == "drained", f"{now}")
    again = rideau("drain", "--config", made.config, "oss1")
    expect("is drained" in again.stdout, again.stdout)


def take_out(made, other):
    step("it is taken out, and stopped; everybody goes on")
    process = made.process("oss1")
    told = rideau("drain", "--config", made.config, "oss1", "--remove").stdout
    expect("is taken out" in told and "oss1 stopped" in told, told)
    await_end(process)
    with open(made.config) as file:
        text = file.read()
    expect("[node.oss1]" not in text and "removed = [3]" in text, text)
    rideau("check-config", made.config)
    for mount in (made.mount, other):
        expect(run("df", mount).returncode == 0, "df")
        rideau("sync", mount)
    rideau("status", "--config", made.config)
    step("its id is never used again")
    with open(made.config, "a") as file:
        file.write('\n[node.back]\nroles = ["oss"]\nid = 3\nlisten = "127.0.0.1:1"\ndata = "back"\n')
    refused = rideau("check-config", made.config, check=False)
    expect(refused.returncode == 2 and "never used again" in refused.stdout, refused.stdout)
    with open(made.config, "w") as file:
        file.write(text)
    grown = rideau("up", "--dir", made.folder, "--oss", "3").stdout
    expect("oss3 is new in" in grown, grown)
    with open(made.config) as file:
        expect("id = 5" in file.read(), "another id")


def cancelled(made):
    step("a drain that is cancelled: the server takes files again")
    tool = begin_drain(made, "1 MiB", "oss2")
    wait_for("it is drained", lambda: "drain" in nodes(made)["oss2"])
    rideau("drain", "--config", made.config, "oss2", "--cancel")
    told, _ = tool.communicate(timeout=60 * PATIENCE)
    expect(tool.returncode == 1 and "takes files again" in told, told)
    expect("drain" not in nodes(made)["oss2"], "status")
    with open(made.mount + "/again", "wb") as file:
        file.write(os.urandom(4 * MIB))
    expect(4 in targets(made.mount + "/again"), f"{targets(made.mount + '/again')}")


need_fuse()
with cluster(oss=3) as made_cluster:
    another = made_cluster.mount_another("other")
    kept = Still(made_cluster.mount + "/still")
    wrong_words(made_cluster)
    works = [Writer(made_cluster.mount + "/w1", 1), Writer(another + "/w2", 2), Renamer(made_cluster.mount + "/r1", 3),
             Renamer(another + "/r2", 4), Mapper(made_cluster.mount + "/m1", 5), Mapper(another + "/m2", 6)]
    for work in works:
        work.start()
    drain_while_everything_dies(made_cluster, another, kept)
    online = rideau("fsck", "--config", made_cluster.config, check=False)
    expect(online.returncode == 0, online.stdout)
    take_out(made_cluster, another)
    for work in works:
        work.finish()
    kept.compare(made_cluster.mount + "/still", another + "/still")
    cancelled(made_cluster)
    step("everything stops and starts; the check is clean, and everything is there")
    run("umount", another)
    made_cluster.oss = 3
    made_cluster.down()
    made_cluster.check()
    made_cluster.up()
    kept.compare(made_cluster.mount + "/still")
    for work in works:
        folder = work.folder.replace("/other/", "/mnt/")
        for name in os.listdir(folder):
            expect(LEAVING not in targets(f"{folder}/{name}"), f"{folder}/{name}")
    made_cluster.down()
    expect(os.listdir(made_cluster.folder + "/oss1"), "the data of the old server stays for its operator")
print("a server is emptied and taken out while programs work")

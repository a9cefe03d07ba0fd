# SPDX-License-Identifier: Apache-2.0
"""Goal: a server that is killed while mounts are in use is a pause. Calls end, those that begin meanwhile succeed after its
restart, and nothing that was answered is lost, fsynced or not."""
import contextlib
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time

from cluster import PATIENCE, RIDEAU, await_end, cluster, expect, need_fuse, rideau, step

CALL_SECONDS = 60 * PATIENCE
FILES_OF_WORKER = 6


def content(name, size):
    return (hashlib.sha256(name.encode()).digest() * (size // 32 + 1))[:size]


class Call(threading.Thread):
    """A call on a mount that must end; what it gave is in `result` or `error`."""

    def __init__(self, what, function, *arguments):
        super().__init__(daemon=True)
        self.what, self.function, self.arguments = what, function, arguments
        self.result = self.error = None
        self.begun = time.monotonic()
        self.seconds = None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.arguments)
        except OSError as error:
            self.error = error
        self.seconds = time.monotonic() - self.begun

    def end(self, seconds=CALL_SECONDS):
        self.join(max(0.0, self.begun + seconds - time.monotonic()))
        expect(not self.is_alive(), f"{self.what}: has not ended after {seconds} s")
        return self

    def value(self, seconds=CALL_SECONDS):
        self.end(seconds)
        expect(self.error is None, f"{self.what}: {self.error} after {self.seconds or 0:.1f} s")
        return self.result


def call(what, function, *arguments, seconds=CALL_SECONDS):
    return Call(what, function, *arguments).value(seconds)


def write_file(path, data):
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def write_durably(path, data):
    with open(path, "wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())


def read_file(path):
    with open(path, "rb", buffering=0) as file:
        return file.read()


def read_handle(descriptor, size):
    """Past what the kernel keeps, so that the servers are asked."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return os.pread(descriptor, size, 0)


def kill(made, *nodes):
    step(f"kill -9 of {' and '.join(nodes)}")
    made.kill(*nodes)
    # Of a change that is on its way at this moment nobody knows whether it was made, so it may be told EIO. A client that is
    # kept from running for a moment would send the next calls into the dead link as well.
    time.sleep(0.3 * PATIENCE)


def restart(made, *nodes):
    step(f"restart of {' and '.join(nodes)}")
    made.serve(*nodes)
    until = time.monotonic() + 30 * PATIENCE
    while json.loads(rideau("status", "--config", made.config, "--json", check=False).stdout)["healthy"] is not True:
        expect(time.monotonic() < until, f"{nodes} do not come back")
        time.sleep(0.1)


def check_status(made, down):
    """What `status` says of each server; a mount that waits for one does not make it wait."""
    done = Call("rideau status", lambda: rideau("status", "--config", made.config, "--json", check=False)).value(20)
    expect(done.returncode == (1 if down else 0), f"status: exit status {done.returncode}\n{done.stdout}")
    for node in json.loads(done.stdout)["nodes"]:
        expect(node["up"] == (node["node"] not in down), f"status tells wrong things of {node['node']}:\n{done.stdout}")


def close_telling(descriptor):
    """fsync and close; True when one of them told EIO."""
    told = False
    for function in (os.fsync, os.close):
        try:
            function(descriptor)
        except OSError as error:
            expect(error.errno == errno.EIO, f"{function.__name__} of an open file with lost changes: {error}")
            told = True
    return told


class NamesNotDurable:
    """A directory, durable itself, with names that are not: its fsync knows whether they are there."""

    def __init__(self, path):
        self.path = path
        os.mkdir(path)
        self.descriptor = os.open(path, os.O_RDONLY)
        os.fsync(self.descriptor)
        self.names = [f"n{number}" for number in range(20)]
        for name in self.names:
            write_file(f"{path}/{name}", b"")

    def check(self):
        call("fsync of a directory", os.fsync, self.descriptor)
        there = call("list of a directory", os.listdir, self.path)
        expect(sorted(there) == sorted(self.names), f"{self.path}: names are lost, {len(there)} are there")
        os.close(self.descriptor)


class Dirty:
    """An open file with changes that were not made durable."""

    def __init__(self, mount, name, size):
        self.path, self.data = f"{mount}/{name}", content(name, size)
        self.descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o644)
        os.write(self.descriptor, self.data)

    def check(self):
        """True when EIO told that they are lost; else they are there."""
        if call(f"fsync and close of {self.path}", close_telling, self.descriptor):
            return True
        expect(call(f"read of {self.path}", read_file, self.path) == self.data, f"{self.path}: changes are lost silently")
        return False


def kill_in_use(made, other, nodes, tag, pause):
    """One round: durable files, clean and dirty handles; the kill; calls meanwhile; the restart; and what must hold then."""
    mount = made.mount
    durable = {f"{tag}-durable-{size}": content(f"{tag}-durable-{size}", size) for size in (0, 1, 70_000, 3 << 20)}
    folder = f"{mount}/{tag}"
    os.mkdir(folder)
    for name, data in durable.items():
        write_durably(f"{folder}/{name}", data)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    names = sorted(durable)
    clean = {name: os.open(f"{folder}/{name}", os.O_RDONLY) for name in names}
    for name in names:
        expect(read_handle(clean[name], len(durable[name]) + 1) == durable[name], f"{name} before the kill")
    # Of the other mount nothing is dirty: the lock goes back and forth between the two.
    far = {name: os.open(f"{other}/{tag}/{name}", os.O_RDONLY) for name in names}
    writable = os.open(f"{folder}/{names[-1]}", os.O_RDWR)
    dirty = [Dirty(mount, f"{tag}-dirty-{size}", size) for size in (10, 100_000, 5 << 20)]
    names_not_durable = NamesNotDurable(f"{folder}/names")
    mode_not_durable = os.open(f"{folder}/{names[0]}", os.O_RDONLY)
    os.fchmod(mode_not_durable, 0o611)

    kill(made, *nodes)
    meanwhile = [
        Call("stat of a durable file", os.stat, f"{folder}/{names[-1]}"),
        Call("list", os.listdir, folder),
        Call("create", write_file, f"{folder}/{tag}-created", b"created meanwhile"),
        Call("mkdir", os.mkdir, f"{folder}/{tag}-made"),
        Call("read of a new open", read_file, f"{folder}/{names[-1]}"),
        Call("read of a clean handle", read_handle, clean[names[-1]], 4 << 20),
        Call("list on the other mount", os.listdir, f"{other}/{tag}"),
        Call("read on the other mount", read_handle, far[names[-1]], 4 << 20),
        Call("create on the other mount", write_file, f"{other}/{tag}/{tag}-far", b"far away"),
        Call("statvfs", os.statvfs, mount),
    ]
    check_status(made, down=nodes)
    time.sleep(pause)
    restart(made, *nodes)

    step("calls of meanwhile have ended, and well")
    for one in meanwhile:
        one.value()
    expect(meanwhile[4].result == durable[names[-1]], "a read that began without the server gave other bytes")
    step("new calls work")
    for where in (mount, other):
        for name in names:
            expect(call(f"read of {name}", read_file, f"{where}/{tag}/{name}") == durable[name], f"{where}: {name} was fsynced and is not as it was")
    for name in names:
        expect(call(f"read of the open {name}", read_handle, clean[name], 4 << 20) == durable[name], f"the open {name} has other bytes")
        expect(call(f"read of the open {name}", read_handle, far[name], 4 << 20) == durable[name], f"the open {name} has other bytes")
    for where in (mount, other):
        call("write and fsync", write_durably, f"{where}/{tag}/after", b"after " * 40_000)
        expect(call("read", read_file, f"{other if where == mount else mount}/{tag}/after") == b"after " * 40_000, "what was written afterwards")
        call("unlink", os.unlink, f"{where}/{tag}/after")
    expect(call("read", read_file, f"{other}/{tag}/{tag}-created") == b"created meanwhile", "created meanwhile")
    expect(call("read", read_file, f"{mount}/{tag}/{tag}-far") == b"far away", "created meanwhile on the other mount")
    step("a handle without changes can be written through")
    call("write", os.pwrite, writable, b"changed", 0)
    call("fsync", os.fsync, writable)
    os.close(writable)
    expect(call("read", read_file, f"{other}/{tag}/{names[-1]}")[:7] == b"changed", "the write does not show")
    step("what was written is there, though nobody had made it durable")
    for one in dirty:
        expect(not one.check(), f"{one.path}: its bytes are lost")
    names_not_durable.check()
    call("fsync of a file whose mode was changed", os.fsync, mode_not_durable)
    expect(os.fstat(mode_not_durable).st_mode & 0o777 == 0o611, "a change of mode is lost")
    for descriptor in [*clean.values(), *far.values(), mode_not_durable]:
        call("close", os.close, descriptor)
    check_status(made, down=())
    for one in dirty:
        call("write again", write_durably, one.path, one.data)
        expect(call("read again", read_file, one.path.replace(mount, other)) == one.data, f"{one.path}: written again, other bytes")
    for where in (mount, other):
        expect(call("list", lambda: sorted(os.listdir(f"{where}/{tag}"))) == sorted([*names, "names", f"{tag}-created", f"{tag}-made", f"{tag}-far"]),
               f"{where} has other names")


def stopped_client(made, other):
    """A client that is stopped while it has the lock delays others for a bounded time, and finds its way back."""
    step("SIGSTOP of a client with the lock")
    mount = made.mount
    write_durably(f"{mount}/kept", b"kept" * 50_000)
    dirty = Dirty(mount, "stopped-dirty", 300_000)
    reader = os.open(f"{mount}/kept", os.O_RDONLY)
    process = made.process("client0")
    os.kill(process, signal.SIGSTOP)
    try:
        wait = Call("create on the other mount", write_durably, f"{other}/not-stopped", b"goes on")
        wait.value(45)
        step(f"the other mount went on after {wait.seconds:.1f} s")
        expect(call("read on the other mount", read_file, f"{other}/kept") == b"kept" * 50_000, "other bytes")
    finally:
        os.kill(process, signal.SIGCONT)
    step("SIGCONT: it recovers")
    expect(call("read of the open file", read_handle, reader, 1 << 20) == b"kept" * 50_000, "other bytes through the open file")
    os.close(reader)
    expect(call("read", read_file, f"{mount}/not-stopped") == b"goes on", "the stopped client does not see what happened")
    call("write", write_durably, f"{mount}/back", b"back")
    found = call("read", read_file, f"{other}/back")
    expect(found == b"back", f"other bytes: {found[:20]!r}, {len(found)}; here {read_file(f'{mount}/back')[:20]!r}")
    dirty.check()


class Worker(threading.Thread):
    """Makes, reads, renames, removes files until told to stop. What it fsynced it remembers, and reads again."""

    def __init__(self, mount, tag):
        super().__init__(daemon=True)
        self.folder, self.tag, self.chance = f"{mount}/load", tag, random.Random(tag)
        self.durable, self.problems, self.stop = {}, [], False
        self.calls = 0
        self.doing, self.since = "", time.monotonic()

    def changes(self, what, function, *arguments):
        """A call: servers come and go, and it succeeds all the same."""
        self.doing, self.since = what, time.monotonic()
        self.calls += 1
        try:
            function(*arguments)
        except OSError as error:
            self.problems.append(f"{what}: {error}")
            return False
        return True

    def expect_to_go_on(self):
        waits = time.monotonic() - self.since
        expect(waits < CALL_SECONDS, f"worker {self.tag}: {self.doing} has not ended after {waits:.0f} s")

    def run(self):
        number = 0
        while not self.stop and not self.problems:
            number += 1
            name = f"{self.tag}-{number}"
            path, data = f"{self.folder}/{name}", content(name, self.chance.choice((5, 4_000, 200_000, 1_500_000)))
            if self.changes(f"write and fsync of {name}", write_durably, path, data):
                self.durable[name] = data
            if self.changes(f"write of {name}.tmp", write_file, path + ".tmp", data[:5000]) and self.changes(
                    f"rename of {name}.tmp", os.rename, path + ".tmp", path + ".new"):
                self.changes(f"unlink of {name}.new", os.unlink, path + ".new")
            if self.durable:
                self.look(self.chance.choice(sorted(self.durable)))

    def look(self, name):
        self.doing, self.since = f"read of {name}", time.monotonic()
        try:
            if read_file(f"{self.folder}/{name}") != self.durable[name]:
                self.problems.append(f"{name} was fsynced and has other bytes")
        except OSError as error:
            self.problems.append(f"reading {name}, which was fsynced: {error}")


def under_load(made, other):
    """Servers are killed at any moment of the work on both mounts."""
    os.mkdir(made.mount + "/load")
    rideau("sync", made.mount)
    workers = [Worker(mount, tag) for mount, tag in ((made.mount, "a"), (made.mount, "b"), (other, "c"), (other, "d"))]
    for worker in workers:
        worker.start()
    chance = random.Random(11)
    for nodes in (["mds0"], ["oss0"], ["mds0"], ["oss1", "mds0"], ["oss0", "oss1"], ["mds0"]):
        time.sleep(chance.uniform(0.3, 1.5))
        kill(made, *nodes)
        time.sleep(chance.uniform(0, 1))
        restart(made, *nodes)
        for worker in workers:
            expect(not worker.problems, f"worker {worker.tag}: {worker.problems[:3]}")
            worker.expect_to_go_on()
    # However slow the machine is, some files of each were made through the kills.
    for worker in workers:
        while worker.is_alive() and len(worker.durable) < FILES_OF_WORKER:
            worker.expect_to_go_on()
            time.sleep(0.05)
    for worker in workers:
        worker.stop = True
    for worker in workers:
        worker.join(CALL_SECONDS)
        expect(not worker.is_alive(), f"worker {worker.tag}: {worker.doing} does not end")
        expect(not worker.problems, f"worker {worker.tag}: {worker.problems[:3]}")
        print(f"         worker {worker.tag}: {worker.calls} changing calls, {len(worker.durable)} files durable", flush=True)
    for worker in workers:
        for name, data in worker.durable.items():
            for where in (made.mount, other):
                expect(read_file(f"{where}/load/{name}") == data, f"{where}: {name} was fsynced and is not as it was")


def is_mounted(point):
    """Without a call that would wait for servers that are away."""
    with open("/proc/self/mounts") as mounts:
        return any(line.split()[1] == point for line in mounts)


def down_without(nodes, started=()):
    """`started`: nodes that were killed as well, and are back."""
    step(f"umount and down without {' and '.join(nodes)}")
    with cluster() as made:
        other = made.mount_another("second")
        write_durably(made.mount + "/durable", b"d" * 100_000)
        write_file(made.mount + "/unsynced", b"u" * 100_000)
        os.listdir(other)
        kill(made, *nodes, *started)
        if started:
            made.serve(*started)
            time.sleep(4)       # it has found out what is away
        begun = time.monotonic()
        rideau("umount", other, timeout=CALL_SECONDS)
        expect(not is_mounted(other), "still mounted after umount")
        done = made.down(check=False, timeout=2 * CALL_SECONDS)
        step(f"umount and down took {time.monotonic() - begun:.1f} s, exit status {done.returncode}")
        expect(not is_mounted(made.mount), f"still mounted after down:\n{done.stdout}")
        expect("was killed" not in done.stdout, f"a server does not stop while others are away:\n{done.stdout}")
        for node in made.nodes():
            with contextlib.suppress(ValueError):
                await_end(made.process(node))
        made.up()
        expect(call("read", read_file, made.mount + "/durable") == b"d" * 100_000, "what was fsynced is not there")
        made.down()
        made.check()


if __name__ == "__main__":
    need_fuse()
    with cluster() as both:
        second = both.mount_another("second")
        kill_in_use(both, second, ["mds0"], "mds", 1)
        kill_in_use(both, second, ["oss0"], "oss", 1)
        kill_in_use(both, second, ["oss0", "oss1"], "both-oss", 1)
        kill_in_use(both, second, ["mds0", "oss1"], "mds-oss", 1)
        kill_in_use(both, second, ["mds0"], "mds-long", 10)
        under_load(both, second)
        stopped_client(both, second)
        both.down()
    down_without(["mds0"])
    down_without(["oss0"], ["mds0"])
    print("servers came and went")

# SPDX-License-Identifier: Apache-2.0
"""Goal: a client that was evicted while it slept writes nothing more when it wakes up (S47, S53): others keep what they
wrote meanwhile, its own programs get EIO for what is lost, once, and fresh data afterwards."""
import errno
import json
import os
import signal
import subprocess
import sys
import time

from cluster import cluster, expect, need_fuse, rideau, step


def status_of(made):
    return json.loads(rideau("status", "--config", made.config, "--json", check=False).stdout)


def client_of(made, mount):
    found = [one["client"] for one in status_of(made)["sessions"] if mount in one["name"]]
    expect(len(found) == 1, f"sessions of {mount}: {found}")
    return found[0]


# A program of its own has the file open: no other process may close a descriptor of it while the client sleeps.
WRITER = """
import os, sys
file = open(sys.argv[1], "r+b", buffering=0)
file.write(b"b" * 3_000_000)
print("written", flush=True)
sys.stdin.readline()
try:
    os.fsync(file.fileno())
    print("0", flush=True)
except OSError as problem:
    print(problem.errno, flush=True)
os._exit(0)
"""

need_fuse()
with cluster(oss=2) as made:
    step("a client has written and not stored yet when it falls asleep")
    sleeper = made.process("client0")
    path = "/shared"
    with open(made.mount + path, "wb") as file:
        file.write(b"a" * 3_000_000)
        os.fsync(file.fileno())
    client = client_of(made, made.mount)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, made.mount + path], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    expect(writer.stdout.readline() == "written\n", "the program cannot write")
    os.kill(sleeper, signal.SIGSTOP)
    try:
        step("it is evicted; another one gets its locks and writes")
        rideau("evict", "--config", made.config, made.mount)
        records = status_of(made)["evictions"]
        expect(len(records) == 1 and client in records[0] and "asked for by the operator" in records[0], records)
        expect("its last message came" in rideau("status", "--config", made.config, check=False).stdout, "no reason in the text")
        other = made.mount_another("other")
        with open(other + path, "r+b") as file:
            file.write(b"c" * 3_000_000)
            os.fsync(file.fileno())
    finally:
        os.kill(sleeper, signal.SIGCONT)
    step("it wakes up: nothing of what it had is written, and its programs are told")
    time.sleep(7)  # older than its dirty data may get
    wanted = b"c" * 3_000_000
    answer = writer.communicate("\n", timeout=60)[0].strip()
    expect(answer == str(errno.EIO), f"fsync of what was lost: errno {answer}")
    for mount in (made.mount, other):
        with open(mount + path, "rb") as file:
            found = file.read()
        expect(found == wanted, f"{mount} reads other bytes: {len(found)}, {found[:1]} {found[-1:]}")
    step("work goes on, on both mounts")
    with open(made.mount + path, "wb") as file:
        file.write(b"d" * 1_000_000)
        os.fsync(file.fileno())
    with open(other + path, "rb") as file:
        expect(file.read() == b"d" * 1_000_000, "the other mount reads something else")
    rideau("umount", other)
    made.down()
    made.check()

# SPDX-License-Identifier: Apache-2.0
"""A metadata server with many files is killed under three clients: how long after it is back the first of them has a new
answer, and the last, when all of them come back and when one never does."""
import contextlib
import itertools
import os
import re
import statistics
import subprocess
import threading
import time

from cluster import BUILD, expect, kill_processes, run
import sides

LIBRARY = os.path.join(BUILD, "tests", "rideau-bench-library")
OPENED = 100            # files that each client has open
CACHED_MAX = 10_000     # of which each has attributes and a lock
SECONDS_MAX = 60


class Client:
    """A mount with something to claim: files that are open, locks of what it has looked at, creates that are not durable."""

    def __init__(self, made, number):
        self.made, self.name = made, f"mnt{number}"
        self.acknowledged = []
        self.mount()

    def mount(self):
        before = self.made.processes()
        self.point = self.made.mount_another(self.name)
        (self.process,) = set(self.made.processes()) - set(before)
        self.folder = os.path.join(self.point, self.name)
        os.makedirs(self.folder, exist_ok=True)

    def look(self):
        """At the first files of the large folder, not at all names in it."""
        (large,) = [name for name in os.listdir(self.point) if name.startswith("bench-")]
        with os.scandir(os.path.join(self.point, large)) as entries:
            names = [entry.path for entry in itertools.islice(entries, CACHED_MAX)]
        expect(names, "no file is there")
        for name in names:
            os.lstat(name)

    def make(self, name):
        descriptor = os.open(os.path.join(self.folder, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        self.acknowledged.append(name)
        return descriptor

    def open_some(self, round_number):
        self.opened = [self.make(f"open-{round_number}-{number}") for number in range(OPENED)]

    def make_lately(self, round_number):
        """Until a moment before the kill, so that some are not durable then."""
        for number in range(50):
            os.close(self.make(f"late-{round_number}-{number}"))

    def ask(self, name):
        """Begins a create; `answered` is when it ended."""
        self.answered = None

        def work():
            os.close(self.make(name))
            self.answered = time.monotonic()

        self.asking = threading.Thread(target=work, daemon=True)
        self.asking.start()

    def die(self):
        kill_processes([self.process])

    def come_back(self):
        """A new mount after a death: what the old one had open is gone with it."""
        subprocess.run(["umount", "-l", self.point], check=False, stderr=subprocess.DEVNULL)
        self.close_all()
        self.made.extra_mounts.remove(self.point)
        self.mount()

    def close_all(self):
        for descriptor in self.opened:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.opened = []


def start_again(made, old):
    """Starts the killed mds0; when it was started, and when it began to listen."""
    started = time.monotonic()
    made.serve("mds0")
    while time.monotonic() - started < SECONDS_MAX:
        with contextlib.suppress(OSError, IndexError, ValueError):
            with open(os.path.join(made.folder, "run", "mds0.pid")) as file:
                process, address = file.read().split("\n")[:2]
            if int(process) != old and address:
                return started, time.monotonic()
        time.sleep(0.001)
    raise AssertionError("mds0 does not come back")


def one_kill(made, clients, number, missing):
    """Seconds from the start of the new server to its listening, and from there to the first and the last new answer."""
    for client in clients:
        client.open_some(number)
    old = made.process("mds0")
    for client in clients:
        client.make_lately(number)
    if missing is not None:
        missing.die()
    kill_processes([old])
    there = [client for client in clients if client is not missing]
    for client in there:
        client.ask(f"new-{number}")
    time.sleep(0.5)
    started, listening = start_again(made, old)
    for client in there:
        client.asking.join(SECONDS_MAX)
        expect(client.answered is not None, f"{client.name}: no answer {SECONDS_MAX} s after the restart")
    for client in there:
        client.close_all()
    answered = [client.answered for client in there]
    return listening - started, min(answered) - listening, max(answered) - listening


def check_names(clients, without):
    """What was acknowledged is there; of a client that died with the server, what was not durable may be gone."""
    for client in clients:
        if client is not without:
            missing = set(client.acknowledged) - set(os.listdir(client.folder))
            expect(not missing, f"{client.name}: {len(missing)} files that were acknowledged are gone: {sorted(missing)[:5]}")


def told_by_log(made):
    """What the server itself says of each recovery, in milliseconds."""
    return [int(found) for found in re.findall(r"serving again after (\d+) ms", made.log("mds0"))]


def seconds(values):
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def line(what, kills):
    begin, first, last = zip(*kills)
    return (f"- {what}: first new answer **{seconds(first)}** after the server is back, each of those that are there has one after "
            f"{seconds(last)}; from its start until it is back {seconds(begin)}\n")


def figures(files, rounds):
    """What docs/figures.md says of it."""
    with sides.servers_alone() as made:
        run(LIBRARY, made.config, made.folder, "--files", files, "--in-flight", min(1024, files), "--rounds", 1)
        clients = [Client(made, number) for number in range(3)]
        for client in clients:
            client.look()
        all_there, one_missing = [], []
        for number in range(rounds):
            all_there.append(one_kill(made, clients, f"all-{number}", None))
            check_names(clients, None)
        for number in range(rounds):
            one_missing.append(one_kill(made, clients, f"missing-{number}", clients[-1]))
            check_names(clients, clients[-1])
            clients[-1].acknowledged = []
            clients[-1].come_back()
        told = told_by_log(made)
        expect(len(told) == 2 * rounds, f"the log tells of {len(told)} recoveries")
        for client in clients:
            run("umount", client.point)
        made.extra_mounts.clear()
    return (f"A metadata server with {files:,} files is killed and started again under three mounts, each with {OPENED} files open, "
            f"up to {CACHED_MAX:,} locks, and creates of the last moment; medians of {rounds} kills:\n\n"
            + line("all three come back", all_there)
            + line("one never does (`recovery = \"4 s\"`)", one_missing)
            + f"\nRecoveries by the server's own log: {', '.join(str(each) for each in told)} ms.\n")

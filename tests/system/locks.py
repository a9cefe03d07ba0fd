# SPDX-License-Identifier: Apache-2.0
"""Goal (S28): flock, fcntl and open file description locks exclude across mounts by the rules of Linux. A deadlock across mounts is
EDEADLK; a holder or a waiter that is killed leaves nothing behind; a mount that dies gives up what its programs held; a
metadata server that restarts tells the holders."""
import errno
import fcntl
import json
import os
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time

if sys.argv[1] != "actor":
    from cluster import await_end, cluster, expect, need_fuse, rideau, step

OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
FORMAT = "hhqqi4x"
TYPES = {"r": fcntl.F_RDLCK, "w": fcntl.F_WRLCK, "u": fcntl.F_UNLCK}
KINDS = {value: key for key, value in TYPES.items()}


class Calls:
    """What an actor does when it is told to. Descriptors have names."""

    def __init__(self):
        self.files, self.child = {}, None
        self.busy, self.signals = False, 0  # a signal that comes too early for a call ends it all the same

    def open(self, name, path, mode="w"):
        self.files[name] = os.open(path, {"r": os.O_RDONLY, "w": os.O_RDWR}[mode] | (os.O_CREAT if mode == "w" else 0), 0o666)

    def dup(self, name, of):
        self.files[name] = os.dup(self.files[of])

    def close(self, name):
        os.close(self.files.pop(name))

    def lock(self, name, kind, start=0, length=0, wait=False, ofd=False):
        command = (OFD_SETLKW if wait else OFD_SETLK) if ofd else (fcntl.F_SETLKW if wait else fcntl.F_SETLK)
        fcntl.fcntl(self.files[name], command, struct.pack(FORMAT, TYPES[kind], os.SEEK_SET, start, length, 0))

    def test(self, name, kind, start=0, length=0, ofd=False):
        request = struct.pack(FORMAT, TYPES[kind], os.SEEK_SET, start, length, 0)
        told = struct.unpack(FORMAT, fcntl.fcntl(self.files[name], OFD_GETLK if ofd else fcntl.F_GETLK, request))
        return "free" if told[0] == fcntl.F_UNLCK else [KINDS[told[0]], told[2], told[3], told[4]]

    def flock(self, name, how, wait=False):
        fcntl.flock(self.files[name], {"s": fcntl.LOCK_SH, "x": fcntl.LOCK_EX, "u": fcntl.LOCK_UN}[how] | (0 if wait else fcntl.LOCK_NB))

    def calm(self):
        """Signals until now are for no call to come."""

    def fork(self):
        """A child that has every descriptor and does nothing."""
        self.child = os.fork()
        if self.child == 0:
            signal.pause()
            os._exit(0)

    def end_child(self):
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)

    def write(self, name, text):
        os.pwrite(self.files[name], text.encode(), 0)

    def read(self, name):
        return os.pread(self.files[name], 100, 0).decode()


class Signalled(Exception):
    pass


def act():
    """The actor's side: one call a line, one answer a line."""
    calls = Calls()

    def on_signal(*_):
        calls.signals += 1
        if calls.busy:
            raise Signalled
    signal.signal(signal.SIGUSR1, on_signal)
    for line in sys.stdin:
        name, arguments, options = json.loads(line)
        try:
            calls.busy = True
            if calls.signals != 0 and name != "calm":
                raise Signalled
            answer = getattr(calls, name)(*arguments, **options)
            calls.busy = False
        except OSError as error:
            answer = "EDEADLK" if error.errno == errno.EDEADLK else errno.errorcode[error.errno]
        except Signalled:
            answer = "signalled"
        calls.busy = False
        calls.signals = 0
        print(json.dumps(answer), flush=True)


class Actor:
    """A process of its own. Calls answer their value or the name of an error; `begin` does not wait for the answer."""

    def __init__(self, mount):
        self.mount = mount
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "actor"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def begin(self, name, *arguments, **options):
        self.process.stdin.write(json.dumps([name, arguments, options]) + "\n")
        self.process.stdin.flush()

    def end(self, seconds=60):
        expect(self.answered(seconds), "a call does not end")
        return json.loads(self.process.stdout.readline())

    def answered(self, seconds):
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def waits(self):
        """As far as can be seen in a moment."""
        return not self.answered(0.3)

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.begin(name, *arguments, **options)
            return self.end()
        return call

    def signal(self):
        self.process.send_signal(signal.SIGUSR1)

    def kill(self):
        """And waits until it is gone, in spite of any call that it is in."""
        self.process.kill()
        self.process.wait(30)

    def exit(self):
        self.process.stdin.close()
        self.process.wait(30)


class Stage:
    """Two actors on the first mount and one on the second, with one file open; they leave at the end."""

    def __init__(self, made, second, name):
        self.made, self.name = made, name
        self.actors = []
        step(name)
        self.a, self.b, self.c = self.actor(made.mount), self.actor(second), self.actor(made.mount)

    def actor(self, mount):
        made = Actor(mount)
        self.actors.append(made)
        expect(made.open("f", f"{mount}/{self.name.replace(' ', '-')}") is None, "open")
        return made

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for actor in self.actors:
            actor.kill()
        if kind is None:
            nothing_left(self.made)


def check(answer, wanted, what):
    expect(answer == wanted, f"{what}: {answer!r} instead of {wanted!r}")


def figure(made, name):
    told = json.loads(rideau("stats", "--config", made.config, "--json").stdout)
    return sum(value for node in told["nodes"] for key, value in node["metrics"].items() if key.startswith(name))


def nothing_left(made):
    """Nobody holds a lock or waits for one. Releases are on their way for a moment after a process has ended."""
    until = time.monotonic() + 30
    while figure(made, "rideau_mds_advisory_") != 0:
        expect(time.monotonic() < until, "a lock or a wait is left behind")
        time.sleep(0.05)


def ranges(made, second):
    with Stage(made, second, "ranges") as on:
        a, b, c = on.a, on.b, on.c
        check(a.lock("f", "w", 10, 10), None, "a lock")
        check(b.lock("f", "r", 15, 1), "EAGAIN", "a conflicting lock on the other mount")
        check(c.lock("f", "r", 15, 1), "EAGAIN", "a conflicting lock of another process of the mount")
        check(b.lock("f", "w", 20, 10), None, "a lock beside it")
        check(b.test("f", "r", 0, 100), ["w", 10, 10, 0], "F_GETLK about another client's lock")
        check(c.test("f", "r", 0, 15), ["w", 10, 10, a.process.pid], "F_GETLK about a neighbour's lock")
        check(a.test("f", "w", 0, 20), "free", "F_GETLK about one's own lock")
        check(a.lock("f", "r", 13, 2), None, "a weaker lock in the middle")
        check(b.lock("f", "r", 13, 2), None, "a shared lock")
        check(b.lock("f", "r", 12, 2), "EAGAIN", "the rest is exclusive")
        check(b.lock("f", "u", 0, 20), None, "unlock")
        check(a.lock("f", "u", 12, 4), None, "a hole")
        check([b.test("f", "w", 0, 19), b.test("f", "w", 12, 4), b.test("f", "w", 12, 8)],
              [["w", 10, 2, 0], "free", ["w", 16, 4, 0]], "what the hole left")
        check(a.lock("f", "w", 12, 4), None, "the hole filled")
        check(b.test("f", "w", 0, 19), ["w", 10, 10, 0], "neighbours become one")
        check(a.lock("f", "w", 1 << 40), None, "to the end")
        check(b.test("f", "w", 1 << 50, 1), ["w", 1 << 40, 0, 0], "to the end")
        check(a.lock("f", "u"), None, "everything unlocked")
        check(b.test("f", "w", 0, 20), "free", "everything unlocked")


def waiting(made, second):
    with Stage(made, second, "waiting") as on:
        a, b, c = on.a, on.b, on.c
        check(a.lock("f", "w", 0, 10), None, "a lock")
        b.begin("lock", "f", "w", 5, 1, wait=True)
        c.begin("lock", "f", "r", 0, 1, wait=True)
        expect(b.waits() and c.waits(), "a lock is granted to two")
        check(a.lock("f", "u", 1, 9), None, "unlock")
        check(b.end(), None, "who waited for the end of it")
        expect(c.waits(), "a lock is granted to two")
        check(a.lock("f", "r", 0, 1), None, "a weaker lock")
        check(c.end(), None, "who waited for a shared lock")
        check(a.lock("f", "w", 0, 1), "EAGAIN", "the stronger lock beside another's")
        a.begin("lock", "f", "w", 0, 1, wait=True)
        expect(a.waits(), "a lock is granted to two")
        c.kill()
        check(a.end(), None, "the holder was killed")
        # What the lock protects is what the last holder wrote.
        for number in range(10):
            here, there = (a, b) if number % 2 == 0 else (b, a)
            check(here.lock("f", "w", 100, 1, wait=True), None, "lock")
            check(here.write("f", f"{number}"), None, "write")
            there.begin("lock", "f", "w", 100, 1, wait=True)
            check(here.lock("f", "u", 100, 1), None, "unlock")
            check(there.end(), None, "lock")
            check(there.read("f"), f"{number}", "what the holder before wrote")
            check(there.lock("f", "u", 100, 1), None, "unlock")


def closing(made, second):
    with Stage(made, second, "closing") as on:
        a, b = on.a, on.b
        path = f"{made.mount}/closing"
        a.open("before", path, "r")
        a.open("before too", path)
        for name in ("before", "before too", "later"):
            if name == "later":
                a.open("later", path, "r")
            check(a.lock("f", "w"), None, "lock")
            check(b.lock("f", "r"), "EAGAIN", "it is held")
            check(a.close(name), None, "close")
            check(b.lock("f", "w"), None, f"a lock after the descriptor \"{name}\" was closed")
            check(b.lock("f", "u"), None, "unlock")
        check(a.lock("f", "r"), None, "lock")
        a.dup("copy", "f")
        check(a.close("copy"), None, "close")
        check(b.lock("f", "w"), None, "a lock after a copy was closed")
        check(b.lock("f", "u"), None, "unlock")
        # A child has the descriptor and no locks; the parent's go by the parent's close although the file stays open.
        a.open("reader", path, "r")
        check(a.lock("reader", "r"), None, "lock")
        a.fork()
        check(b.lock("f", "w"), "EAGAIN", "it is held")
        check(a.close("reader"), None, "close")
        check(b.lock("f", "w"), None, "a lock after the parent closed")
        check(b.lock("f", "u"), None, "unlock")
        check(a.lock("f", "w"), None, "lock")
        a.end_child()
        check(b.lock("f", "w"), "EAGAIN", "the end of a child takes nothing from its parent")
        b.begin("lock", "f", "w", wait=True)
        expect(b.waits(), "a lock is granted to two")
        a.exit()
        check(b.end(), None, "the holder has ended")


def killed(made, second):
    with Stage(made, second, "killed") as on:
        a, b, c = on.a, on.b, on.c
        check(a.lock("f", "w", 0, 10), None, "lock")
        b.begin("lock", "f", "w", 0, 20, wait=True)
        expect(b.waits(), "a lock is granted to two")
        b.kill()
        check(c.lock("f", "w", 10, 10), None, "a lock that only the killed waiter wanted")
        check(a.lock("f", "u"), None, "unlock")
        check(c.lock("f", "w", 0, 20), None, "a killed waiter is not granted anything")
        b = on.actor(second)
        for _ in range(5):
            b.begin("lock", "f", "r", 0, 5, wait=True)
            expect(b.waits(), "a lock is granted to two")
            b.signal()
            check(b.end(), "signalled", "a waiter that got a signal")
        check(c.lock("f", "u"), None, "unlock")
        check(a.lock("f", "w", 0, 5), None, "an interrupted waiter left nothing")
        check(a.flock("f", "x"), None, "flock")
        b.begin("flock", "f", "s", wait=True)
        expect(b.waits(), "a lock is granted to two")
        b.signal()
        check(b.end(), "signalled", "a waiter that got a signal")
        b.begin("flock", "f", "s", wait=True)
        expect(b.waits(), "a lock is granted to two")
        b.kill()
        a.kill()
        check(c.flock("f", "x", wait=True), None, "flock after all others were killed")
        check(c.lock("f", "w", wait=True), None, "a lock after all others were killed")


def interrupted_at_the_grant(made, second):
    """A signal and the grant at the same time: the waiter has the lock or has it not, and knows which."""
    with Stage(made, second, "signals") as on:
        a, b, c = on.a, on.b, on.c
        granted = 0
        for number in range(60):
            check(a.lock("f", "w", wait=True), None, "lock")
            b.begin("lock", "f", "w", wait=True)
            time.sleep(0.002)
            first, then = (b.signal, lambda: a.lock("f", "u")) if number % 2 == 0 else (lambda: a.begin("lock", "f", "u"), b.signal)
            first()
            then()
            if number % 2 != 0:
                a.end()
            answer = b.end()
            expect(answer in (None, "signalled"), f"{answer}")
            check(b.calm(), None, "a signal that came after the answer")
            has_it = c.test("f", "w") != "free"
            granted += has_it
            expect(answer is not None or has_it, "granted, and nobody has it")
            check(b.lock("f", "u"), None, "unlock")
            check(c.test("f", "w"), "free", "nobody has it")
        print(f"  {granted} of 60 were granted", flush=True)


def deadlocks(made, second):
    with Stage(made, second, "deadlocks") as on:
        a, b, c = on.a, on.b, on.c
        for actor in (a, b, c):
            actor.open("g", f"{actor.mount}/other")
        check(a.lock("f", "w", 0, 1), None, "lock")
        check(b.lock("g", "w", 0, 1), None, "lock")
        a.begin("lock", "g", "w", 0, 1, wait=True)
        expect(a.waits(), "a lock is granted to two")
        check(b.lock("f", "r", 0, 1, wait=True), "EDEADLK", "two that wait for each other on two mounts")
        check(b.lock("g", "u"), None, "unlock")
        check(a.end(), None, "the other goes on")
        # Three of them.
        check(b.lock("f", "w", 1, 1), None, "lock")
        check(c.lock("f", "w", 2, 1), None, "lock")
        a.begin("lock", "f", "w", 1, 1, wait=True)
        b.begin("lock", "f", "w", 2, 1, wait=True)
        expect(a.waits() and b.waits(), "a lock is granted to two")
        check(c.lock("f", "r", 0, 1, wait=True), "EDEADLK", "three in a circle")
        check(c.lock("f", "r", 0, 1), "EAGAIN", "a try waits for nobody")
        check(c.lock("f", "u"), None, "unlock")
        check(b.end(), None, "the others go on")
        check(b.lock("f", "u"), None, "unlock")
        check(a.end(), None, "the others go on")
        # Two that share and both want more: one is told.
        for actor in (a, b):
            check(actor.lock("f", "u"), None, "unlock")
            check(actor.lock("f", "r"), None, "lock")
        a.begin("lock", "f", "w", wait=True)
        expect(a.waits(), "a lock is granted to two")
        check(b.lock("f", "w", wait=True), "EDEADLK", "two that share and want more")


def whole_files(made, second):
    with Stage(made, second, "flock") as on:
        a, b, c = on.a, on.b, on.c
        check(a.flock("f", "x"), None, "flock")
        check([b.flock("f", "s"), c.flock("f", "x")], ["EAGAIN"] * 2, "flock that conflicts")
        check(b.lock("f", "w"), None, "fcntl and flock do not know of each other")
        check(a.flock("f", "s"), None, "a weaker flock")
        check([b.flock("f", "s"), c.flock("f", "x"), c.flock("f", "s")], [None, "EAGAIN", None], "shared flocks")
        # Another mode gives up the old one first (flock(2)).
        check(c.flock("f", "x"), "EAGAIN", "a stronger flock beside others")
        check(b.flock("f", "u"), None, "unlock")
        a.begin("flock", "f", "x", wait=True)
        check(a.end(), None, "the refused one has lost what it had")
        # The lock is the open file's: of all copies of the descriptor, in children too.
        a.dup("copy", "f")
        a.fork()
        check([a.close("f"), a.close("copy")], [None] * 2, "close")
        check(b.flock("f", "s"), "EAGAIN", "a child has it open still")
        b.begin("flock", "f", "x", wait=True)
        expect(b.waits(), "a lock is granted to two")
        a.end_child()
        check(b.end(), None, "the last copy is closed")
        check(c.flock("f", "s"), "EAGAIN", "flock that conflicts")
        c.open("again", f"{made.mount}/flock")
        check(b.flock("f", "u"), None, "unlock")
        check([c.flock("f", "x"), c.flock("again", "x")], [None, "EAGAIN"], "two open files of one process")


def open_files(made, second):
    with Stage(made, second, "open-files") as on:
        a, b = on.a, on.b
        a.open("g", f"{made.mount}/open-files")
        check(a.lock("f", "w", 0, 10, ofd=True), None, "a lock of an open file description")
        check(a.lock("g", "r", 5, 1, ofd=True), "EAGAIN", "two open files of one process")
        check(b.lock("f", "r", 5, 1, ofd=True), "EAGAIN", "on the other mount")
        check(b.lock("f", "r", 5, 1), "EAGAIN", "against a lock of fcntl")
        check(a.lock("g", "w", 10, 10, ofd=True), None, "a lock beside it")
        a.dup("copy", "f")
        check(a.close("copy"), None, "close")
        check(b.test("f", "w", 0, 10, ofd=True)[:3], ["w", 0, 10], "closing a copy takes nothing")
        a.fork()
        check(a.close("f"), None, "close")
        check(b.lock("f", "w", 0, 10, ofd=True), "EAGAIN", "a child has it open still")
        b.begin("lock", "f", "w", 0, 10, wait=True, ofd=True)
        expect(b.waits(), "a lock is granted to two")
        a.end_child()
        check(b.end(), None, "the last copy is closed")
        check(b.lock("f", "r", 10, 1, ofd=True), "EAGAIN", "the other open file has its own still")


def counter(made, second):
    step("a counter in a file, two mounts with two programs each")
    path = {mount: f"{mount}/counter" for mount in (made.mount, second)}
    with open(path[made.mount], "w") as file:
        file.write("0")
    program = """if True:
        import fcntl, os, sys
        file = os.open(sys.argv[1], os.O_RDWR)
        for number in range(50):
            how = (fcntl.lockf, fcntl.flock)[int(sys.argv[2])]
            how(file, fcntl.LOCK_EX)
            value = int(os.pread(file, 20, 0))
            os.pwrite(file, b"%d" % (value + 1), 0)
            how(file, fcntl.LOCK_UN)
        """
    for how in (0, 1):
        programs = [subprocess.Popen([sys.executable, "-c", program, path[mount], str(how)]) for mount in path for _ in range(2)]
        check([one.wait(300) for one in programs], [0] * 4, "the programs")
        with open(path[second]) as file:
            check(file.read(), str(200 * (how + 1)), "the counter")


def sqlite(made, second):
    for mode in ("delete", "wal"):
        step(f"one SQLite database on two mounts, journal_mode={mode}")
        paths = [f"{mount}/{mode}.db" for mount in (made.mount, second)]
        base = sqlite3.connect(paths[0])
        check(base.execute(f"pragma journal_mode={mode}").fetchone(), (mode,), "journal_mode")
        base.execute("create table t (who integer, number integer, text text)")
        base.commit()
        base.close()
        problems = []

        def work(who):
            try:
                mine = sqlite3.connect(paths[who % 2], timeout=300)
                for number in range(20):
                    mine.execute("begin immediate")
                    count = mine.execute("select count(*) from t").fetchone()[0]
                    mine.execute("insert into t values (?, ?, ?)", (who, count, "x" * 3000))
                    mine.commit()
                mine.close()
            except Exception as error:
                problems.append(f"{who}: {error} {getattr(error, 'sqlite_errorname', '')}")

        workers = [threading.Thread(target=work, args=(who,)) for who in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        check(problems, [], "SQLite")
        for path in paths:
            base = sqlite3.connect(path, timeout=60)
            check(base.execute("pragma integrity_check").fetchone(), ("ok",), "integrity_check")
            check([row[0] for row in base.execute("select number from t order by number")], list(range(40)), "the rows")
            base.close()


def calls(made):
    step("a lock is one call, an unlock is one, and closing costs none where nothing is locked")
    count = lambda: figure(made, 'rideau_server_calls_total{target="1",method="set_advisory_lock"}')
    file = os.open(f"{made.mount}/calls", os.O_RDWR | os.O_CREAT)
    before = count()
    for _ in range(50):
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 5)
        fcntl.lockf(file, fcntl.LOCK_UN, 10, 5)
    check(count() - before, 100, "calls")
    for number in range(20):
        os.close(os.open(f"{made.mount}/calls", os.O_RDONLY))
    os.close(file)
    check(count() - before, 100, "calls")


def client_of(mount):
    """The process that serves a mount which `rideau mount` made."""
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline") as file:
                words = file.read().split("\0")
        except OSError:
            continue
        if words[1:2] == ["mount"] and mount in words:
            return int(entry)
    raise AssertionError(f"no process serves {mount}")


def dying_mount(made):
    step("kill -9 of a client: its programs' locks are free after its lease")
    third = made.mount_another("third")
    on, other = Actor(third), Actor(made.mount)
    for actor in (on, other):
        actor.open("f", f"{actor.mount}/dying")
    check([on.lock("f", "w"), on.flock("f", "x")], [None] * 2, "locks")
    other.begin("lock", "f", "w", wait=True)
    expect(other.waits(), "a lock is granted to two")
    os.kill(client_of(third), signal.SIGKILL)
    check(other.end(), None, "a lock of a client that died")
    check(other.flock("f", "x", wait=True), None, "flock of a client that died")
    other.kill()
    subprocess.run(["umount", "-l", third], check=True)
    on.kill()
    nothing_left(made)


def unmounted(made):
    step("a mount with waiters ends")
    third = made.mount_another("fourth")
    on, other = Actor(third), Actor(made.mount)
    for actor in (on, other):
        actor.open("f", f"{actor.mount}/unmounted")
    check(other.lock("f", "w"), None, "lock")
    on.begin("lock", "f", "w", wait=True)
    expect(on.waits(), "a lock is granted to two")
    client = client_of(third)
    os.kill(client, signal.SIGTERM)
    answer = on.end()
    expect(answer in ("ENOTCONN", "EIO", "EINTR", "ECONNABORTED"), f"a waiter on a mount that is gone: {answer}")
    await_end(client)
    on.kill()
    check(other.lock("f", "u"), None, "unlock")
    other.kill()
    nothing_left(made)


def restarted(made, second):
    step("kill -9 of the metadata server: who holds goes on holding, who waits goes on waiting")
    a, b, c = Actor(made.mount), Actor(second), Actor(made.mount)
    for actor in (a, b, c):
        actor.open("f", f"{actor.mount}/restarted")
    check(a.write("f", "text"), None, "write")
    rideau("sync", made.mount)
    check(a.lock("f", "w"), None, "lock")
    b.begin("lock", "f", "w", wait=True)
    expect(b.waits(), "a lock is granted to two")
    made.kill("mds0")
    made.serve("mds0")
    check([a.read("f"), a.lock("f", "w")], ["text", None], "the open file with the lock")
    check([c.read("f"), c.lock("f", "w")], ["text", "EAGAIN"], "another program of the same mount")
    expect(b.waits(), "the lock was lost with the server")
    check(a.close("f"), None, "close")
    check(b.end(), None, "who waited")
    for actor in (a, b, c):
        actor.kill()
    nothing_left(made)


def main():
    need_fuse()
    with cluster() as made:
        second = made.mount_another("second")
        for part in (ranges, waiting, closing, killed, interrupted_at_the_grant, deadlocks, whole_files, open_files, counter, sqlite):
            part(made, second)
        calls(made)
        dying_mount(made)
        unmounted(made)
        restarted(made, second)
        made.down()
        made.check()
    print("locks hold across mounts")


if sys.argv[1] == "actor":
    act()
else:
    main()

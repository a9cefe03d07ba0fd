# SPDX-License-Identifier: Apache-2.0
"""The block-device store with its index beside fio, on files of one file system; and what many objects on one device take.

Store and fio have the same number of calls under way and go around the page cache, in turn. The store's checksums are on, and it
copies; fio does neither. Both files are written in full before, so that no file system below has to find blocks for either.
"""
import json
import os
import shutil
import signal
import statistics
import time

from cluster import BUILD, expect, rideau, run, temporary_folder

STORE = os.path.join(BUILD, "tests", "rideau-bench-store")
MIB = 1 << 20
PAGE = 4096
# Phase of the store, fio's name of it, bytes of a call, calls under way, and what is wanted of the ratio.
WORK = [
    ("write", "write", MIB, 8, 0.9),
    ("read", "read", MIB, 8, 0.9),
    ("random_read", "randread", PAGE, 32, 0.8),
    ("random_write", "randwrite", PAGE, 32, None),
]
NAMES = {"write": "sequential write, 1 MiB", "read": "sequential read, 1 MiB", "random_read": "random read, 4 KiB",
         "random_write": "random overwrite, 4 KiB"}
FLUSHES = [(1, "after each"), (64, "after 64"), (0, "once, at the end")]


class Store:
    """A device in a file, and its index."""

    def __init__(self, folder, mib, keys=()):
        self.folder = folder
        self.image = os.path.join(folder, "image")
        self.keys = [f"device={self.image}", *keys]
        with open(self.image, "wb") as file:
            file.truncate(mib * MIB)

    def format(self):
        began = time.monotonic()
        rideau("format", "--device", self.image)
        return time.monotonic() - began

    def run(self, name, *words, **options):
        return run(STORE, name, self.folder, *words, *[word for key in self.keys for word in ("--set", key)], **options)

    def phase(self, name, *words):
        """What rideau-bench-store tells of it."""
        return json.loads(self.run(name, *words).stdout.splitlines()[-1])

    def forget_index(self):
        """The kernel caches nothing of the index any more."""
        with open(os.path.join(self.folder, "index", "data.mdb"), "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def bytes_on_disk(self, *path):
        return os.stat(os.path.join(self.folder, *path)).st_blocks * 512


def write_in_full(path, mib):
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        for _ in range(mib):
            file.write(bytes(MIB))
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def fio(path, kind, mib, size, depth, count):
    """Calls a second. As a thread: a process of fio is a session of its own, which the scheduler would treat as such."""
    told = run("fio", "--name=bench", "--thread", f"--filename={path}", "--direct=1", "--ioengine=io_uring", "--overwrite=1", f"--rw={kind}",
               f"--bs={size}", f"--iodepth={depth}", f"--size={mib}m", f"--io_size={count * size}", "--randrepeat=0", "--output-format=json")
    text = told.stdout
    job = json.loads(text[text.index("{"):text.rindex("}") + 1])["jobs"][0]
    expect(job["error"] == 0, f"fio failed: {text[-2000:]}")
    done = job["write" if "write" in kind else "read"]
    return done["total_ios"] / (done["runtime"] / 1000)


class Line:
    """What one kind of work came to, round by round."""

    def __init__(self):
        self.ours, self.theirs, self.synced, self.cpu_us, self.kept_from = [], [], [], [], []

    def add(self, found, theirs):
        operations, seconds = found["operations"], found["seconds"]
        expect(operations > 0 and seconds > 0 and theirs > 0, f"a phase without work: {found}")
        self.ours.append(operations / seconds)
        self.theirs.append(theirs)
        self.synced.append(operations / found["seconds_flushed"])
        self.cpu_us.append(found["cpu_seconds"] * 1e6 / operations)
        self.kept_from.append(found["waited_seconds"] / seconds)

    def ratios(self):
        return sorted(ours / theirs for ours, theirs in zip(self.ours, self.theirs))

    def row(self, name, size, depth, bar):
        ratios = self.ratios()
        reached = statistics.median(ratios)
        unit = " MiB/s" if size == MIB else "/s"
        amount = lambda rates: f"{statistics.median(rates):,.0f}{unit}"
        wanted = "" if bar is None else f"{bar:.2f} {'reached' if reached >= bar else 'missed'}"
        return (f"| {name} | {depth} | {reached:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) | {wanted} | {amount(self.ours)} | "
                f"{amount(self.synced) if 'write' in name else ''} | {amount(self.theirs)} | {statistics.median(self.cpu_us):,.1f} | "
                f"{100 * statistics.median(self.kept_from):.0f} % |\n")


def one_round(number, store, beside, mib, operations, lines):
    for name, kind, size, depth, _ in WORK:
        count = mib * MIB // size if size == MIB else operations
        words = ["--io", size, "--mib", mib, "--depth", depth, "--count", count]
        sides = [lambda: store.phase(name, *words), lambda: fio(beside, kind, mib, size, depth, count)]
        if number % 2 == 0:
            found, theirs = sides[0](), sides[1]()
        else:
            theirs, found = sides[1](), sides[0]()
        lines[name].add(found, theirs)


def amplification(store, mib, operations):
    text = ""
    for every, told in FLUSHES:
        count = max(64, operations // 20) if every == 1 else operations
        found = store.phase("random_write", "--io", PAGE, "--mib", mib, "--depth", 32, "--count", count, "--flush-every", every)
        expect(found["written"] >= found["bytes"], f"less was written than there was: {found}")
        text += f"- flushed {told}: **{found['written'] / found['bytes']:.2f}**, {found['operations'] / found['seconds_flushed']:,.0f}/s\n"
    return text


def figures(mib, operations, rounds):
    """The section of docs/figures.md about the store beside fio."""
    expect(shutil.which("fio"), "fio is not installed: ./dev deps")
    lines = {name: Line() for name, *_ in WORK}
    with temporary_folder() as folder:
        # Overwriting takes free blocks: here every block of the object once, and what may not be used for anything else.
        store = Store(folder, 5 * mib // 2 + 32, ["discard=false"])
        write_in_full(store.image, 5 * mib // 2 + 32)
        store.format()
        beside = os.path.join(folder, "beside")
        write_in_full(beside, mib)
        for number in range(rounds):
            one_round(number, store, beside, mib, operations, lines)
        scattered = store.phase("read", "--io", MIB, "--mib", mib, "--depth", 8)
        amplified = amplification(store, mib, operations)
    text = ("| work | under way | of fio | bar | store | with the flush at its end | fio | CPU µs a call | kept from a CPU |\n" + "|---" * 9 + "|\n")
    for name, _, size, depth, bar in WORK:
        text += lines[name].row(NAMES[name], size, depth, bar)
    was = statistics.median(lines["read"].ours)
    text += (f"\nSequential read of what {operations:,} random overwrites had scattered: {scattered['operations'] / scattered['seconds']:,.0f} MiB/s, "
             f"**{scattered['operations'] / scattered['seconds'] / was:.2f}** of before.\n\n"
             "Bytes written to device and index for each byte of random overwrites of 4 KiB, 32 under way:\n\n" + amplified
             + f"\nOne object of {mib:,} MiB, {operations:,} random calls, medians of {rounds} rounds.\n")
    return text


class Stage:
    """What a target with so many objects does."""

    def __init__(self, store, objects, before, sample):
        self.objects = objects
        sizes = ["--sizes", "1024,4096"]
        made = store.phase("fill", "--first", before, "--count", objects - before, "--depth", 64, *sizes)
        self.fill = made["operations"] / made["seconds_flushed"]
        self.filled_mib = made["ended_own_kib"] / 1024
        self.after_stop = [self.start(store) for _ in range(3)]
        store.forget_index()
        self.got = store.phase("get", "--objects", objects, "--count", sample, "--depth", 32, *sizes)
        self.read = self.got["operations"] / self.got["seconds"]
        killed = store.run("killed", "--objects", objects, "--count", sample, "--depth", 32, *sizes, check=False)
        expect(killed.returncode == -signal.SIGKILL, f"it was not killed: {killed.stdout}")
        self.after_kill = [self.start(store)]
        self.index_mib = store.bytes_on_disk("index", "data.mdb") / MIB
        self.device_mib = store.bytes_on_disk("image") / MIB

    @staticmethod
    def start(store):
        store.forget_index()
        return store.phase("start")


def median(found, key):
    return statistics.median(each[key] for each in found)


def rows_of(stages):
    """Name, one figure a stage, unit."""
    yield "fill, objects a second", [stage.fill for stage in stages], ",.0f"
    yield "memory after filling, MiB", [stage.filled_mib for stage in stages], ",.0f"
    yield "index, MiB", [stage.index_mib for stage in stages], ",.0f"
    yield "device, MiB", [stage.device_mib for stage in stages], ",.0f"
    yield "start after a stop, s", [median(stage.after_stop, "start_seconds") for stage in stages], ".2f"
    yield "of it processor time, s", [median(stage.after_stop, "start_cpu_seconds") for stage in stages], ".2f"
    yield "start after kill -9, s", [median(stage.after_kill, "start_seconds") for stage in stages], ".2f"
    yield "memory after the start, MiB", [median(stage.after_stop, "started_own_kib") / 1024 for stage in stages], ",.0f"
    yield "memory after the random reads, MiB", [stage.got["ended_own_kib"] / 1024 for stage in stages], ",.0f"
    yield "pages of the index then, MiB", [stage.got["ended_mapped_kib"] / 1024 for stage in stages], ",.0f"
    yield "random reads a second, whole objects", [stage.read for stage in stages], ",.0f"


def objects(counts, sample):
    """The section of docs/figures.md about many objects: one target that grows from count to count."""
    counts = sorted(counts)
    with temporary_folder() as folder:
        # Each object takes a block, or has one kept for it; and room for what is written anew. The file is sparse.
        mib = counts[-1] * PAGE // MIB * 5 // 4 + 64
        store = Store(folder, mib, ["small_object_max=1024"])
        formatted = store.format()
        stages = []
        for count in counts:
            stages.append(Stage(store, count, stages[-1].objects if stages else 0, sample))
        store.phase("remove", "--objects", counts[-1], "--depth", 64)
        holes = Stage.start(store)
    text = ("| objects | " + " | ".join(f"{count:,}" for count in counts)
            + (" | last / first" if len(counts) > 1 else "") + " |\n" + "|---" * (len(counts) + 1 + (len(counts) > 1)) + "|\n")
    for name, found, shape in rows_of(stages):
        growth = f" | {found[-1] / found[0]:.2f}" if len(found) > 1 else ""
        text += f"| {name} | " + " | ".join(format(each, shape) for each in found) + growth + " |\n"
    last = counts[-1]
    return (text + f"\nFormatting took {formatted:.2f} s. After every second object of each size was removed from the {last:,}, which leaves {last // 4:,} holes of one block: start "
            f"{holes['start_seconds']:.2f} s, memory {holes['started_own_kib'] / 1024:,.0f} MiB.\n\n"
            f"Random reads and objects written anew before the kill: {sample:,}, 32 under way. Starts after a stop are medians of 3.\n")

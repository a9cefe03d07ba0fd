# SPDX-License-Identifier: Apache-2.0
"""Goal: asking for the size of a file that another mount writes does not disturb the writer (S24): it writes nothing back for the
question, and gives no lock up. Held by counts of what the servers saw; sizes and times are those of the writer's last call."""
import os
import threading

from cluster import cluster, expect, need_fuse, step
from counted import Counted, dirty_for_long

PIECE = 4096


def disturbed(before, after):
    """What a writer would have noticed: {what: how often}."""
    found = {f"{method} at object servers": after.since(before, "oss", "rideau_server_calls_total", method)
             for method in ("write", "sync", "stat")}
    found |= {f"{method} at the metadata server": after.since(before, "mds", "rideau_server_calls_total", method)
              for method in ("close", "lock", "unlock")}
    found["locks asked back"] = after.since(before, "mds", "rideau_mds_revocations_total")
    return {what: count for what, count in found.items() if count}


def stat_beside_writer(made, first, second):
    step("a hundred sizes of a file that is being written: nothing is written back, no lock moves")
    writer = os.open(first + "/log", os.O_CREAT | os.O_RDWR)
    os.write(writer, b"x" * PIECE)  # goes to its target at once, and brings room for what follows
    expect(os.stat(second + "/log").st_size == PIECE, "the first size")
    before, modified = Counted(made), 0
    for number in range(2, 102):
        os.write(writer, b"x" * PIECE)
        seen = os.stat(second + "/log")
        expect(seen.st_size == number * PIECE, f"{seen.st_size} bytes after {number} pieces")
        expect(seen.st_mtime_ns >= modified, "the time of the last change goes back")
        modified = seen.st_mtime_ns
    after = Counted(made)
    expect(not disturbed(before, after), f"the writer was disturbed: {disturbed(before, after)}")
    asked = after.since(before, "mds", "rideau_mds_glimpses_total")
    expect(100 <= asked <= 120, f"{asked} questions to the writer for 100 sizes")

    step("a cut, times that were set, a name: what the writer's mount did is seen all the same")
    os.ftruncate(writer, 10)
    expect(os.stat(second + "/log").st_size == 10, "the size after a cut")
    os.utime(writer, ns=(1, 2))
    expect(os.stat(second + "/log").st_mtime_ns == 2, "a time that was set")
    os.pwrite(writer, b"y" * 10, 100)
    expect(os.stat(second + "/log").st_size == 110 and os.stat(second + "/log").st_mtime_ns > 2, "a write after both")
    listed = {entry.name: entry.stat().st_size for entry in os.scandir(second)}
    expect(listed == {"log": 110}, f"a listing shows {listed}")
    os.rename(first + "/log", first + "/other")
    expect(os.stat(second + "/other").st_size == 110, "the size under another name")
    with open(second + "/other", "rb") as file:
        expect(file.read() == b"x" * 10 + b"\0" * 90 + b"y" * 10, "the bytes")
    os.close(writer)


def stat_beside_busy_writer(first, second):
    step("sizes seen beside a writer that does not wait: they only grow, and are those of whole calls")
    problems, done = [], threading.Event()

    def watch():
        size = 0
        while not done.is_set():
            seen = os.stat(second + "/busy").st_size
            if seen < size or seen % 1000 != 0:
                problems.append(f"{size}, then {seen}")
            size = seen

    with open(first + "/busy", "wb", buffering=0) as file:
        watcher = threading.Thread(target=watch)
        watcher.start()
        for _ in range(3000):
            file.write(b"z" * 1000)
        done.set()
        watcher.join()
    expect(not problems, f"{problems[:3]}")
    expect(os.stat(second + "/busy").st_size == 3_000_000, "the size at the end")


def stat_of_idle_file(made, first, second):
    step("of a file that nobody writes any more, the other mount keeps what it was told")
    with open(first + "/idle", "wb") as file:
        file.write(b"i" * 5000)
    # The close is told a moment after it; the first one who asks then takes the lock away from who wrote the file.
    asked_back = Counted(made).total("mds", "rideau_mds_revocations_total")
    while Counted(made).total("mds", "rideau_mds_revocations_total") == asked_back:
        expect(os.stat(second + "/idle").st_size == 5000, "the size")
    before = Counted(made)
    for _ in range(50):
        expect(os.stat(second + "/idle").st_size == 5000, "the size")
    after = Counted(made)
    expect(not disturbed(before, after), f"{disturbed(before, after)}")
    expect(after.since(before, "mds", "rideau_mds_glimpses_total") == 0, "somebody was asked")


need_fuse()
with cluster(start=False) as made:
    dirty_for_long(made)
    made.up()
    other = made.mount_another("second")
    stat_beside_writer(made, made.mount, other)
    stat_beside_busy_writer(made.mount, other)
    stat_of_idle_file(made, made.mount, other)
    made.down()
    made.check()
print("the writer was not disturbed")

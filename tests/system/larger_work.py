# SPDX-License-Identifier: Apache-2.0
"""Goal: programs that people trust their data to, and those that look for mistakes, run for long on a mount without one.

    larger_work.py BUILD [--long] [part ...]

Without --long every part is a short one, for every test run; with it, they are as long as the nightly run wants.
"""
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

from cluster import cluster, expect, need_fuse, rideau, run, step

LONG = "--long" in sys.argv

# Writes transactions until it is killed: each moves an amount between two accounts and counts itself. What is committed is
# said on standard output, so that the other side knows what must be there.
SQLITE_WRITER = """
import random, sqlite3, sys
path, mode, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
base = sqlite3.connect(path, timeout=60, isolation_level=None)
base.execute(f"PRAGMA journal_mode={mode}")
base.execute("PRAGMA synchronous=FULL")
base.execute("PRAGMA wal_autocheckpoint=200")
dice = random.Random(seed)
while True:
    base.execute("BEGIN IMMEDIATE")
    a, b, amount = dice.randrange(500), dice.randrange(500), dice.randrange(100)
    base.execute("UPDATE account SET money = money - ?, note = ? WHERE id = ?", (amount, "x" * dice.randrange(600), a))
    base.execute("UPDATE account SET money = money + ? WHERE id = ?", (amount, b))
    base.execute("UPDATE counter SET done = done + 1")
    (done,) = base.execute("SELECT done FROM counter").fetchone()
    base.execute("COMMIT")
    print(done, flush=True)
"""


def check_database(path, told):
    base = sqlite3.connect(path, timeout=60)
    (verdict,) = base.execute("PRAGMA integrity_check").fetchone()
    expect(verdict == "ok", f"integrity_check says {verdict}")
    (money,) = base.execute("SELECT sum(money) FROM account").fetchone()
    expect(money == 500 * 1000, f"money was made or lost: {money}")
    (done,) = base.execute("SELECT done FROM counter").fetchone()
    expect(done in (told, told + 1), f"{told} transactions were committed, {done} are there")
    base.close()
    return done


def sqlite_mode(mount, mode, transactions):
    step(f"SQLite, journal_mode={mode}, {transactions} transactions, kill -9 again and again")
    path = f"{mount}/base-{mode}"
    base = sqlite3.connect(path)
    base.execute(f"PRAGMA journal_mode={mode}")
    base.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER, note TEXT)")
    base.execute("CREATE TABLE counter (done INTEGER)")
    base.executemany("INSERT INTO account VALUES (?, 1000, '')", [(number,) for number in range(500)])
    base.execute("INSERT INTO counter VALUES (0)")
    base.commit()
    base.close()
    dice = random.Random(7)
    done = kills = 0
    while done < transactions:
        writer = subprocess.Popen([sys.executable, "-c", SQLITE_WRITER, path, mode, str(kills)], stdout=subprocess.PIPE, text=True)
        told = done
        for _ in range(dice.randrange(1, 2 * max(20, transactions // 40))):
            line = writer.stdout.readline()
            expect(line, f"the writer ended by itself: {writer.poll()}")
            told = int(line)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            told = int(line) if line.endswith("\n") else told
        writer.wait()
        kills += 1
        done = check_database(path, told)
    print(f"   {done} transactions, {kills} kills")


def sqlite(mount):
    for mode in ("WAL", "DELETE", "TRUNCATE") if LONG else ("WAL", "DELETE"):
        sqlite_mode(mount, mode, 10_000 if LONG else 60)


def stress(mount):
    seconds = 300 if LONG else 5
    step(f"stress-ng, the file system's stressors, {seconds} s")
    folder = mount + "/stress"
    os.mkdir(folder)
    # Left out: what mounts other file systems (bind-mount, binderfs) says nothing of this one. fanotify watches whatever is
    # mounted, and would wait for servers that another test has killed: it needs mounts of its own, without the others.
    words = ["stress-ng", "--class", "filesystem", "--verify", "--temp-path", folder]
    apart = ["unshare", "--mount", "--propagation", "private"]
    if run(*apart, "true", check=False).returncode == 0:
        alone = ("points=$(awk -v mine=\"$1\" '$3 == \"fuse.rideau\" && $2 != mine { print $2 }' /proc/self/mounts)\n"
                 "for point in $points; do umount --lazy --no-canonicalize \"$point\"; done\n"
                 "shift; exec \"$@\"")
        words = [*apart, "sh", "-c", alone, "sh", mount, *words, "--exclude", "bind-mount,binderfs"]
    else:
        step("in a chroot: without fanotify")
        words += ["--exclude", "bind-mount,binderfs,fanotify"]
    run(*words, "--all", "1", "--timeout", seconds, timeout=3600)
    shutil.rmtree(folder)


def fio(mount):
    step("fio, random writes of several sizes, verified")
    size = "1G" if LONG else "16M"
    for name, words in (("buffered", ["--rw=randwrite", "--bsrange=512-128k", "--bs_unaligned"]),
                        ("direct", ["--rw=randwrite", "--bs=4k", "--direct=1", "--iodepth=8", "--ioengine=libaio"]),
                        ("mapped", ["--rw=randwrite", "--bs=4k", "--ioengine=mmap"]),
                        ("together", ["--rw=randrw", "--bs=16k", "--numjobs=4", "--fsync=64"])):
        run("fio", f"--name={name}", f"--directory={mount}", f"--size={size}", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--verify_state_save=0",
            "--randseed=11", "--fallocate=none", "--group_reporting", *words, timeout=3600)


def dbench(mount):
    seconds = 300 if LONG else 4
    step(f"dbench, {seconds} s")
    loads = ["/usr/share/dbench/client.txt", "/usr/local/share/client.txt"]
    load = next((path for path in loads if os.path.exists(path)), None)
    expect(load is not None, f"dbench has no load file in {loads}")
    os.mkdir(mount + "/dbench")
    answer = run("dbench", "-D", mount + "/dbench", "-t", seconds, "-c", load, "4", timeout=3600)
    expect("ERROR" not in answer.stdout and "Throughput" in answer.stdout, answer.stdout[-2000:])
    shutil.rmtree(mount + "/dbench")


def build(mount):
    count = 120 if LONG else 12
    step(f"a C++ project of {count} files built with make -j4")
    folder = mount + "/project"
    os.mkdir(folder)
    for number in range(count):
        with open(f"{folder}/part{number}.hpp", "w") as file:
            file.write(f"#pragma once\nint part{number}(int value);\n")
        with open(f"{folder}/part{number}.cpp", "w") as file:
            file.write(f'#include "part{number}.hpp"\n#include <map>\n#include <string>\nint part{number}(int value) {{\n'
                       f'  std::map<std::string, int> m{{{{"a", {number}}}}};\n  return value + m["a"];\n}}\n')
    with open(folder + "/main.cpp", "w") as file:
        file.write("".join(f'#include "part{number}.hpp"\n' for number in range(count)))
        file.write("int main() {\n  int sum = 0;\n")
        file.write("".join(f"  sum = part{number}(sum);\n" for number in range(count)))
        file.write(f"  return sum == {count * (count - 1) // 2} ? 0 : 1;\n}}\n")
    with open(folder + "/Makefile", "w") as file:
        file.write("parts := $(patsubst %.cpp,%.o,$(wildcard *.cpp))\nprogram: libparts.a main.o\n\tg++ -o $@ main.o -L. -lparts\n"
                   "libparts.a: $(filter-out main.o,$(parts))\n\tar rcs $@ $^\n%.o: %.cpp\n\tg++ -O1 -MMD -c -o $@ $<\n-include *.d\n")
    run("make", "-C", folder, "-j4", timeout=3600)
    run(folder + "/program")
    again = run("make", "-C", folder, "-j4").stdout
    expect("up to date" in again, f"a second make had work to do: {again[-500:]}")
    shutil.rmtree(folder)


def many_files(mount):
    count = 200_000 if LONG else 3_000
    step(f"{count} files in one directory")
    folder = mount + "/many"
    os.mkdir(folder)
    for number in range(count):
        with open(f"{folder}/file-{number}", "wb", buffering=0) as file:
            if number % 10 == 0:
                file.write(b"%d" % number)
    expect(sorted(os.listdir(folder)) == sorted(f"file-{number}" for number in range(count)), "other names are listed")
    for number in range(0, count, 10 * (count // 2000 or 1)):
        with open(f"{folder}/file-{number}", "rb") as file:
            expect(file.read() == b"%d" % number, f"file-{number}")
    for number in range(count):
        os.unlink(f"{folder}/file-{number}")
    os.rmdir(folder)


need_fuse()
parts = [word for word in sys.argv[2:] if not word.startswith("--")] or ["sqlite", "stress", "fio", "dbench", "build", "many_files"]
with cluster() as made:
    for part in parts:
        begun = time.monotonic()
        globals()[part](made.mount)
        print(f"   {part}: {time.monotonic() - begun:.0f} s", flush=True)
    rideau("sync", made.mount)
    made.down()
print("no mistake was found")

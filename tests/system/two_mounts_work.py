# SPDX-License-Identifier: Apache-2.0
"""Goal: programs on two mounts work on each other's files as if they were on one machine: git, SQLite in both journal modes, a
parallel compile.
usage: two_mounts_work.py BUILD [--long]"""
import os
import sqlite3
import subprocess
import sys

from cluster import PATIENCE, cluster, expect, need_fuse, run, step

GIT = ["git", "-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "gc.auto=0", "-c", "safe.directory=*"]


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def git(first, second, rounds, files):
    step(f"git: one working tree and one bare repository, {rounds} rounds from both mounts in turn")
    os.mkdir(f"{first}/tree")
    run(*GIT, "init", "-q", "-b", "main", f"{first}/tree")
    run(*GIT, "init", "-q", "--bare", "-b", "main", f"{second}/bare.git")
    run(*GIT, "-C", f"{first}/tree", "remote", "add", "origin", f"{first}/bare.git")
    for number in range(rounds):
        here, there = (first, second) if number % 2 == 0 else (second, first)
        for file in range(files):
            folder = f"{here}/tree/d{file % 5}"
            os.makedirs(folder, exist_ok=True)
            write(f"{folder}/f{file}", f"round {number}, file {file}\n" * (file + 1))
        changed = run(*GIT, "-C", f"{there}/tree", "status", "--porcelain").stdout
        expect(changed != "", "git on the other mount sees no change")
        run(*GIT, "-C", f"{there}/tree", "add", "-A")
        run(*GIT, "-C", f"{here}/tree", "commit", "-qm", f"round {number}")
        status = run(*GIT, "-C", f"{there}/tree", "status", "--porcelain").stdout
        expect(status == "", f"not clean on the other mount: {status[:300]}")
        run(*GIT, "-C", f"{there}/tree", "remote", "set-url", "origin", f"{there}/bare.git")
        run(*GIT, "-C", f"{there}/tree", "push", "-q", "origin", "main")
    run(*GIT, "clone", "-q", "--no-hardlinks", f"{first}/bare.git", f"{second}/clone")
    for mount in (first, second):
        for repository in ("tree", "bare.git", "clone"):
            run(*GIT, "-C", f"{mount}/{repository}", "fsck", "--full", "--strict")
    run("diff", "-r", "--exclude=.git", f"{first}/tree", f"{second}/clone")
    count = run(*GIT, "-C", f"{second}/clone", "rev-list", "--count", "main").stdout.strip()
    expect(count == str(rounds), f"{count} commits and not {rounds}")


def fill_database(path, tag, transactions):
    """A program of its own, on one of the mounts: each transaction moves an amount from one account to another."""
    with_patience = sqlite3.connect(path, isolation_level=None, timeout=120 * PATIENCE)
    for number in range(transactions):
        with_patience.execute("begin immediate")
        with_patience.execute("insert into entries values(?, ?)", (tag, number))
        with_patience.execute("update accounts set amount = amount - 1 where name = ?", (tag,))
        with_patience.execute("update accounts set amount = amount + 1 where name = 'bank'")
        with_patience.execute("commit")
    with_patience.close()


def databases(first, second, transactions):
    for mode in ("delete", "wal"):
        step(f"SQLite, journal mode {mode}, {transactions} transactions from each mount at once")
        name = f"accounts-{mode}.db"
        database = sqlite3.connect(f"{first}/{name}", isolation_level=None)
        expect(database.execute(f"pragma journal_mode={mode}").fetchone() == (mode,), f"no journal mode {mode}")
        database.execute("create table entries(tag, number)")
        database.execute("create table accounts(name, amount)")
        database.executemany("insert into accounts values(?, ?)", [("a", transactions), ("b", transactions), ("bank", 0)])
        database.close()
        running = [subprocess.Popen([sys.executable, __file__, sys.argv[1], "fill", f"{mount}/{name}", tag, str(transactions)])
                   for mount, tag in ((first, "a"), (second, "b"))]
        try:
            reader = sqlite3.connect(f"{second}/{name}", isolation_level=None, timeout=120 * PATIENCE)
            while any(process.poll() is None for process in running):
                total = reader.execute("select sum(amount) from accounts").fetchone()
                expect(total == (2 * transactions,), f"a transaction was seen in part: {total}")
            reader.close()
            expect([process.wait() for process in running] == [0, 0], "a program failed")
        finally:
            for process in running:
                process.kill()
                process.wait()
        for mount in (first, second):
            database = sqlite3.connect(f"{mount}/{name}")
            expect(database.execute("pragma integrity_check").fetchone() == ("ok",), "the database is damaged")
            found = database.execute("select tag, count(*), max(number) from entries group by tag order by tag").fetchall()
            expect(found == [(tag, transactions, transactions - 1) for tag in "ab"], f"transactions are lost: {found}")
            expect(database.execute("select amount from accounts where name = 'bank'").fetchone() == (2 * transactions,), "amounts")
            database.close()


def compile_together(first, second, units):
    step(f"a program of {units} files, compiled by two runs of make on two mounts, linked on each")
    for mount in (first, second):
        expect(os.path.isdir(mount), mount)
    os.mkdir(f"{first}/program")
    numbers = range(units)
    write(f"{first}/program/all.h", "#include <vector>\n" + "".join(f"int part{n}(std::vector<int>& found);\n" for n in numbers))
    for number in numbers:
        write(f"{second}/program/part{number}.cpp",
              f'#include "all.h"\nint part{number}(std::vector<int>& found) {{ found.push_back({number}); return {number}; }}\n')
    calls = " + ".join(f"part{n}(found)" for n in numbers)
    write(f"{first}/program/main.cpp",
          f'#include "all.h"\n#include <cstdio>\nint main() {{ std::vector<int> found; int sum = {calls}; '
          'std::printf("%d %zu", sum, found.size()); }\n')
    objects = " ".join(f"part{n}.o" for n in numbers)
    half = " ".join(f"part{n}.o" for n in numbers if n % 2 == 0)
    rest = " ".join(f"part{n}.o" for n in numbers if n % 2 == 1)
    write(f"{second}/program/Makefile",
          f"program: main.o {objects}\n\tg++ -o $@ $^\n%.o: %.cpp all.h\n\tg++ -O0 -c -o $@ $<\nhalf: {half}\nrest: {rest} main.o\n")
    running = [subprocess.Popen(["make", "-s", "-j2", "-C", f"{mount}/program", goal]) for mount, goal in ((first, "half"), (second, "rest"))]
    expect([process.wait() for process in running] == [0, 0], "make failed")
    for here, there in ((first, second), (second, first)):
        told = run("make", "-C", f"{here}/program", "program").stdout
        expect(" -c " not in told, f"make on one mount does not know what the other has made:\n{told[:500]}")
        expect(run(f"{there}/program/program").stdout == f"{sum(numbers)} {units}", "the program says something else")
        os.unlink(f"{there}/program/program")


if sys.argv[2:3] == ["fill"]:
    fill_database(sys.argv[3], sys.argv[4], int(sys.argv[5]))
    sys.exit(0)
need_fuse()
LONG = "--long" in sys.argv
with cluster() as made:
    mounts = made.mount, made.mount_another("second")
    git(*mounts, *((40, 200) if LONG else (4, 20)))
    databases(*mounts, 2000 if LONG else 40)
    compile_together(*mounts, 60 if LONG else 6)
    made.down()
    made.check()
print("both mounts have done their work")

# SPDX-License-Identifier: Apache-2.0
"""Goal: `rideau fsck` finds a used cluster clean, while it works and when it is stopped, finds what is wrong in both, and
mends it in the stores of stopped servers alone."""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

from cluster import PATIENCE, RIDEAU, await_end, cluster, expect, need_fuse, rideau, step


def check(made, *words, wanted):
    answer = subprocess.run([RIDEAU, "fsck", "--config", made.config, "--json", *words], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, timeout=300 * PATIENCE, check=False)
    expect(answer.returncode == wanted, f"exit status {answer.returncode}\n{answer.stdout}\n{answer.stderr}")
    return json.loads(answer.stdout)


def kinds(report):
    return sorted({finding["kind"] for finding in report["findings"]})


def objects(made):
    nodes = json.loads(rideau("status", "--config", made.config, "--json").stdout)["nodes"]
    return sum(node.get("objects", 0) for node in nodes)


def await_objects(made, wanted):
    """Objects of removed files go after the removal has been answered."""
    until = time.monotonic() + 60 * PATIENCE
    while (there := objects(made)) != wanted:
        expect(time.monotonic() < until, f"{there} objects, and files have {wanted}")
        time.sleep(0.05)


@contextlib.contextmanager
def busy(made):
    """Names, links and bytes change all the while, from two threads; what they made is gone at the end."""
    stop = threading.Event()
    done = []

    def work(seed):
        chance = random.Random(seed)
        top = f"{made.mount}/busy"
        one = lambda: f"{top}/{chance.randrange(20)}"
        while not stop.is_set():
            with contextlib.suppress(OSError):
                call = chance.choice([os.mkdir, os.rmdir, os.unlink, os.rename, os.link, os.setxattr, open])
                if call in (os.rename, os.link):
                    call(one(), one())
                elif call is os.setxattr:
                    call(one(), "user.a", b"value")
                elif call is open:
                    with open(one(), "wb") as file:
                        file.write(b"x" * chance.randrange(20_000))
                else:
                    call(one())
                done.append(call)

    os.mkdir(made.mount + "/busy")
    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for worker in workers:
        worker.start()
    try:
        yield done
    finally:
        stop.set()
        for worker in workers:
            worker.join()
        shutil.rmtree(made.mount + "/busy")


# 8 files of each of 19 directories are too large for the metadata server, and two large files lie on both targets.
OBJECTS = 19 * 8 + 2 * 2


def use(made):
    step("a tree with everything in it")
    top = made.mount
    for number in range(20):
        os.makedirs(f"{top}/dir{number}/inner")
        for name in range(10):
            with open(f"{top}/dir{number}/inner/file{name}", "wb") as file:
                file.write(os.urandom(3000 * name))
        os.link(f"{top}/dir{number}/inner/file1", f"{top}/dir{number}/second")
        os.symlink("nowhere", f"{top}/dir{number}/symlink")
        os.setxattr(f"{top}/dir{number}/inner/file2", "user.name", b"value")
    os.rename(f"{top}/dir1", f"{top}/dir2/moved")
    shutil.rmtree(f"{top}/dir3")
    for name in ("large", "large2"):
        with open(f"{top}/{name}", "wb") as file:
            file.write(os.urandom(3_000_000))
    held = open(f"{top}/unlinked", "wb")
    held.write(b"x")
    os.unlink(f"{top}/unlinked")
    return held


need_fuse()
with cluster(oss=2) as made:
    held = use(made)
    step("clean while it is in use")
    with busy(made) as done:
        for _ in range(8):
            before = len(done)
            report = check(made, wanted=0)
            expect(report["online"] and report["inodes"] > 19 * 13, report)
            while len(done) < before + 20:
                time.sleep(0.001)
    answer = rideau("fsck", "--config", made.config, "--repair", check=False)
    expect(answer.returncode == 2 and "Stop them first" in answer.stdout, answer.stdout)
    held.close()
    # What was removed is gone before anything stops: else a later start destroys its object, and the copies below have it.
    await_objects(made, OBJECTS)
    made.down()
    step("clean after a stop")
    report = check(made, wanted=0)
    # 18 directories with inner, 10 files and a link; dir1 moved; the root and two large files.
    expect(report["clean"] and report["inodes"] == 19 * 13 + 3 and report["objects"] == OBJECTS, report)
    step("clean after everything was killed")
    made.up()
    with open(made.mount + "/late", "wb") as file:
        file.write(b"late")
        os.fsync(file.fileno())
    made.kill_all()
    subprocess.run(["umount", "-l", made.mount], check=False)
    report = check(made, wanted=0)
    expect(report["inodes"] == 19 * 13 + 4 and report["objects"] == OBJECTS, report)
    step("objects of before: a file that has another layout since has those of the old one again; they go")
    for oss in ("oss0", "oss1"):
        shutil.copytree(f"{made.folder}/{oss}", f"{made.folder}/{oss}-before")
    made.up()
    os.truncate(made.mount + "/large2", 0)
    rideau("layout", "set", "--count", "1", made.mount + "/large2")
    await_objects(made, OBJECTS - 2)
    made.down()
    check(made, wanted=0)
    for oss in ("oss0", "oss1"):
        shutil.rmtree(f"{made.folder}/{oss}")
        os.rename(f"{made.folder}/{oss}-before", f"{made.folder}/{oss}")
    report = check(made, wanted=1)
    expect(kinds(report) == ["orphan-object"] and report["left"] == 2 and not report["online"], report)
    step("found while it is in use as well")
    made.up()
    with busy(made):
        report = check(made, wanted=1)
    expect(kinds(report) == ["orphan-object"] and report["left"] == 2 and report["online"], report)
    os.kill(made.process("oss1"), signal.SIGKILL)
    await_end(made.process("oss1"))
    answer = rideau("fsck", "--config", made.config, check=False)
    expect(answer.returncode == 1 and "do not answer (oss1)" in answer.stdout, answer.stdout)
    made.up()
    made.down()
    report = check(made, "--repair", wanted=1)
    expect(report["left"] == 0 and all(finding["mended"] for finding in report["findings"]), report)
    check(made, wanted=0)
    answer = rideau("fsck", "--config", made.config)
    expect("clean" in answer.stdout, answer.stdout)
    step("everything is still there")
    made.up()
    expect(os.path.getsize(made.mount + "/large") == 3_000_000 and len(os.listdir(made.mount)) == 21, os.listdir(made.mount))
    expect(os.path.getsize(made.mount + "/large2") == 0, "bytes of an old layout")
    made.down()
    step("a store of another cluster is not touched")
    os.rename(f"{made.folder}/oss0", f"{made.folder}/away")
    os.rename(f"{made.folder}/oss1", f"{made.folder}/oss0")
    os.rename(f"{made.folder}/away", f"{made.folder}/oss1")
    answer = rideau("fsck", "--config", made.config, "--repair", check=False)
    expect(answer.returncode == 1 and "holds target" in answer.stdout, answer.stdout)
    shutil.rmtree(f"{made.folder}/oss1")
    answer = rideau("fsck", "--config", made.config, check=False)
    expect(answer.returncode == 1, answer.stdout)
    expect(not os.path.exists(f"{made.folder}/oss1"), "a store was made")
print("the check finds what is wrong and nothing else")

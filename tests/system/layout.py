# SPDX-License-Identifier: Apache-2.0
"""Goal: the striping of files and the defaults of directories are shown and chosen, by the command and through the extended
attribute, by those who may; bytes lie as chosen, on every mount; copies of files are not hindered."""
import errno
import json
import os
import subprocess

from cluster import cluster, expect, need_fuse, rideau, run, step

NAME = "rideau.layout"
MIB = 1 << 20


def refused(error, call, *words):
    try:
        call(*words)
    except OSError as failure:
        expect(failure.errno == error, f"{words}: {failure}, wanted {errno.errorcode[error]}")
        return
    raise AssertionError(f"{words} was not refused")


def layout_of(path):
    return json.loads(rideau("layout", "get", "--json", path).stdout)[0]


def objects(made):
    nodes = json.loads(rideau("status", "--config", made.config, "--json").stdout)["nodes"]
    return [node["objects"] for node in nodes if node["role"] == "oss"]


def commands(made):
    step("a new file gets the layout that was asked for, and its bytes lie so")
    top = made.mount
    rideau("layout", "set", "--count", "2", "--size", "1M", "--offset", "2", top + "/new")
    told = layout_of(top + "/new")
    expect((told["stripe_count"], told["stripe_size"], told["stripe_offset"]) == (2, MIB, 2), told)
    expect(told["targets"][0] > told["targets"][1], f"the last target is not the first: {told}")
    before = objects(made)
    with open(top + "/new", "wb") as file:
        file.write(os.urandom(MIB) + b"second stripe")
    rideau("sync", top)
    expect([new - old for new, old in zip(objects(made), before)] == [1, 0, 1], f"{before} -> {objects(made)}")
    step("an empty file changes its layout, also one that had bytes; a file with bytes does not")
    answer = rideau("layout", "set", "--count", "1", top + "/new", check=False)
    expect(answer.returncode == 1 and "has bytes already" in answer.stdout, answer.stdout)
    os.truncate(top + "/new", 0)
    rideau("layout", "set", "--count", "1", "--offset", "2", top + "/new")
    told = layout_of(top + "/new")
    expect((told["stripe_count"], told["stripe_size"], told["stripe_offset"]) == (1, MIB, 2), told)
    with open(top + "/new", "wb") as file:
        answer = rideau("layout", "set", "--count", "3", top + "/new", check=False)
        expect(answer.returncode == 1 and "open for writing" in answer.stdout, answer.stdout)
        file.write(b"third")
    with open(top + "/new", "rb") as file:
        expect(file.read() == b"third", "another content")
    step("wishes that cannot be are refused with a word")
    for words in (["--count", "9", top + "/none"], ["--offset", "3", top + "/none"]):
        answer = rideau("layout", "set", *words, check=False)
        expect(answer.returncode == 1 and "cannot be striped" in answer.stdout, answer.stdout)
        expect(not os.path.exists(top + "/none"), "the file was made all the same")
    for words in ([], ["--size", "100000"], ["--count", "none"], ["--size", "1x"], ["--offset", "-3"]):
        answer = rideau("layout", "set", *words, top + "/none", check=False)
        expect(answer.returncode == 2, f"{words}: {answer.returncode} {answer.stdout}")
    answer = rideau("layout", "get", made.folder, check=False)
    expect(answer.returncode == 1 and "not on a Rideau" in answer.stdout, answer.stdout)


def directories(made):
    step("the default of a directory is for what is made in it, and is inherited")
    top = made.mount
    os.mkdir(top + "/wide")
    os.mkdir(top + "/wide/before")
    expect(os.getxattr(top + "/wide", NAME) == b"stripe_count=default stripe_size=default stripe_offset=any inline=default", "a new directory")
    rideau("layout", "set", "--count", "all", "--size", "64K", top + "/wide")
    os.mkdir(top + "/wide/after")
    for folder, count in (("", 3), ("/before", 3), ("/after", 3)):
        with open(f"{top}/wide{folder}/file", "wb") as file:
            file.write(b"x")
        told = layout_of(f"{top}/wide{folder}/file")
        wanted = (count, MIB if folder == "/before" else 65536)
        expect((told["stripe_count"], told["stripe_size"]) == wanted, f"{folder}: {told}")
    os.setxattr(top + "/wide/after", NAME, b"stripe_count=2 stripe_offset=1\n")
    text = os.getxattr(top + "/wide/after", NAME)
    expect(text == b"stripe_count=2 stripe_size=65536 stripe_offset=1 inline=default", text)
    os.removexattr(top + "/wide/after", NAME)
    expect(os.getxattr(top + "/wide/after", NAME).startswith(b"stripe_count=default"), "not reset")


def attribute(made):
    step("the attribute: what was read can be written, it is never listed and never copied")
    top = made.mount
    path = top + "/wide/file"
    expect(os.listxattr(path) == [] and os.listxattr(top + "/wide") == [], "it is listed")
    os.setxattr(path, "user.kept", b"1")
    for copy in (["cp", "-a"], ["rsync", "-aX"]):
        if subprocess.run(["which", copy[0]], stdout=subprocess.DEVNULL, check=False).returncode != 0:
            continue
        target = f"{top}/copy-{copy[0]}"
        run(*copy, path, target)
        expect(os.getxattr(target, "user.kept") == b"1" and os.listxattr(target) == ["user.kept"], copy)
    os.mknod(top + "/empty")
    os.setxattr(top + "/empty", NAME, os.getxattr(path, NAME))
    expect(layout_of(top + "/empty")["stripe_count"] == 3, "what was read was not written")
    refused(errno.EEXIST, os.setxattr, top + "/empty", NAME, b"stripe_count=1", os.XATTR_CREATE)
    refused(errno.ENOTEMPTY, os.setxattr, path, NAME, b"stripe_count=1")
    for words in (b"", b"stripes=2", b"stripe_count=0", b"stripe_count=1 stripe_count=2", b"stripe_size=4096", b"stripe_count=4"):
        refused(errno.EINVAL, os.setxattr, top + "/empty", NAME, words)
    refused(errno.EOPNOTSUPP, os.removexattr, top + "/empty", NAME)
    os.mkfifo(top + "/fifo")
    refused(errno.ENODATA, os.getxattr, top + "/fifo", NAME)


def permissions(made):
    if os.geteuid() != 0:
        return
    step("its owner alone chooses; whoever may read it looks")
    top = made.mount
    for folder in (os.path.dirname(made.folder), made.folder):
        os.chmod(folder, 0o755)
    for path, owner in (("mine", 65534), ("theirs", 1)):
        with open(f"{top}/{path}", "wb"):
            pass
        os.chown(f"{top}/{path}", owner, owner)
        os.chmod(f"{top}/{path}", 0o666)
    script = f"""
import errno, os
os.setxattr({top + '/mine'!r}, {NAME!r}, b"stripe_count=2")
assert b"stripe_count=2" in os.getxattr({top + '/mine'!r}, {NAME!r})
os.getxattr({top + '/theirs'!r}, {NAME!r})
try:
    os.setxattr({top + '/theirs'!r}, {NAME!r}, b"stripe_count=2")
    raise SystemExit("not refused")
except OSError as failure:
    assert failure.errno == errno.EPERM, failure
"""
    run("python3", "-c", script, user=65534, group=65534, extra_groups=[])


def two_mounts(made):
    step("another mount that has the file open sees its new layout")
    other = made.mount_another("other")
    os.mknod(made.mount + "/shared")
    with open(other + "/shared", "rb", buffering=0) as reader:
        expect(reader.read() == b"", "bytes in an empty file")
        rideau("layout", "set", "--count", "3", "--size", "64K", made.mount + "/shared")
        data = os.urandom(300_000)
        with open(made.mount + "/shared", "wb") as file:
            file.write(data)
        expect(os.pread(reader.fileno(), 400_000, 0) == data, "the reader reads something else")
        expect(layout_of(other + "/shared")["stripe_count"] == 3, "the other mount tells another layout")


need_fuse()
with cluster(oss=3, options=[]) as made:
    commands(made)
    directories(made)
    attribute(made)
    permissions(made)
    two_mounts(made)
    made.down()
    made.check()
print("layouts are as chosen")

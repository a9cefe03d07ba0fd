# SPDX-License-Identifier: Apache-2.0
"""Goal: what people do with a file system works on the mount, and gives back the same bytes.

usage: real_work.py BUILD [--transport NAME [--encrypt] [--set KEY=VALUE …] | --single-process] [--objects NAME] [--short]
                    [--no-copies]
"""
import argparse
import hashlib
import json
import os
import re

from cluster import cluster, expect, need_fuse, rideau, run, step, temporary_folder


def copy_headers(mount):
    step("cp -a /usr/include, diff -r")
    run("cp", "-a", "/usr/include", mount + "/include")
    run("diff", "-r", "--no-dereference", "/usr/include", mount + "/include")


def tar_round_trip(mount, scratch):
    step("untar and tar again")
    first, second = scratch + "/a.tar", scratch + "/b.tar"
    flags = ["--sort=name", "--format=posix", "--pax-option=delete=atime,delete=ctime"]
    run("tar", *flags, "-cf", first, "-C", "/usr/include", "linux", "c++")
    os.mkdir(mount + "/tar")
    run("tar", "-xpf", first, "-C", mount + "/tar")
    run("tar", *flags, "-cf", second, "-C", mount + "/tar", "linux", "c++")
    run("cmp", first, second)


def make_repository(folder):
    """A repository of 10,000 files, made here: nothing is fetched."""
    os.makedirs(folder)
    for number in range(10_000):
        path = f"{folder}/d{number % 100}/s{number % 7}"
        os.makedirs(path, exist_ok=True)
        with open(f"{path}/f{number}.txt", "w") as file:
            file.write(f"file {number}\n" * (number % 50 + 1))
    git = ["git", "-C", folder, "-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "gc.auto=0"]
    run("git", "init", "-q", folder)
    run(*git, "add", "-A")
    run(*git, "commit", "-qm", "ten thousand files")


def git_clone(mount, scratch):
    step("git clone of 10,000 files, fsck, status")
    make_repository(scratch + "/repository")
    run("git", "clone", "-q", "--no-hardlinks", scratch + "/repository", mount + "/clone")
    run("git", "-C", mount + "/clone", "fsck", "--full", "--strict")
    status = run("git", "-C", mount + "/clone", "status", "--porcelain").stdout
    expect(status == "", f"git status is not clean: {status[:500]}")


def compile_program(mount):
    step("a C++ program compiled and run")
    os.mkdir(mount + "/build")
    with open(mount + "/build/main.cpp", "w") as file:
        file.write('#include <iostream>\n#include <map>\n#include <string>\n'
                   'int main() { std::map<std::string, int> m{{"a", 40}, {"b", 2}}; std::cout << m["a"] + m["b"]; }\n')
    run("g++", "-O1", "-o", mount + "/build/main", mount + "/build/main.cpp")
    expect(run(mount + "/build/main").stdout == "42", "the program says something else")


def rsync_twice(mount):
    step("rsync -aHAX twice")
    os.makedirs(mount + "/rsync")
    source = mount + "/../rsync-source"
    os.makedirs(source)
    for number in range(200):
        with open(f"{source}/f{number}", "w") as file:
            file.write("x" * number * 37)
    os.link(source + "/f1", source + "/hard")
    os.symlink("f2", source + "/soft")
    os.setxattr(source + "/f3", "user.colour", b"blue")
    os.chmod(source + "/f4", 0o640)
    run("rsync", "-aHAX", source + "/", mount + "/rsync/")
    again = run("rsync", "-aHAXi", source + "/", mount + "/rsync/").stdout
    expect(again == "", f"the second rsync had work to do:\n{again[:500]}")
    run("diff", "-r", source, mount + "/rsync")


def big_directory(mount):
    step("50,000 files in one directory")
    folder = mount + "/many"
    os.mkdir(folder)
    names = {f"file-{number:05d}" for number in range(50_000)}
    for name in names:
        os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    listed = os.listdir(folder)
    expect(len(listed) == len(names) and set(listed) == names, f"{len(listed)} names listed, {len(set(listed))} different")
    expect(os.stat(folder).st_nlink == 2, "a directory without subdirectories has two links")


def big_file(mount):
    step("2 GiB written and read back")
    block = 1 << 20
    written = hashlib.sha256()
    with open(mount + "/big", "wb", buffering=0) as file:
        for number in range(2048):
            data = hashlib.sha256(str(number).encode()).digest() * (block // 32)
            written.update(data)
            file.write(data)
        os.fsync(file.fileno())
    # Another reader, without what the kernel and the client have cached.
    descriptor = os.open(mount + "/big", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    got = hashlib.sha256()
    while data := os.read(descriptor, block):
        got.update(data)
    os.close(descriptor)
    expect(os.stat(mount + "/big").st_size == 2048 * block, "wrong size")
    expect(written.digest() == got.digest(), "other bytes came back")


def some_megabytes(mount, scratch):
    step("64 MiB written and read back")
    with open(scratch + "/some", "wb") as file:
        file.write(os.urandom(64 << 20))
    run("cp", scratch + "/some", mount + "/some")
    rideau("sync", mount)
    descriptor = os.open(mount + "/some", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    run("cmp", scratch + "/some", mount + "/some")


def with_settings(made, transport, settings):
    """The plugin's keys go into the file that `up` has written."""
    made.down()
    with open(made.config) as file:
        text = file.read()
    keys = "".join(f", {key} = {value}" for key, value in (setting.split("=", 1) for setting in settings))
    changed = text.replace(f'transport = "{transport}"', f'transport = {{plugin = "{transport}"{keys}}}')
    expect(changed != text, "the configuration names no transport")
    with open(made.config, "w") as file:
        file.write(changed)
    made.up()


def expect_no_copies(made):
    """Of payloads, in the transports of all nodes."""
    told = json.loads(rideau("stats", "--config", made.config, "--json").stdout)
    figures = [(name, value) for node in told["nodes"] for name, value in node["metrics"].items()]
    copied = {name: value for name, value in figures if re.match(r"rideau_plugin_copied_bytes_total.*\.transport", name)}
    moved = sum(value for name, value in figures if name == "rideau_server_payload_received_bytes_total")
    expect(len(copied) == len(told["nodes"]) and moved > 64 << 20, f"{moved} bytes went to the servers; {copied}")
    expect(not any(copied.values()), f"payloads were copied: {copied}")


parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--transport", default="tcp")
parser.add_argument("--encrypt", action="store_true")
parser.add_argument("--single-process", action="store_true")
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
parser.add_argument("--objects", default="raw-file")
parser.add_argument("--short", action="store_true")
parser.add_argument("--no-copies", action="store_true")
options = parser.parse_args()

need_fuse()
wishes = ["--single-process"] if options.single_process else ["--transport", options.transport]
wishes += ["--objects", options.objects, *(["--encrypt"] if options.encrypt else [])]
with cluster(options=wishes) as made, temporary_folder() as scratch_folder:
    if options.set:
        with_settings(made, options.transport, options.set)
    if options.short:
        tar_round_trip(made.mount, scratch_folder)
        compile_program(made.mount)
        some_megabytes(made.mount, scratch_folder)
    else:
        copy_headers(made.mount)
        tar_round_trip(made.mount, scratch_folder)
        git_clone(made.mount, scratch_folder)
        compile_program(made.mount)
        rsync_twice(made.mount)
        big_directory(made.mount)
        big_file(made.mount)
    if options.no_copies:
        expect_no_copies(made)
    step("sync, remove everything, go down")
    rideau("sync", made.mount)
    run("rm", "-rf", *(made.mount + "/" + name for name in os.listdir(made.mount)))
    made.down()
    made.check()
print("everything came back as it was")

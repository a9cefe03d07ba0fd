# SPDX-License-Identifier: Apache-2.0
"""Goal: object servers on raw files: a flipped bit is EIO and never other bytes, under a running server and under a stopped one, in
data and in records of checksums, the log says where, a scrub finds each one and names the file; after kill -9, also of everything at
once, nothing is refused that is good, and what was being changed is summed anew; checksums can be switched off and on.
"""
import errno
import json
import os
import random
import re
import time

from cluster import cluster, expect, need_fuse, rideau, run, step

WITHOUT = 'objects = "raw-file"'
WITH = 'objects = { plugin = "raw-file", checksums = true }'
MIB = 1 << 20
BLOCK = 4096
MARK = b"this stands in the file and nowhere else" * 600


def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def object_files(made, mark):
    """Files of objects that hold these bytes, and where."""
    found = []
    for node in ("oss0", "oss1"):
        for folder, _, names in os.walk(f"{made.folder}/{node}/objects/objects"):
            for name in names:
                with open(f"{folder}/{name}", "rb") as file:
                    at = file.read().find(mark)
                if at >= 0:
                    found.append((f"{folder}/{name}", at))
    return found


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


def rot(made, running):
    step(f"a flipped bit under a {'running' if running else 'stopped'} server: EIO, the log, a scrub")
    name = "rots" if running else "rotten"
    path = f"{made.mount}/{name}"
    mark = f"this stands in the file {name} and nowhere else".encode() * 600
    with open(path, "wb") as file:
        file.write(mark)
        os.fsync(file.fileno())
    (where, at), = object_files(made, mark[:BLOCK])
    if running:
        rideau("umount", made.mount)
    else:
        made.down()
    flip(where, at + 2 * BLOCK + 100)
    made.up()
    told = rideau("scrub", "--config", made.config, check=False)
    expect(told.returncode == 1 and f"/{name}: {BLOCK} bytes from {2 * BLOCK} on cannot be read (oss" in told.stdout, told.stdout)
    with open(path, "rb", buffering=0) as file:
        file.seek(2 * BLOCK)
        expect(attempt(file.read, BLOCK) == "EIO", "a rotten block is read")
        file.seek(0)
    node = "oss0" if "/oss0/" in where else "oss1"
    expect(f"wrong checksum: object {os.path.basename(where)}, offset {at // BLOCK * BLOCK + 2 * BLOCK}, file {where}" in made.log(node),
           made.log(node)[-2000:])
    with open(path, "r+b") as file:
        file.write(mark)
        os.fsync(file.fileno())
    told = json.loads(rideau("scrub", "--config", made.config, "--json").stdout)
    expect(told["clean"] and all(target["checksums"] for target in told["targets"]), told)
    os.unlink(path)


def rotten_table(made):
    step("a flipped bit in a record of checksums: EIO, the log, a scrub")
    path = made.mount + "/listed"
    mark = b"this stands in the file listed and nowhere else" * 600
    with open(path, "wb") as file:
        file.write(mark)
        os.fsync(file.fileno())
    time.sleep(6)  # its sums come to the index
    (where, _), = object_files(made, mark[:BLOCK])
    node = "oss0" if "/oss0/" in where else "oss1"
    made.down()
    name = os.path.basename(where)
    record = b"Rs" + bytes.fromhex(name) + bytes(8) + b"\x01\x01\x00\x00\x00"  # its key, then version, runs, first
    index = f"{made.folder}/{node}/index/data.mdb"
    with open(index, "rb") as file:
        pages = file.read()
    found = [match.end() for match in re.finditer(re.escape(record), pages)]  # older pages have it too
    expect(found, f"no checksums of {name} in {index}")
    for at in found:
        flip(index, at + 4)
    made.up()
    with open(path, "rb", buffering=0) as file:
        expect(attempt(file.read, BLOCK) == "EIO", "a block is read whose checksum is rotten")
    expect(f"the checksums of object {name} cannot be read from the index" in made.log(node), made.log(node)[-2000:])
    told = rideau("scrub", "--config", made.config, check=False)
    expect(told.returncode == 1 and "/listed: " in told.stdout and "cannot be read (oss" in told.stdout, told.stdout)
    with open(path, "wb") as file:  # cuts it first
        file.write(mark)
        os.fsync(file.fileno())
    with open(path, "rb") as file:
        expect(file.read() == mark, "other bytes")
    told = json.loads(rideau("scrub", "--config", made.config, "--json").stdout)
    expect(told["clean"], told)
    os.unlink(path)


def kills(made):
    step("kill -9 of object servers while files change in place: nothing good is refused")
    dice = random.Random(7)
    size = 20 * MIB
    data = bytearray(dice.randbytes(size))
    path = made.mount + "/database"
    with open(path, "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    for node in ("oss0", "oss1", "oss0"):
        time.sleep(6)  # its sums come to the index
        with open(path, "r+b", buffering=0) as file:
            for _ in range(200):
                offset = dice.randrange(size - 9000)
                piece = dice.randbytes(dice.randrange(1, 9000))
                data[offset:offset + len(piece)] = piece
                file.seek(offset)
                file.write(piece)
            os.fsync(file.fileno())
            for _ in range(200):
                offset = dice.randrange(size - 9000)
                piece = dice.randbytes(dice.randrange(1, 9000))
                data[offset:offset + len(piece)] = piece
                file.seek(offset)
                file.write(piece)
            made.kill(node)
            made.up()
        expect("were summed anew" in made.log(node), made.log(node)[-2000:])
    rideau("sync", made.mount)
    made.kill("oss0", "oss1")
    made.up()
    other = made.mount_another("other")
    with open(other + "/database", "rb") as file:
        expect(file.read() == bytes(data), "other bytes")
    rideau("umount", other)
    told = json.loads(rideau("scrub", "--config", made.config, "--json").stdout)
    expect(told["clean"], told)


def configure(made, before, after):
    with open(made.config) as file:
        text = file.read()
    expect(before in text, text)
    with open(made.config, "w") as file:
        file.write(text.replace(before, after))


def switched(made):
    step("checksums are switched off, files change, and are switched on again")
    made.down()
    configure(made, WITH, WITHOUT)
    made.up()
    with open(made.mount + "/database", "r+b") as file:
        file.write(MARK)
        os.fsync(file.fileno())
    told = json.loads(rideau("scrub", "--config", made.config, "--json").stdout)
    expect(told["clean"] and not any(target["checksums"] for target in told["targets"]), told)
    made.down()
    configure(made, WITHOUT, WITH)
    made.up()
    expect("have no checksums" in made.log("oss0"), made.log("oss0")[-2000:])
    rideau("scrub", "--config", made.config)  # which gives all of them theirs
    time.sleep(6)
    made.down()
    (where, at), = object_files(made, MARK[:BLOCK])
    flip(where, at + 5)
    made.up()
    with open(made.mount + "/database", "rb", buffering=0) as file:
        expect(attempt(file.read, BLOCK) == "EIO", "a rotten block is read")
    with open(made.mount + "/database", "r+b") as file:
        file.write(MARK)


need_fuse()
with cluster(oss=2) as made_here:
    made_here.down()
    configure(made_here, WITHOUT, WITH)
    made_here.up()
    run("cp", "-a", "/usr/include/linux", made_here.mount + "/linux")
    rot(made_here, False)
    rot(made_here, True)
    rotten_table(made_here)
    kills(made_here)
    switched(made_here)
    run("diff", "-r", "/usr/include/linux", made_here.mount + "/linux")
    made_here.down()
    made_here.check()
print("raw files find rot, and refuse nothing else")

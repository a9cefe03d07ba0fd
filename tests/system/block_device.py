# SPDX-License-Identifier: Apache-2.0
"""Goal: object servers on block devices: `rideau format` refuses what holds something, an image and a loop device serve a
mount without the page cache, what was fsynced survives kill -9 of an object server, a full device says so and recovers, a
flipped bit is EIO, and a device that belongs elsewhere is refused. The loop device needs root.
"""
import contextlib
import errno
import json
import os
import subprocess
import time

from cluster import PATIENCE, RIDEAU, cluster, expect, need_fuse, rideau, run, step, temporary_folder

MIB = 1 << 20
SIZE = 192 * MIB


def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def make_image(path, size=SIZE):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


@contextlib.contextmanager
def loop_device(image):
    """A loop device without the page cache of its image; the image itself where this machine makes none."""
    made = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", image], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        print(f"   no loop device here, an image instead: {made.stderr.strip()}")
        yield image
        return
    try:
        yield made.stdout.strip()
    finally:
        subprocess.run(["losetup", "-d", made.stdout.strip()], check=False)


def format_refuses(folder):
    step("format: refuses what holds something, and says what")
    image = make_image(folder + "/first", 32 * MIB)
    run("mkfs.ext4", "-q", "-F", image)
    told = rideau("format", "--device", image, check=False)
    expect(told.returncode == 1 and "ext4" in told.stdout and "--force" in told.stdout, told.stdout)
    rideau("format", "--force", "--device", image)
    told = rideau("format", "--device", image, check=False)
    expect(told.returncode == 1 and "Rideau block device" in told.stdout, told.stdout)
    with open(make_image(folder + "/second", 32 * MIB), "r+b") as file:
        file.seek(MIB - 1)
        file.write(b"x")
    told = rideau("format", "--device", folder + "/second", check=False)
    expect(told.returncode == 1 and "first MiB" in told.stdout, told.stdout)
    told = rideau("format", "--device", make_image(folder + "/third", MIB), check=False)
    expect(told.returncode == 1 and "at least" in told.stdout, told.stdout)


def work(mount):
    step("files are written, read back, changed and cut")
    run("cp", "-a", "/usr/include/linux", mount + "/linux")
    run("diff", "-r", "/usr/include/linux", mount + "/linux")
    data = os.urandom(20 * MIB)
    with open(mount + "/big", "wb") as file:
        file.write(data)
    with open(mount + "/big", "r+b") as file:
        file.seek(7 * MIB + 123)
        file.write(b"changed")
        file.truncate(15 * MIB + 77)
        os.fsync(file.fileno())
    data = (data[:7 * MIB + 123] + b"changed" + data[7 * MIB + 130:])[:15 * MIB + 77]
    return data


def reread(made, data):
    """With another client, which has nothing in its cache."""
    point = made.mount_another("again")
    with open(point + "/big", "rb") as file:
        expect(file.read() == data, "other bytes")
    run("diff", "-r", "/usr/include/linux", point + "/linux")
    rideau("umount", point)


def fill(made):
    step("full, then emptied: ENOSPC comes from write, overwriting goes on, the space comes back")
    mount = made.mount
    before = os.statvfs(mount).f_bavail
    descriptor = os.open(mount + "/fill", os.O_RDWR | os.O_CREAT)
    piece = os.urandom(MIB)
    written = 0
    while isinstance(count := attempt(os.write, descriptor, piece), int) and count == MIB:
        written += count
    expect(count == "ENOSPC" or isinstance(count, int), count)
    while isinstance(count, int):
        count = attempt(os.write, descriptor, piece)
    expect(count == "ENOSPC", count)
    expect(attempt(os.fsync, descriptor) is None, "fsync tells what write has told")
    for offset in range(0, 40 * MIB, MIB):
        expect(os.pwrite(descriptor, piece, offset + 77) == MIB, "bytes that have their space")
    expect(attempt(os.fsync, descriptor) is None, "fsync of overwritten bytes")
    expect(os.pread(descriptor, MIB, 3 * MIB + 77) == piece, "other bytes")
    os.close(descriptor)
    os.unlink(mount + "/fill")
    for _ in range(600):
        if os.statvfs(mount).f_bavail >= before * 0.97:
            return
        run("sleep", "0.1")
    raise AssertionError("the space does not come back")


def rot(made, device):
    step("a flipped bit on the device is EIO, the log says where, and a scrub finds it and names the file")
    mark = b"this stands in the file and nowhere else" * 200
    os.mkdir(made.mount + "/folder")
    with open(made.mount + "/folder/rots", "wb") as file:
        file.write(mark)
        os.fsync(file.fileno())
    made.down()
    with open(device, "r+b") as file:
        content = file.read()
        at = content.find(mark[:4096])
        expect(at > 0 and at % 4096 == 0, "the file is not on this device in one piece")
        file.seek(at + 100)
        file.write(bytes([content[at + 100] ^ 4]))
    made.up()
    told = rideau("scrub", "--config", made.config, check=False)
    expect(told.returncode == 1 and "/folder/rots: 4096 bytes from 0 on cannot be read (oss0" in told.stdout, told.stdout)
    told = attempt(open(made.mount + "/folder/rots", "rb", buffering=0).read, 4096)
    expect(told == "EIO", f"a rotten block: {told}")
    expect("wrong checksum" in made.log("oss0"), "the log does not tell the block")
    with open(made.mount + "/folder/rots", "r+b") as file:
        file.write(mark)
        os.fsync(file.fileno())
    told = json.loads(rideau("scrub", "--config", made.config, "--json").stdout)
    expect(told["clean"] and told["targets"][0]["checksums"] and told["targets"][0]["bytes"] > 20 * MIB // 2, told)


def drained_of(made, node):
    told = json.loads(rideau("status", "--config", made.config, "--json", check=False).stdout)["nodes"]
    return next(one.get("drain", {}) for one in told if one["node"] == node)


def damaged_file_keeps_its_server(scratch):
    step("a damaged file stays on a server that is drained; the status says what to do, and the drain goes on when it is mended")
    images = {node: make_image(f"{scratch}/{node}.two") for node in ("oss0", "oss1")}
    options = ["--objects", "block-device"]
    for node, image in images.items():
        rideau("format", "--device", image)
        options += ["--device", f"{node}={image}"]
    mark = b"this rots" * 2000
    with cluster(oss=2, options=options) as made:
        with open(made.mount + "/rots", "wb") as file:
            file.write(mark)
            os.fsync(file.fileno())
        made.down()
        for node, image in images.items():
            with open(image, "r+b") as file:
                at = file.read().find(mark[:4096])
                if at < 0:
                    continue
                file.seek(at)
                file.write(b"T")
                break
        expect(at > 0, "the file is on neither device")
        made.up()
        tool = subprocess.Popen([RIDEAU, "drain", "--config", made.config, node], stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + 60 * PATIENCE
        while "rideau scrub" not in drained_of(made, node).get("problem", ""):
            expect(time.monotonic() < until, f"the status does not say why the drain waits: {drained_of(made, node)}")
            time.sleep(0.1)
        with open(made.mount + "/rots", "r+b") as file:
            file.write(mark)
            os.fsync(file.fileno())
        told, _ = tool.communicate(timeout=120 * PATIENCE)
        expect(tool.returncode == 0 and f"{node} is drained" in told, told)
        with open(made.mount + "/rots", "rb") as file:
            expect(file.read() == mark, "other bytes")


def small(made):
    step("small objects: durable with the index alone, moved out when they grow, and sound for a scrub")
    folder = made.mount + "/small"
    os.mkdir(folder)
    rideau("layout", "set", "--inline", "0", folder)         # else the metadata server would have them
    contents = {}
    for number in range(60):
        contents[number] = os.urandom(1 + number * 4096 // 60)
        with open(f"{folder}/{number}", "wb") as file:
            file.write(contents[number])
            os.fsync(file.fileno())

    def survive():
        made.kill("oss0")
        made.up()
        point = made.mount_another("small")
        for number, content in contents.items():
            with open(f"{point}/small/{number}", "rb") as file:
                expect(file.read() == content, f"other bytes in file {number}")
            space = os.stat(f"{point}/small/{number}").st_blocks * 512
            expect(space == (len(content) + 4095) // 4096 * 4096, f"file {number} of {len(content)} bytes takes {space}")
        rideau("umount", point)

    survive()
    for number in range(0, 60, 2):
        with open(f"{folder}/{number}", "ab") as file:
            file.write(b"+" * 5000)
            os.fsync(file.fileno())
        contents[number] += b"+" * 5000
    survive()
    expect(json.loads(rideau("scrub", "--config", made.config, "--json").stdout)["clean"], "the scrub finds something")


def overwritten(made):
    step("small overwrites, each with an fsync: there after kill -9, and again when they are in their blocks")
    data = bytearray(os.urandom(300_000))
    descriptor = os.open(made.mount + "/overwritten", os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, data, 0)
    os.fsync(descriptor)

    def same():
        point = made.mount_another("overwritten")
        with open(point + "/overwritten", "rb") as file:
            expect(file.read() == data, "other bytes")
        rideau("umount", point)

    for round_number in range(2):
        for number in range(40):
            piece = os.urandom(1 + number * 23)
            at = (number * 7919 + round_number * 100_003) % (len(data) - 300)     # some grow the file
            data[at:at + len(piece)] = piece
            os.pwrite(descriptor, piece, at)
            os.fsync(descriptor)
        made.kill("oss0")
        made.up()
        same()
    os.close(descriptor)
    run("sleep", "6")                                        # the store merges what is so old
    expect(json.loads(rideau("scrub", "--config", made.config, "--json").stdout)["clean"], "the scrub finds something")
    made.kill("oss0")
    made.up()
    same()


def foreign(made, folder):
    step("the device of another target is refused with clear words")
    made.down()
    other = make_image(folder + "/other")
    rideau("format", "--device", other)
    with open(made.config) as file:
        config = file.read()
    with open(made.config, "w") as file:
        file.write(config.replace(made.device, other))
    told = made.up(check=False)
    expect(told.returncode == 1 and "name the device that belongs to this target" in told.stdout, told.stdout)
    with open(made.config, "w") as file:
        file.write(config)


need_fuse()
with temporary_folder() as scratch:
    format_refuses(scratch)
    with loop_device(make_image(scratch + "/oss0.img")) as path:
        rideau("format", "--device", path)
        with cluster(oss=1, options=["--objects", "block-device", "--device", f"oss0={path}"]) as made:
            made.device = path
            bytes_of_big = work(made.mount)
            reread(made, bytes_of_big)
            step("kill -9 of the object server: what was fsynced is there")
            rideau("sync", made.mount)
            made.kill("oss0")
            made.up()
            reread(made, bytes_of_big)
            small(made)
            overwritten(made)
            fill(made)
            rot(made, path)
            foreign(made, scratch)
            step("back with its own device, checked")
            made.up()
            reread(made, bytes_of_big)
            made.down()
            made.check()
    damaged_file_keeps_its_server(scratch)
print("block devices serve, survive and refuse")

# SPDX-License-Identifier: Apache-2.0
"""Two mounts of one cluster that want the same: what it costs when they take turns, in time and in messages of the servers
(sent and received, pings included)."""
import json
import os
import time

from cluster import expect, rideau

PAGE = 4096


def messages(made):
    told = json.loads(rideau("stats", "--config", made.config, "--json").stdout)
    return sum(value for node in told["nodes"] for key, value in node["metrics"].items()
               if key.startswith(("rideau_server_messages_sent_total", "rideau_server_messages_received_total")))


def measured(made, count, action):
    """Seconds and messages of each of `count` things that `action` does."""
    asking = messages(made)
    before = messages(made)
    began = time.monotonic()
    action()
    seconds = time.monotonic() - began
    return seconds / count, max(0, messages(made) - before - (before - asking)) / count


def ping_pong(made, mounts, turns):
    """One page, written through one mount and then read through the other, which writes next."""
    path = "ping-pong"
    with open(f"{mounts[0]}/{path}", "wb") as file:
        file.write(bytes(PAGE))
    files = [os.open(f"{mount}/{path}", os.O_RDWR) for mount in mounts]

    def play():
        for turn in range(turns):
            page = turn.to_bytes(8, "little") * (PAGE // 8)
            os.pwrite(files[turn % 2], page, 0)
            expect(os.pread(files[1 - turn % 2], PAGE, 0) == page, f"turn {turn}: another page")

    found = measured(made, turns, play)
    for file in files:
        os.close(file)
    return found


def halves(made, mounts, blocks):
    """Two processes write the halves of one file, durable: both on one mount, then each on its own. Seconds and messages a block."""
    block, found = 1 << 20, []
    data = bytes(range(256)) * (block // 256)

    def write(file, place):
        for number in range(blocks):
            os.pwrite(file, data, place + number * block)
        os.fsync(file)

    for name, hosts in (("alone", [mounts[0], mounts[0]]), ("halves", mounts)):
        with open(f"{mounts[0]}/{name}", "wb") as file:
            file.truncate(2 * blocks * block)
        files = [os.open(f"{mount}/{name}", os.O_RDWR) for mount in hosts]

        def run():
            children = []
            for number, file in enumerate(files):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        write(file, number * blocks * block)
                        status = 0
                    finally:
                        os._exit(status)
                children.append(child)
            for child in children:
                expect(os.waitpid(child, 0)[1] == 0, "a process could not write its blocks")

        run()   # so that everybody has what he needs of the file
        found.append(measured(made, 2 * blocks, run))
        for file in files:
            os.close(file)
    return found


def creates(made, folders, files):
    """Each folder is filled by a process of its own, all at once; the same folder twice: through two mounts."""
    def fill(number, folder):
        for file in range(files):
            os.close(os.open(f"{folder}/{number}-{file}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))

    def run():
        children = []
        for number, folder in enumerate(folders):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    fill(number, folder)
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)
        for child in children:
            expect(os.waitpid(child, 0)[1] == 0, "a process could not make its files")

    return measured(made, files * len(folders), run)


def figures(made, turns, files):
    """What docs/figures.md says of it."""
    mounts = [made.mount, made.mount_another("second")]
    seconds, each = ping_pong(made, mounts, turns)
    text = (f"Two mounts of one cluster. One page of {PAGE} bytes back and forth, {turns} turns: **{seconds * 1e6:,.0f} µs** "
            f"and {each:.1f} messages a turn (a write on one mount, a read of it on the other).\n")
    (alone, of_alone), (both, of_both) = halves(made, mounts, turns // 4)
    text += (f"The halves of one file of {turns // 2} MiB, written in blocks of 1 MiB by a process each, durable: on two mounts at **{alone / both:.2f}** "
             f"of the rate of both on one ({1 / both:,.0f} MiB/s, {of_both:.1f} messages a block; one mount {of_alone:.1f}).\n")
    for folder in ("one", "own0", "own1"):
        os.mkdir(f"{mounts[0]}/{folder}")
    for what, folders in (("in one directory", [f"{mount}/one" for mount in mounts]),
                          ("each in its own", [f"{mount}/own{number}" for number, mount in enumerate(mounts)])):
        for folder in folders:
            os.listdir(folder)
        seconds, each = creates(made, folders, files)
        text += f"Creates of both mounts at once, {what}: **{1 / seconds:,.0f}/s**, {each:.1f} messages each.\n"
    expect(len(os.listdir(f"{mounts[1]}/one")) == 2 * files, "not every file is there")
    return text

# SPDX-License-Identifier: Apache-2.0
"""Transports beside each other: links beside a bare socket, mounts beside the mount over plain TCP, creates through the library.

Every ratio is of figures that were taken in turn, round by round, in one run.
"""
import contextlib
import json
import os
import statistics

from cluster import BUILD, Cluster, expect, rideau, run, temporary_folder

LINKS = os.path.join(BUILD, "tests", "rideau-bench-links")
LOAD = os.path.join(BUILD, "tests", "rideau-bench-load")
LIBRARY = os.path.join(BUILD, "tests", "rideau-bench-library")


class Way:
    """How a cluster is made that goes this way, and what its transport is called."""

    def __init__(self, told, plugin, up, keys=None):
        self.told = told
        self.plugin = plugin
        self.up = up
        self.keys = keys or {}      # of the transport, set after `up`


WAYS = {
    "tcp": Way("TCP between two machines", "tcp", ["--transport", "tcp"], {"local": "false"}),
    "local": Way("TCP's Unix sockets within a machine", "tcp", ["--transport", "tcp"]),
    "tls": Way("TCP with TLS 1.3", "tcp", ["--transport", "tcp", "--encrypt"]),
    "zmq": Way("ZeroMQ", "zmq", ["--transport", "zmq"]),
    "curve": Way("ZeroMQ with CURVE", "zmq", ["--transport", "zmq", "--encrypt"]),
    "rdma": Way("rdma over libfabric's `tcp;ofi_rxm`, without an adapter", "rdma", ["--transport", "rdma"]),
    "inproc": Way("one process", "inproc", ["--single-process"]),
}
GROUPS = [("create,unlink", 4), ("seq_write,seq_read,seq_unlink", 1)]       # phases, and by how many processes
LINK_FIGURES = {"round_trips": ("200-byte round trips", "/s"), "messages": ("messages, 64 on their way", "/s"), "bulk_mib": ("bulk of 1 MiB", " MiB/s")}
MOUNT_FIGURES = {"create": ("creates by four", "/s"), "seq_write": ("written", " MiB/s"), "seq_read": ("read", " MiB/s")}


def chosen(words):
    """The ways of --transport; plain TCP first, with which the others are compared."""
    ways = list(WAYS) if words == "all" else words.split(",")
    unknown = [way for way in ways if way not in WAYS]
    if unknown:
        raise SystemExit(f"--transport knows {', '.join(WAYS)} and all, not {', '.join(unknown)}")
    return ["tcp", *(way for way in dict.fromkeys(ways) if way != "tcp")]


def in_turn(ways, number):
    """Another one begins each round."""
    return [ways[(number + at) % len(ways)] for at in range(len(ways))]


def words_of_link(way, keys):
    settings = dict(WAYS[way].keys)
    if way == "tls":
        settings = {"local": "false", "certificate": f"{keys}/node.pem", "key": f"{keys}/node.key", "authority": f"{keys}/authority.pem"}
    if way == "curve":
        settings = {"key_file": f"{keys}/cluster.curve"}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return words + (["--beside-unix"] if way == "local" else [])


def links(ways, rounds, messages, mib):
    """Figures of each way's link, and their ratios to the bare socket of the same rounds."""
    found = {}
    with temporary_folder() as folder:
        keys = os.path.join(folder, "keys")
        rideau("keys", "authority", "--dir", keys)
        rideau("keys", "node", "node", "--dir", keys, "--address", "127.0.0.1")
        rideau("keys", "curve", keys + "/cluster.curve")
        for way in ways:
            done = run(LINKS, WAYS[way].plugin, *words_of_link(way, keys), "--rounds", rounds, "--messages", messages, "--mib", mib)
            found[way] = json.loads(done.stdout.splitlines()[-1])
            expect(all(found[way][name] > 0 and found[way][name + "_ratio"] > 0 for name in LINK_FIGURES), f"{way}: {found[way]}")
    return found


def change_transport(made, keys):
    """Restarts a cluster of which nothing is mounted with these keys of its transport."""
    made.down()
    with open(made.config) as file:
        text = file.read()
    changed = text.replace('transport = "tcp"', 'transport = { plugin = "tcp"' + "".join(f", {key} = {value}" for key, value in keys.items()) + " }", 1)
    expect(changed != text, "the configuration names no transport")
    with open(made.config, "w") as file:
        file.write(changed)


@contextlib.contextmanager
def going(way, mounted):
    """A cluster that goes this way."""
    with temporary_folder() as folder:
        made = Cluster(os.path.join(folder, "cluster"), 2, WAYS[way].up)
        if WAYS[way].keys or not mounted:
            made.options.append("--no-mount")
        made.up()
        if WAYS[way].keys:
            change_transport(made, WAYS[way].keys)
            if mounted:
                made.options.remove("--no-mount")
            made.up()
        try:
            yield made
        finally:
            made.down()


def mounts(ways, rounds, files, mib):
    """Rates of each phase: by way and phase a list of rounds."""
    rates = {way: {phase: [] for phase in MOUNT_FIGURES} for way in ways}
    with contextlib.ExitStack() as stack:
        clusters = {way: stack.enter_context(going(way, True)) for way in ways}
        for number in range(rounds):
            for phases, processes in GROUPS:
                for way in in_turn(ways, number):
                    folder = os.path.join(clusters[way].mount, f"round{number}-{processes}")
                    done = run(LOAD, folder, "--processes", processes, "--files", files, "--mib", mib, "--phases", phases)
                    for line in map(json.loads, done.stdout.splitlines()):
                        if line["phase"] in MOUNT_FIGURES:
                            rates[way][line["phase"]].append(line["operations"] / line["seconds"])
    expect(all(len(taken) == rounds for of_way in rates.values() for taken in of_way.values()), f"phases without a figure: {rates}")
    return rates


def library_creates(files, rounds):
    """Creates a second: of a file system in the program's own process, and over two ways; each a list of rounds."""
    found = {"inproc": [], "tcp": [], "local": []}
    with temporary_folder() as folder, going("tcp", False) as over_tcp, going("local", False) as over_unix:
        os.mkdir(folder + "/lmdb")
        for number in range(rounds):
            places = {"inproc": f"{folder}/own{number}", "tcp": over_tcp.config, "local": over_unix.config}
            for way in in_turn(list(places), number):
                done = run(LIBRARY, places[way], folder + "/lmdb", "--files", files, "--in-flight", min(256, files), "--rounds", 1)
                found[way].append(json.loads(done.stdout.splitlines()[-1])["creates"])
    return found


def median_ratio(ours, theirs):
    return statistics.median(one / other for one, other in zip(ours, theirs))


def table(head, rows):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)) + "\n"


class Figures:
    def __init__(self, ways, quick, smoke):
        self.ways = ways
        self.rounds = 1 if smoke else 3 if quick else 5
        self.mib = 4 if smoke else 256 if quick else 1024
        self.links = links(ways, self.rounds, 640 if smoke else 20_000, 8 if smoke else 512)
        self.mounts = mounts(ways, self.rounds, 20 if smoke else 500 if quick else 1500, self.mib)
        self.library = library_creates(200 if smoke else 20_000, self.rounds) if "inproc" in ways else None

    def ratios(self, way):
        of_links = [self.links[way][name + "_ratio"] for name in LINK_FIGURES]
        return of_links + [median_ratio(self.mounts[way][name], self.mounts["tcp"][name]) for name in MOUNT_FIGURES]

    def rates(self, way):
        of_links = [self.links[way][name] for name in LINK_FIGURES]
        return of_links + [statistics.median(self.mounts[way][name]) for name in MOUNT_FIGURES]

    def creates(self):
        """Of the library; empty when nobody asked for one process."""
        if self.library is None:
            return ""
        own, tcp, local = (self.library[way] for way in ("inproc", "tcp", "local"))
        return (f"Creates through the library in a file system of the program's own process, beside a cluster over plain TCP: "
                f"**{median_ratio(own, tcp):.2f}** times as many (bar: 2); beside one over Unix sockets {median_ratio(own, local):.2f}")

    def whole(self):
        """Everything, for people who look for causes."""
        columns = {**LINK_FIGURES, **MOUNT_FIGURES}
        rows = [[way, WAYS[way].told, *(f"{ratio:.2f} ({rate:,.0f}{unit})" for ratio, rate, (_, unit)
                                        in zip(self.ratios(way), self.rates(way), columns.values()))] for way in self.ways]
        text = table(["way", "what it is", *(name for name, _ in columns.values())], rows)
        text += ("\nThe first three are of a link alone, as shares of a bare TCP socket between two processes (of a Unix socket for `local`); the others of a "
                 f"mount, {self.mib} MiB in one file, as shares of the mount over plain TCP. Medians of {self.rounds} rounds, in each round one after the other.\n")
        if self.library is not None:
            rates = {way: statistics.median(taken) for way, taken in self.library.items()}
            text += f"\n{self.creates()} ({rates['inproc']:,.0f}/s, {rates['tcp']:,.0f}/s, {rates['local']:,.0f}/s).\n"
        return text

    def guide(self):
        """What somebody needs who chooses: ratios alone."""
        rows = [[f"`{way}`", WAYS[way].told, *(f"{ratio:.2f}" for ratio in self.ratios(way))] for way in self.ways]
        columns = [name for name, _ in {**LINK_FIGURES, **MOUNT_FIGURES}.values()]
        text = table(["way", "what it is", *columns], rows)
        return text + (f"\n{self.creates()}.\n" if self.library is not None else "")

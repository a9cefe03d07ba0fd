# SPDX-License-Identifier: Apache-2.0
"""What a run found, as a table in Markdown and a plot in SVG."""
import statistics

# What a mount of ours should reach of null FUSE.
BARS = {
    ("create", 4): 0.5,
    ("stat_cached", 4): 0.8,
    ("open_cached", 4): 0.8,
    ("stat_cold", 4): 0.4,
    ("unlink", 4): 0.4,
    ("small_write", 4): 0.25,
    ("small_read", 4): 0.25,
    ("seq_write", 1): 0.6,
    ("seq_read", 1): 0.5,
    ("random_read", 1): 0.25,
}
STREAMS = ("seq_write", "seq_write_synced", "seq_read", "seq_read_far")
COLORS = {"rideau": "#1f6f8b", "MooseFS": "#c06c2b", "disk": "#8a8a8a"}


def ratio(side, null, key):
    """The median of the rounds' ratios."""
    return statistics.median(ours / theirs for ours, theirs in zip(side.rates[key], null.rates[key]))


def amount(rate):
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def label(key):
    phase, processes = key
    return f"{phase} ×{processes}"


def markdown(sides, keys):
    null, rideau = sides["null"], sides["rideau"]
    others = [side for name, side in sides.items() if name not in ("null", "rideau")]
    head = ["phase", "processes", "of null", "bar", "Rideau", "null FUSE", *(side.name for side in others),
            "CPU µs an operation: client / mds / oss", "null"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for key in keys:
        phase, processes = key
        reached = ratio(rideau, null, key)
        bar = BARS.get(key)
        unit = " MiB/s" if phase in STREAMS else "/s"
        cells = [phase, str(processes), f"{reached:.2f}",
                 "" if bar is None else f"{bar:.2f} " + ("reached" if reached >= bar else "missed"),
                 *(amount(statistics.median(side.rates[key])) + unit for side in (rideau, null, *others)),
                 " / ".join(cost(rideau, key, role) for role in rideau.roles), cost(null, key, "null")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cost(side, key, role):
    return f"{statistics.median(one[role] for one in side.costs[key]):.0f}"


def svg(sides, keys):
    """Bars of rates as shares of null FUSE; a black mark is the bar to reach."""
    shown = [side for name, side in sides.items() if name != "null"]
    row, thick, left, width, most = 16 * len(shown) + 14, 13, 170, 560, 1.5
    height = row * len(keys) + 70

    def x(share):
        return left + width * min(share, most) / most

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for step in range(0, 7):
        share = step / 4
        out.append(f'<line x1="{x(share):.0f}" y1="34" x2="{x(share):.0f}" y2="{height - 30}" stroke="#dddddd"/>')
        out.append(f'<text x="{x(share):.0f}" y="{height - 14}" text-anchor="middle">{share:g}</text>')
    for number, side in enumerate(shown):
        at = left + 130 * number
        out.append(f'<rect x="{at}" y="10" width="12" height="12" fill="{COLORS[side.name]}"/>')
        out.append(f'<text x="{at + 18}" y="20">{side.name}</text>')
    out.append('<text x="8" y="20">rate / null FUSE</text>')
    for index, key in enumerate(keys):
        top = 40 + row * index
        out.append(f'<text x="{left - 8}" y="{top + row / 2}" text-anchor="end">{label(key)}</text>')
        for number, side in enumerate(shown):
            share = ratio(side, sides["null"], key)
            y = top + 16 * number
            out.append(f'<rect x="{left}" y="{y}" width="{max(x(share) - left, 1):.1f}" height="{thick}" '
                       f'fill="{COLORS[side.name]}"/>')
            more = "…" if share > most else ""
            out.append(f'<text x="{x(share) + 4:.0f}" y="{y + 11}" font-size="10">{share:.2f}{more}</text>')
        if key in BARS:
            at = x(BARS[key])
            out.append(f'<line x1="{at:.0f}" y1="{top - 2}" x2="{at:.0f}" y2="{top + 16 * len(shown)}" '
                       'stroke="black" stroke-width="2"/>')
    out.append("</svg>")
    return "\n".join(out) + "\n"

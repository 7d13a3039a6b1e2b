"""A bar chart, drawn by gnuplot."""

import subprocess
from pathlib import Path

from kit.say import fail

HEAD = """
set terminal svg size 900,420 font 'sans-serif,12' background '#ffffff'
set output '{file}'
set style data histograms
set style histogram clustered gap 1
set style fill solid border -1
set boxwidth 0.9
set logscale y
set ylabel 'requests a second (logarithmic)'
set grid ytics
set xtics rotate by -25
set key top left horizontal
"""


def bars(file: Path, groups: dict[str, dict[str, float]]) -> None:
    """A cluster of bars for each group, a colour for each name in it."""
    names = sorted({name for group in groups.values() for name in group})
    table = "\n".join(f'"{group}" ' + " ".join(f"{bar.get(name, 0):.0f}" for name in names)
                      for group, bar in groups.items())
    columns = ", ".join(f"$data using {i + 2}{':xtic(1)' if i == 0 else ''} title '{name}'"
                        for i, name in enumerate(names))
    script = f"{HEAD.format(file=file)}\n$data << EOD\n{table}\nEOD\nplot {columns}\n"
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"gnuplot: {done.stderr}")

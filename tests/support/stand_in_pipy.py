"""A process in the place of Pipy: reads `config.json` at start and on SIGHUP, and says so.

    stand_in_pipy.py FOLDER

The file `orders` in the folder says how the next reloads go: `ok`, `refuse`, `refuse-if TEXT`
(where the file has that text), `hang` (no word), `die` (exits with 3), `slow` (until `orders` says
something else) or `split` (one thread refuses, another does not). What was read goes to `seen`,
a version for each line; `broken` says that it was no JSON. SIGTERM ends it with 7.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

HANDLED = {signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1}


def main(folder: Path) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    (folder / "pid").write_text(str(os.getpid()))
    note(folder, version(folder))
    print("[start] pipy stands in", flush=True)
    while True:
        match signal.sigwait(HANDLED):
            case signal.SIGTERM:
                return 7
            case signal.SIGUSR1:
                print("[usr1]", flush=True)
            case _:
                status = reload(folder)
                if status:
                    return status


def reload(folder: Path) -> int:
    number = version(folder)
    note(folder, number)
    while (order := orders(folder)) == "slow":
        time.sleep(0.005)
    if order.startswith("refuse-if "):
        text = (folder / "config.json").read_text()
        order = "refuse" if order.removeprefix("refuse-if ") in text else "ok"
    match order:
        case "split":
            print("[restart] Codebase reloaded on thread 0", flush=True)
            print("[restart] Failed reloading codebase", file=sys.stderr, flush=True)
        case "refuse":
            print("syntax error in the night", file=sys.stderr, flush=True)
            print("[restart] Failed reloading codebase", file=sys.stderr, flush=True)
        case "hang":
            pass
        case "die":
            print("out of everything", file=sys.stderr, flush=True)
            return 3
        case _:
            print("[restart] Codebase reloaded on thread 0", flush=True)
    return 0


def orders(folder: Path) -> str:
    try:
        return (folder / "orders").read_text().strip()
    except FileNotFoundError:
        return "ok"


def version(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text())["Version"])
    except (OSError, ValueError):
        return "broken"


def note(folder: Path, text: str) -> None:
    with (folder / "seen").open("a") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

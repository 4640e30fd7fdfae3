"""``make docs``: the handbook as HTML. A broken link or any other warning is an error."""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from .pages import pages

HERE = Path(__file__).parent
DOCS = HERE.parent


def write_sources(folder: Path) -> None:
    """What Sphinx reads: the pages of `docs/` with the scripts that they name, and those that are made."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns(HERE.name, "__pycache__"))
    for name, text in pages():
        path = folder / f"{name}.rst"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def build(sources: Path, out: Path) -> int:
    """Make HTML of a folder of pages; what is returned is 0 if nothing was to be complained of."""
    shutil.rmtree(out, ignore_errors=True)
    gc.set_threshold(100_000)  # documents are trees of many small objects, nearly none of which is garbage
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky"]
    places = [f"--conf-dir={HERE}", f"--doctree-dir={sources / '.doctrees'}", str(sources), str(out)]
    return build_main(["--quiet", *strict, *places])


def main() -> int:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m handbook", description="Build the handbook.")
    parser.add_argument("--out", type=Path, default=DOCS.parent / "build" / "docs", help="the folder of the pages")
    out = parser.parse_args().out.resolve()
    sources = out.with_name(f"{out.name}-sources")
    write_sources(sources)
    status = build(sources, out)
    if status == 0:
        print(f"The handbook: open {out / 'index.html'} in a browser.")
    return status


if __name__ == "__main__":
    sys.exit(main())

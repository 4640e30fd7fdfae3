"""The wheel, not the checkout: what is in it, and that it works where the checkout is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import crosscheck as cc
import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(marker.parent for marker in CHECKOUT.glob("*/__init__.py"))
"""The folders at the root that are packages; what stands beside them is not shipped."""


def shipped() -> set[str]:
    """The path in the wheel of every file of the checkout that belongs into it."""
    files = [CHECKOUT / "py.typed", *CHECKOUT.glob("*.py")]
    files += [file for package in PACKAGES for file in package.rglob("*.py")]
    files += (CHECKOUT / "cases").glob("*.toml")
    files += (file for kind in ("html", "css", "js") for file in (CHECKOUT / "rendering" / "pages").glob(f"*.{kind}"))
    files += (CHECKOUT / "exercises" / "templates").glob("*.jinja")
    return {f"crosscheck/{file.relative_to(CHECKOUT).as_posix()}" for file in files}


def execute(*command: str | Path, cwd: Path) -> str:
    """What a command prints; the test fails, with what it said, unless it succeeds."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from a copy: setuptools packs whatever an earlier build left in build/."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    copy.mkdir()
    for entry in CHECKOUT.iterdir():
        if entry.is_file():
            shutil.copy(entry, copy)
        elif entry in PACKAGES or entry.name in {"benchmarks", "docs", "tests"}:
            shutil.copytree(entry, copy / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
    for stray in ("reports/article/agreement.py", "reports/samples/sample.toml", "docs/example.py"):
        (copy / stray).parent.mkdir(parents=True, exist_ok=True)
        (copy / stray).write_text("")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder)
    execute(*pip, copy, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with the wheel and with what this one has, except for the checkout.

    A folder that a ``.pth`` file names is searched, but its own ``.pth`` files are not read, and it is one of those
    that leads to the checkout. The wheel is installed first, or pip would find it to be there already.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    execute(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n" + sysconfig.get_path("platlib") + "\n")
    return python.parent


def test_the_version_is_the_same_everywhere(wheel: Path) -> None:
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert cc.__version__ == declared
    assert wheel.name.split("-")[:2] == ["crosscheck", declared]


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert sorted(shipped() - names) == [], "missing from the wheel: is the package listed in pyproject.toml?"
    assert sorted(names - shipped()) == [], "does not belong in the wheel"


def test_the_wheel_has_one_top_level_name_and_the_license(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        metadata = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        assert archive.read(metadata["top_level.txt"]).decode().split() == ["crosscheck"]
        assert archive.read(metadata["LICENSE"]) == (CHECKOUT / "LICENSE").read_bytes()


def test_the_wheel_needs_no_framework(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needs = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert any("numpy" in line for line in needs)
    assert not [line for line in needs if any(framework in line for framework in ("torch", "jax", "optax"))]


def test_what_is_imported_is_the_wheel(installed: Path) -> None:
    home = execute(installed / "python", "-I", "-c", "import crosscheck; print(crosscheck.__file__)", cwd=installed)
    assert Path(home.strip()).is_relative_to(installed.parent.resolve())
    assert not Path(home.strip()).is_relative_to(CHECKOUT)


def test_the_installed_package_computes_a_case(installed: Path) -> None:
    code = "import crosscheck as cc; print(cc.record(cc.load_case('article'))['0/forward/o.softmax'].round(8))"
    printed = execute(installed / "python", "-I", "-c", code, cwd=installed)
    assert printed.strip() == "[[0.29228018 0.03001013 0.67770969]]"


def test_the_installed_command_lists_the_cases(installed: Path) -> None:
    listed = execute(installed / "crosscheck", "list", "cases", cwd=installed)
    assert {line.split()[0] for line in listed.splitlines()} == {file.stem for file in CHECKOUT.glob("cases/*.toml")}


def test_the_installed_package_is_a_plugin_of_pytest(installed: Path) -> None:
    assert "@pytest.mark.crosscheck(" in execute(installed / "python", "-I", "-m", "pytest", "--markers", cwd=installed)


def test_every_module_of_the_wheel_that_needs_no_framework_can_be_imported(installed: Path) -> None:
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in shipped()
        if name.endswith(".py") and not name.startswith(("crosscheck/adapters/jax/", "crosscheck/adapters/torch/"))
    )
    execute(installed / "python", "-I", "-W", "error", "-c", f"import {', '.join(modules)}", cwd=installed)

"""``crosscheck doctor``: what is installed here."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Say what is installed, at which version, and on which devices it can compute."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from ..adapters import ADAPTERS, NotInstalled, load_adapter

    typer.echo(f"python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for package in ("crosscheck", "numpy", "torch", "jax", "optax", "flax"):
        try:
            typer.echo(f"{package:16}{version(package)}")
        except PackageNotFoundError:
            typer.echo(f"{package:16}not installed")
    for name in ADAPTERS:
        try:
            adapter = load_adapter(name)
        except NotInstalled as error:
            typer.echo(f"{name:16}✗ {error}")
            continue
        problem = adapter.problem()
        devices = ", ".join(f"{device} ({adapter.environment(device)['device']})" for device in adapter.devices())
        typer.echo(f"{name:16}{'✗ ' + problem if problem else '✓ on ' + devices}")

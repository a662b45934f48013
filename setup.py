"""Lets the wheel carry the migrations, which are beside the package in a checkout. All else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["wallet_hooks*"]), "wallet_hooks.migrations", "wallet_hooks.migrations.versions"],
    package_dir={"wallet_hooks.migrations": "migrations"},
)

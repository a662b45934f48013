"""Files of other projects are those that their list names, with licences."""

import re
from hashlib import sha256
from pathlib import Path

import wallet_hooks.console

VENDOR = Path(wallet_hooks.console.__file__).parent / "static" / "vendor"


def test_vendored_files_are_the_listed_versions() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \|.*\(`([^`]+)`\) \| `([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.MULTILINE
    )
    assert {path.name for path in VENDOR.iterdir()} == {"README.md"} | {name for row in rows for name in row[:2]}
    for name, licence, digest in rows:
        assert sha256((VENDOR / name).read_bytes()).hexdigest() == digest
        assert (VENDOR / licence).stat().st_size > 300

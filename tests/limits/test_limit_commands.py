"""`wallet-hooks limit`: options that are refused."""

import pytest

from tests.test_commands import OF_ANN, Shell
from tests.world import World

LIMIT = ("--type", "bet", "--frame", "day")


@pytest.mark.parametrize(
    ("command", "options", "code"),
    [
        ("set", ("--amount", "5", "--reason", "x", "--by", "x" * 101), "bad_by"),
        ("set", ("--amount", "5", "--reason", "x", "--by", " "), "bad_by"),
        ("set", ("--amount", "5", "--reason", "  "), "bad_reason"),
        ("clear", ("--reason", "  "), "bad_reason"),
    ],
    ids=str,
)
def test_invalid_name_or_reason_of_an_operator_limit_is_refused(
    world: World, command: str, options: tuple[str, ...], code: str
) -> None:
    shell = Shell(world.settings.database_url)
    ran = shell.run("limit", command, *OF_ANN, *LIMIT, *options)
    assert (ran.returncode, code in ran.stderr) == (1, True), ran.stderr
    assert shell.ok("limit", "show", *OF_ANN) == "no limits\n"

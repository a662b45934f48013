"""What is in deploy/: each file is read by the tool that it is for, and what it names of the service exists."""

import configparser
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from prometheus_client import REGISTRY

from tests import postgresql
from tests.faults.pgbouncer import PROGRAM, can_prepare
from tests.service import free_port
from tests.world import World
from wallet_hooks import telemetry
from wallet_hooks.cli import cli
from wallet_hooks.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
# Of the probes, not of the registry.
OTHER_METRICS = {"wallet_hooks_open_stakes_minor_units"}
# Beside the settings the one that is read by an option of `betslips follow`.
SETTINGS = {f"WALLET_HOOKS_{field.name.upper()}" for field in fields(Settings)} | {"WALLET_HOOKS_FOLLOW_URL"}


def metrics() -> set[str]:
    """Return the names of all time series of the service."""
    assert telemetry.CALLBACKS  # registers them
    names = set()
    for metric in REGISTRY.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
        names |= {metric.name + suffix for suffix in suffixes}
    return names | OTHER_METRICS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_settings_and_metrics_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"WALLET_HOOKS_[A-Z_]+", text)) <= SETTINGS
    named = (
        set(re.findall(r"\bwallet_hooks_[a-z_]+(?=[{\[)\s\"\\])", text)) if path.suffix in {".yml", ".json"} else set()
    )
    assert named <= metrics()


def test_every_metric_of_the_callbacks_is_on_the_dashboard() -> None:
    dashboard = (DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8")
    for name in ("callbacks", "callback_seconds", "refusals", "group_size", "database_seconds", "group_faults"):
        assert f"wallet_hooks_{name}" in dashboard
    panels = json.loads(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_valid_for_kubernetes(path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        kubernetes_validate.validate(manifest, "1.33", strict=True)
        for container in _containers(manifest):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            _check_command(container.get("command", []))


def _containers(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "containers" in manifest:
        yield from [*manifest["containers"], *manifest.get("initContainers", [])]
    for value in manifest.values():
        if isinstance(value, dict):
            yield from _containers(value)


def _check_command(words: list[str]) -> None:
    """Check that a command of ours exists; the words of other programs are theirs."""
    if words[:1] == ["wallet-hooks"]:
        command: click.Command = cli
        for word in words[1:]:
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(cli), word)
            assert found is not None, word
            command = found


def test_the_compose_file_runs_commands_that_exist() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        _check_command(service.get("command", []))
        assert set(service.get("depends_on", {})) <= set(services)
    assert services["wallet-hooks"]["read_only"] is True
    for mount in (mount for service in services.values() for mount in service.get("volumes", [])):
        source = mount.partition(":")[0]
        assert not source.startswith(".") or (DEPLOY / source).exists()


def run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_accepts_its_configuration_and_the_alerts() -> None:
    run("promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yml"))


def test_the_first_callback_that_fails_raises_the_alert(world: World, tmp_path: Path) -> None:
    series = 'wallet_hooks_callbacks_total{path="/bets",status="500"}'
    assert f"{series} " in world.client.get("/metrics").text, "from the start"
    rule = {"eval_time": "3m", "alertname": "CallbacksFailByDefect"}
    fires = {
        "exp_labels": {"severity": "page"},
        "exp_annotations": {"summary": "callbacks get 500; the log has the traceback by request_id"},
    }
    tests = {
        "rule_files": [str(DEPLOY / "prometheus/alerts.yml")],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": series, "values": values}],
                "alert_rule_test": [rule | {"exp_alerts": alerts}],
            }
            for values, alerts in (("0 0 1 1 1", [fires]), ("7 7 7 7 7", []))
        ],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    run("promtool", "test", "rules", str(tmp_path / "tests.yml"))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("2a00:1450:4001:81c:dead:beef:1:2", "2a00:1450:4001:81c"),
        ("2a00:1450:4001:81c::5", "2a00:1450:4001:81c"),
        ("2a00:1450:4001:81c:1::5", "2a00:1450:4001:81c"),
        ("2a00:1450:4001::5", "2a00:1450:4001:"),
        ("2a00:1450:4001:0:a:b:c:d", "2a00:1450:4001:"),
        ("2a00:1450::5", "2a00:1450:"),
        ("2a00:1450::a:b:c:d", "2a00:1450:"),
        ("64:ff9b::1.2.3.4", "64:ff9b::1.2.3.4"),
        ("2a00:1450:0:1:a::b", "2a00:1450:0:1"),
    ],
)
def test_nginx_counts_logins_by_ipv6_network(address: str, network: str) -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    (body,) = re.findall(r"map \$remote_addr \$wallet_hooks_network \{(.+?)\n\}", text, re.DOTALL)
    patterns = re.findall(r'"~(\S+)"', body)
    found = (match.groupdict().get("part", address) for one in patterns if (match := re.match(one, address)))
    assert next(found, address) == network


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    """With a certificate of our own, and paths that a test may write."""
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for old in re.findall(r"/etc/nginx/\S+?(?=;)|/var/log/nginx/\S+", text):
        text = text.replace(old, str(tmp_path / Path(old).name))
    if shutil.which("openssl"):
        key, certificate = tmp_path / "wallet.example.key", tmp_path / "wallet.example.crt"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=wallet.example",
            "-keyout", str(key), "-out", str(certificate))  # fmt: skip
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{text}\n}}\n")
    run("nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log"))


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """With programs that exist: it refuses a unit whose program is not installed."""
    units = []
    for unit in sorted(path for kind in ("service", "socket", "timer") for path in DEPLOY.glob(f"*.{kind}")):
        text = unit.read_text(encoding="utf-8").replace("/opt/wallet-hooks/bin/gunicorn", "/bin/true")
        units.append(tmp_path / unit.name)
        units[-1].write_text(text.replace("/opt/wallet-hooks/bin/wallet-hooks", "/bin/true"))
    run("systemd-analyze", "verify", "--recursive-errors=no", *map(str, units))


@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")
def test_pgbouncer_accepts_its_configuration(tmp_path: Path, postgresql_server: postgresql.Server) -> None:
    text = (DEPLOY / "pgbouncer.ini").read_text(encoding="utf-8")
    if not can_prepare():  # as the comment in the file says
        text = re.sub(r"(?m)^max_prepared_statements.*\n", "", text)
    text = text.replace("listen_port = 6432", f"listen_port = {free_port()}\nunix_socket_dir =")
    text = text.replace("/etc/pgbouncer/userlist.txt", str(tmp_path / "userlist.txt"))
    # As another user: it refuses to run as root.
    user = Path(postgresql_server.socket_dir).owner() if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        configuration = Path(directory) / "pgbouncer.ini"
        configuration.write_text(text)
        with subprocess.Popen([str(PROGRAM), str(configuration)], user=user, stderr=subprocess.PIPE, text=True) as ran:
            assert ran.stderr is not None
            printed = []
            for line in ran.stderr:
                printed.append(line)
                if "process up" in line or "FATAL" in line:
                    break
            ran.terminate()
    assert "process up" in printed[-1], printed


def test_prometheus_can_read_what_the_dashboard_asks(tmp_path: Path) -> None:
    panels = json.loads((DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8"))["panels"]
    asked = [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel["targets"]]
    rules = [{"record": f"dashboard:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", str(tmp_path / "rules.yml"))


def test_the_pooler_pools_by_transaction() -> None:
    parser = configparser.ConfigParser()
    parser.read(DEPLOY / "pgbouncer.ini")
    assert parser["pgbouncer"]["pool_mode"] == "transaction"
    assert int(parser["pgbouncer"]["max_prepared_statements"]) > 0


def test_the_image_takes_only_what_the_package_needs() -> None:
    root = DEPLOY.parent
    copied = re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE)
    kept = [line for line in (root / ".dockerignore").read_text(encoding="utf-8").split() if line[0] == "!"]
    allowed = {line.removeprefix("!").removesuffix("/**") for line in kept}
    for source in (word for line in copied for word in line.split()[:-1]):
        assert (root / source).exists()
        assert source in allowed

"""Configs and secrets as files, never in the environment and never on a disk in the clear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]


def test_config_content(web: Web) -> None:
    project = web("configs: [motd]", more="configs: {motd: {content: 'hello ${WHO:-you}'}}")
    assert project.sh("cat /motd") == "hello you"


def test_config_file(web: Web, tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text("listen 80\n")
    keys = "configs: [{source: site, target: /etc/site.conf}]"
    project = web(keys, more="configs: {site: {file: ./site.conf}}")
    assert project.sh("cat /etc/site.conf") == "listen 80"
    assert project.fails("echo x >/etc/site.conf")


def test_config_of_a_variable(web: Web) -> None:
    project = web("configs: [motd]", more="configs: {motd: {environment: MOTD}}", environ={"MOTD": "good morning"})
    assert project.sh("cat /motd") == "good morning"


def test_secret_file(web: Web, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2\n")
    project = web("secrets: [pw, {source: pw, target: other}]", more="secrets: {pw: {file: ./pw}}")
    assert project.sh("cat /run/secrets/pw /run/secrets/other") == "hunter2\nhunter2"
    assert "hunter2" not in json.dumps(project.inspect())
    assert project.sh("awk '$2 == \"/run/secrets/pw\" {print $3}' /proc/mounts") == "tmpfs"


def test_secret_of_a_variable(web: Web) -> None:
    project = web("secrets: [pw]", more="secrets: {pw: {environment: PW}}", environ={"PW": "hunter3"})
    assert project.sh("cat /run/secrets/pw") == "hunter3"
    assert "hunter3" not in json.dumps(project.inspect())


def test_owner_and_mode(web: Web) -> None:
    keys = """
        configs: [{source: motd, target: /motd, uid: "1000", gid: "1001", mode: 0440}]
        secrets: [{source: pw, target: /pw, uid: "1002", gid: "1003", mode: 0400}]
        """
    project = web(keys, more="configs: {motd: {content: a}}\nsecrets: {pw: {environment: PW}}", environ={"PW": "b"})
    assert project.sh("stat -c '%u %g %a' /motd /pw") == "1000 1001 440\n1002 1003 400"

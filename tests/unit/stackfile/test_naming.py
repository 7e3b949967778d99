"""The name of a stack is told without resolving its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stampede.errors import StackFileError
from stampede.stackfile import stack_name


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    return path


def test_a_missing_variable_does_not_hide_the_name(tmp_path: Path) -> None:
    text = "name: shop\nservices: {web: {image: 'web:${VERSION:?}'}}\nsecrets: {key: {environment: NOT_SET}}\n"
    assert stack_name([file(tmp_path, text)]) == "shop"


def test_a_file_without_a_name_is_called_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my-app"
    folder.mkdir()
    assert stack_name([file(folder, "services: {web: {image: web}}\n")]) == "my-app"


def test_a_name_from_a_variable_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "blue")
    assert stack_name([file(tmp_path, "name: shop-${WHO}\nservices: {web: {image: web}}\n")]) == "shop-blue"


def test_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackFileError):
        stack_name([file(tmp_path, "- a\n- list\n")])

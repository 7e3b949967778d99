"""A login for an image registry."""

from __future__ import annotations

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from stampede.documents import REGISTRY_LOGIN_TYPE


class RegistryLogin(Block):
    """User and password for one registry. Workers use it whenever they pull an image from there."""

    _block_type_name: ClassVar[str] = "Stampede registry login"
    _block_type_slug: ClassVar[str] = REGISTRY_LOGIN_TYPE
    registry: str = Field(description="Host name of the registry, with the port if it has one, as in image references.")
    username: str = Field(description="User name.")
    password: SecretStr = Field(description="Password or access token.")

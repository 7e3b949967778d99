"""Credentials and defaults of the person at the terminal: the usual AWS variables, profile and files, or a prompt."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Any

from stampede.client.stores import Login
from stampede.errors import BadInput


class AwsSettings:
    """What botocore's own chain finds here, for one profile. Asks nobody before it has to.

    Raises: BadInput for a profile that is not there.
    """

    def __init__(self, profile: str | None) -> None:
        from botocore.exceptions import ProfileNotFound
        from botocore.session import Session

        self._session = Session(profile=profile)
        try:
            self._scoped: dict[str, Any] = self._session.get_scoped_config()
        except ProfileNotFound as error:
            raise BadInput(f"{error}", "aws configure list-profiles shows those there are") from error

    @property
    def region(self) -> str:
        """ "" without any."""
        return str(os.environ.get("AWS_REGION") or self._session.get_config_variable("region") or "")

    @property
    def endpoint(self) -> str:
        """ "" without any, which is Amazon's."""
        named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return str(named or self._scoped.get("endpoint_url") or "")

    def login(self) -> Login:
        """Raises: BadInput when there are none and nobody can be asked."""
        from botocore.exceptions import BotoCoreError

        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        except BotoCoreError as error:
            raise BadInput(f"the credentials of AWS's own files cannot be used: {error}") from error
        if frozen is not None and frozen.access_key and frozen.secret_key:
            return Login(frozen.access_key, frozen.secret_key, frozen.token or "")
        return _asked()


def _asked() -> Login:
    if not sys.stdin.isatty():
        raise BadInput(
            "there are no credentials for the store, and nobody can be asked",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile",
        )
    print("Access key: ", end="", file=sys.stderr, flush=True)
    access_key = sys.stdin.readline().strip()
    secret_key = getpass.getpass("Secret key: ").strip()
    if not access_key or not secret_key:
        raise BadInput("a store needs an access key and its secret")
    return Login(access_key, secret_key)

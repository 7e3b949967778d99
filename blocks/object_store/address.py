"""Where an object store is, and how to log in."""

from __future__ import annotations

from pydantic import SecretStr, field_validator

from stampede.errors import BadInput
from stampede.frozen import Frozen


class S3Address(Frozen):
    """Where a store is and how to log in. Without `endpoint` it is Amazon's of that region."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str
    secret_key: SecretStr
    session_token: SecretStr | None = None
    ca_file: str | None = None  # whom to trust instead of this host's own certificate authorities
    conditional_put: bool = True  # False for a server that ignores If-None-Match: then only one host may write

    @field_validator("prefix")
    @classmethod
    def _plain(cls, prefix: str) -> str:
        """Folders with one slash between them: some servers take two for one. Raises: BadInput for . and .."""
        parts = [part for part in prefix.split("/") if part]
        if {".", ".."} & set(parts):
            raise BadInput(f"the prefix {prefix} has a folder . or ..", "servers take those for others: leave it out")
        return "/".join(parts)

    def __str__(self) -> str:
        at = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + at

    @property
    def url(self) -> str:
        """The endpoint, with its default."""
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return (self.endpoint or f"https://s3.{self.region}.{domain}").rstrip("/")

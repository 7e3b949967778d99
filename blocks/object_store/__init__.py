"""Object stores: S3, and what a server honours. The promises are in stampede/backup/store.py."""

from stampede.blocks.object_store.s3 import S3Address, S3Store

__all__ = ["S3Address", "S3Store"]

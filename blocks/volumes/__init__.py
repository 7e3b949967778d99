"""Managed volumes on this host: raw images on a pool that can clone, mounted for containers. Verbs in contract.py."""

from stampede.blocks.volumes.contract import VolumePool
from stampede.blocks.volumes.pool import ImagePool

__all__ = ["ImagePool", "VolumePool"]

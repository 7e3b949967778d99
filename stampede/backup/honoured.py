"""What an S3 server was seen to honour, and what follows for backups."""

from __future__ import annotations

from stampede.frozen import Frozen


class Honoured(Frozen):
    """What a server was seen to do."""

    conditional_put: bool  # PUT with If-None-Match: * of an object that is there is refused, and changes nothing
    one_winner: bool  # … also when eight come at once
    ranges: bool  # a part of an object can be read
    md5_checked: bool  # a body that does not have the MD5 it came with is refused
    versioning: bool  # the bucket keeps what is overwritten or deleted
    object_lock: bool  # the bucket can forbid to delete an object for a time

    @property
    def usable(self) -> bool:
        """Whether backups can be kept there at all."""
        return self.ranges

    @property
    def several_writers(self) -> bool:
        """Whether several hosts may back up and prune there at the same time."""
        return self.conditional_put and self.one_winner

    @property
    def follows(self) -> tuple[str, ...]:
        """What a user should know, a sentence each."""
        said: list[str] = []
        if not self.ranges:
            said.append("it cannot send parts of objects: it cannot be used")
        if not self.several_writers:
            said.append("it does not honour If-None-Match: only one host at a time may write, and nothing checks that")
        if not self.md5_checked:
            said.append("it does not check what it receives: damage on the way is found by verify, not at once")
        if not self.object_lock:
            said.append("its bucket has no object lock: who has the access key can delete all backups")
        if self.versioning and not self.object_lock:
            said.append(
                "its bucket keeps deleted versions: a lifecycle rule has to expire them, or pruning frees nothing"
            )
        return tuple(said)

"""Labels of managed volumes and their snapshots, by which flows find again what they made, and why it was made."""

from __future__ import annotations

KEY = "stampede.volume"  # of a volume: what the stack file calls it
RUN = "stampede.run"  # of a snapshot or volume: the flow run that made it, which makes no second one when resumed
TAKEN_BY = "stampede.taken-by"  # of a snapshot: hand, schedule, deploy or backup
SERVING = "stampede.serving"  # of one taken before a deploy: the revision whose data it holds
REPLACED_BY = "stampede.replaced-by"  # of a snapshot: what it holds was replaced by that snapshot
SERVED = "stampede.served"  # of one taken before a deploy: which revisions had served until then
KEEP = "stampede.keep"  # of a snapshot: something else still needs it, such as the next backup

"""HAProxy on this host: its verbs, and how its process is started."""

from stampede.blocks.haproxy.haproxy import HAProxy, service_argv
from stampede.blocks.haproxy.verbs import Balancer

__all__ = ["Balancer", "HAProxy", "service_argv"]

"""haproxy.cfg for a host, from everything its stacks publish. Written for HAProxy 2.6.

Source: https://docs.haproxy.org/2.6/configuration.html; the figures behind the settings stand in docs/load-balancing.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from stampede.balancer.listeners import BalancedStack, Listener, Server, safe_name
from stampede.frozen import Frozen

FRONT_PREFIX = "front:"  # `show stat NAME` would find only the frontend if its backend had the same name
OPEN_PREFIX = "open:"  # the backend that takes over when every server of a listener is down
CHECK = "check inter 2s fastinter 500ms downinter 300ms fall 3 rise 1"  # a new server is proven after 0.3 s

_GLOBAL = """\
global
  description {fingerprint}
  log stdout format raw daemon notice
  stats socket {admin_socket} mode 600 level admin expose-fd listeners
  stats timeout 10m
  fd-hard-limit 50000
  hard-stop-after 1h
  mworker-max-reloads 20
"""

_DEFAULTS = """
defaults
  log global
  option dontlognull
  option idle-close-on-response
  option redispatch 1
  option clitcpka
  option srvtcpka
  retries 3
  timeout connect 2s
  timeout check 2s
  timeout client 1h
  timeout server 1h
  timeout tunnel 24h
  timeout client-fin 30s
  timeout http-request 30s
  timeout http-keep-alive 60s
"""

_BALANCING = {
    "tcp": "  balance leastconn\n",
    "http": "  balance roundrobin\n  option forwardfor\n  retry-on conn-failure\n",
}


class Surroundings(Frozen):
    """What the configuration needs to know of the host. `user` is whom workers run as; None leaves them as started."""

    admin_socket: Path
    user: str | None = None
    group: str | None = None


def backends_of(listener: Listener) -> tuple[str, str]:
    """Names of the backend whose servers are checked, and of the one used when all of those are down."""
    return listener.name, OPEN_PREFIX + listener.name


def frontend_of(listener: Listener) -> str:
    """Name of what accepts the connections of a listener."""
    return FRONT_PREFIX + listener.name


def render(stacks: Iterable[BalancedStack], host: Surroundings) -> str:
    """The whole configuration. Equal input gives equal text, in whatever order the stacks come."""
    ordered = sorted(stacks, key=lambda stack: stack.stack)
    body = _render_body(ordered)
    return _render_global(host, fingerprint(ordered, host)) + _DEFAULTS + body


def fingerprint(stacks: Iterable[BalancedStack], host: Surroundings) -> str:
    """Says whether a running HAProxy has this configuration, servers aside, which come and go without a reload."""
    bare = [BalancedStack(stack=one.stack, listeners=one.listeners) for one in stacks if one.listeners]
    text = _render_global(host, "") + _DEFAULTS + _render_body(sorted(bare, key=lambda stack: stack.stack))
    return "listeners-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _render_global(host: Surroundings, mark: str) -> str:
    text = _GLOBAL.format(fingerprint=mark, admin_socket=host.admin_socket)
    if host.user and host.group:
        text += f"  user {host.user}\n  group {host.group}\n"
    return text


def _render_body(stacks: Iterable[BalancedStack]) -> str:
    return "".join(
        _render_listener(listener, stack.servers_of(listener.service))
        for stack in stacks
        for listener in stack.listeners
    )


def _render_listener(listener: Listener, servers: Iterable[Server]) -> str:
    checked, fail_open = backends_of(listener)
    servers = tuple(servers)
    frontend = (
        f"\nfrontend {frontend_of(listener)}\n  mode {listener.protocol}\n  bind {_bind(listener)}\n"
        f"  use_backend {fail_open} if {{ nbsrv({checked}) eq 0 }}\n  default_backend {checked}\n"
    )
    return frontend + _render_backend(checked, listener, servers) + _render_backend(fail_open, listener, servers)


def _render_backend(name: str, listener: Listener, servers: Iterable[Server]) -> str:
    staying = (server for server in servers if server.state != "draining")
    lines = "".join(f"  server {_server(name, listener, server)}\n" for server in staying)
    return f"backend {name}\n  mode {listener.protocol}\n{_BALANCING[listener.protocol]}{lines}"


def _server(backend: str, listener: Listener, server: Server) -> str:
    words = [safe_name(server.name), server_options(backend, listener, server)]
    out_of_rotation = server.state == "joining" or (server.state == "unhealthy" and not is_fail_open(backend))
    return " ".join([*words, "disabled"] if out_of_rotation else words)


def server_options(backend: str, listener: Listener, server: Server) -> str:
    """Address and settings of a server, the same in the file and at `add server`, which knows no `default-server`."""
    address = _bracketed(server.address, listener.target)
    return address if is_fail_open(backend) else f"{address} {CHECK}"


def is_fail_open(backend: str) -> bool:
    """Whether this is the backend without checks."""
    return backend.startswith(OPEN_PREFIX)


def _bind(listener: Listener) -> str:
    if listener.host_ip is None:
        return f"*:{listener.port}"
    v6only = " v6only" if isinstance(ip_address(listener.host_ip), IPv6Address) else ""
    return _bracketed(listener.host_ip, listener.port) + v6only


def _bracketed(address: str, port: int) -> str:
    parsed = ip_address(address)
    return f"[{parsed}]:{port}" if isinstance(parsed, IPv6Address) else f"{parsed}:{port}"

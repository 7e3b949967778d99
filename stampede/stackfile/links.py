"""`links` with another name: an alias of the linked service on the networks that both are on.

Docker's own links are seen by one container only and name a container that must not be replaced. An alias is seen by
every service of the network; where that would mix up two services, the stack is refused.
"""

from __future__ import annotations

from stampede.stackfile.complaint import Complaint
from stampede.stackfile.models import Attachment, Service, Stack


def links_as_aliases(stack: Stack) -> Stack:
    """The same stack without links. Raises: Complaint where an alias would stand for two services."""
    owners: dict[tuple[str, str], str] = {}  # (network, alias): the service it stands for
    for name, service in stack.services.items():
        for at, link in enumerate(service.links):
            target, _, alias = link.partition(":")
            if target not in stack.services:
                raise Complaint(("services", name, "links", str(at)), f"no service is called {target}")
            if alias and alias != target:
                _claim(stack, name, at, target, alias, owners)
    services = {name: _with_aliases(name, service, owners) for name, service in stack.services.items()}
    return stack.model_copy(update={"services": services})


def _claim(stack: Stack, name: str, at: int, target: str, alias: str, owners: dict[tuple[str, str], str]) -> None:
    shared = stack.services[name].networks.keys() & stack.services[target].networks.keys()
    path = ("services", name, "links", str(at))
    if not shared:
        raise Complaint(path, f"{name} and {target} share no network", "put both on one network")
    for network in sorted(shared):
        named_so = alias if alias in stack.services and network in stack.services[alias].networks else target
        owner = owners.setdefault((network, alias), named_so)
        if owner != target:
            raise Complaint(path, f"{alias} would stand for {owner} and for {target}", "choose another alias")


def _with_aliases(name: str, service: Service, owners: dict[tuple[str, str], str]) -> Service:
    def attachment(network: str, given: Attachment) -> Attachment:
        added = [alias for (where, alias), owner in owners.items() if (where, owner) == (network, name)]
        aliases = dict.fromkeys((*given.aliases, *sorted(added)))
        return given.model_copy(update={"aliases": tuple(aliases)}) if added else given

    networks = {network: attachment(network, given) for network, given in service.networks.items()}
    return service.model_copy(update={"links": (), "networks": networks})

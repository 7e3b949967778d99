"""The Compose file that a stack leaves behind, read by the reference as docker compose will."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stampede.balancer.listeners import BalancedStack, Listener
from stampede.containers.traits import Traits
from stampede.ejection.compose_file import compose_document, compose_text, ejected_files
from stampede.ejection.decision import decide_ejection, left_behind
from stampede.ejection.models import Ejection, EjectionSite
from stampede.ejection.plan import plan_ejection
from stampede.errors import Foreign, Refused
from stampede.planning.adoption import ComposeProject
from stampede.planning.found import ForeignContainer, FoundHost, FoundInstance, FoundVolume
from stampede.stackfile import load_stack, read_document
from stampede.stackfile.models import Stack
from tests.unit.planning.worlds import BEGINNING, revision_of

PROJECT = ComposeProject(name="shop")


def ejection_of(definition: Stack, **how: Any) -> Ejection:
    found = how.pop("found", FoundHost(host="h1"))
    images = {name: service.image or f"shop-{name}" for name, service in definition.services.items()}
    site = EjectionSite(images=images | how.pop("images", {}), project=PROJECT, **how.pop("site", {}))
    return decide_ejection(definition, 1, "/srv/shop", found, site, to_one=how.pop("to_one", False))


def ejected(services: dict[str, Any], *, sections: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    """The service `web` of the file, or the only one."""
    revision = revision_of(services, **(sections or {}))
    document = compose_document(revision, ejection_of(revision.definition, **how))
    web: dict[str, Any] = document["services"].get("web") or next(iter(document["services"].values()))
    return web


@pytest.mark.parametrize(
    ("said", "restart"),
    [
        ({}, "unless-stopped"),
        ({"restart": "always"}, "always"),
        ({"restart": "no"}, "no"),
        ({"deploy": {"restart_policy": {"condition": "on-failure"}}}, None),
    ],
)
def test_what_the_file_says_of_restarts_stays_and_the_rest_comes_back_at_boot(
    said: dict[str, Any], restart: str | None
) -> None:
    assert ejected({"web": {"image": "a", **said}}).get("restart") == restart


def test_a_job_is_not_started_again_at_boot() -> None:
    services: dict[str, Any] = {
        "job": {"image": "a"},
        "web": {"image": "a", "depends_on": {"job": {"condition": "service_completed_successfully"}}},
    }
    revision = revision_of(services)
    ejection = ejection_of(revision.definition)
    assert ejection.jobs == ("job",)
    assert compose_document(revision, ejection)["services"]["job"]["restart"] == "on-failure"
    assert "job runs once more" in " ".join(plan_ejection(revision, ejection, FoundHost(host="h1")).warnings)


def test_output_stays_rotated_unless_the_file_says_how() -> None:
    assert ejected({"web": {"image": "a"}})["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    own = {"driver": "json-file", "options": {"max-size": "1m"}}
    assert ejected({"web": {"image": "a", "logging": own}})["logging"] == own
    assert "logging" not in ejected({"web": {"image": "a"}}, site={"traits": Traits(log_driver="journald")})


def test_replicas_behind_a_port_go_only_when_told_so_and_others_stay() -> None:
    port = {"target": 80, "published": "8080", "protocol": "tcp", "mode": "ingress"}
    services: dict[str, Any] = {
        "web": {"image": "a", "ports": [port], "scale": 3},
        "worker": {"image": "a", "deploy": {"replicas": 2}},
    }
    definition = revision_of(services).definition
    with pytest.raises(Refused, match="web has 3 replicas behind one port"):
        ejection_of(definition)
    assert ejection_of(definition, to_one=True).single == ("web",)
    web = ejected(services, to_one=True)
    assert ("scale" in web, web["deploy"]["replicas"]) == (False, 1)


def test_a_port_that_was_chosen_is_written_down() -> None:
    ports = [
        {"target": 80, "protocol": "tcp", "mode": "ingress", "published": "443"},
        {"target": 81, "protocol": "tcp", "mode": "ingress"},
        {"target": 82, "protocol": "tcp", "mode": "ingress", "published": "7000-7010"},
    ]
    listeners = (
        Listener(stack="shop", service="web", port=30007, target=81),
        Listener(stack="shop", service="web", port=7003, target=82),
    )
    found = FoundHost(host="h1", balanced=BalancedStack(stack="shop", listeners=listeners))
    web = ejected({"web": {"image": "a", "ports": ports}}, found=found)
    assert [port["published"] for port in web["ports"]] == ["443", "30007", "7003"]


def test_images_go_by_another_name_only_where_theirs_means_something_else_by_now() -> None:
    built = {"build": {"context": "/src"}, "pull_policy": "build", "image": "shop-web"}
    assert {key: ejected({"web": built})[key] for key in built} == built
    kept = ejected({"web": built}, images={"web": "stampede.local/shop/web:12"})
    assert (kept["image"], "build" in kept, "pull_policy" in kept) == ("stampede.local/shop/web:12", False, False)
    assert ejected({"web": {"image": "a"}}, images={"web": "a@sha256:12"})["image"] == "a@sha256:12"


def test_an_old_daemon_is_not_asked_for_what_compose_would_refuse() -> None:
    check = {"test": ["CMD", "true"], "start_interval": "1s"}
    assert "start_interval" not in ejected({"web": {"image": "a", "healthcheck": check}})["healthcheck"]
    newer = {"traits": Traits(api=(1, 44))}
    assert ejected({"web": {"image": "a", "healthcheck": check}}, site=newer)["healthcheck"] == check


def test_one_secret_with_two_modes_is_two_files() -> None:
    services = {
        "web": {"image": "a", "secrets": [{"source": "pw"}]},
        "db": {"image": "a", "secrets": [{"source": "pw", "target": "/pw", "uid": "1000", "mode": "0400"}]},
    }
    revision = revision_of(services, secrets={"pw": {"content": "sesame", "environment": "PW"}})
    files = {file.path: (file.content, file.uid, file.mode) for file in ejected_files(revision)}
    assert files == {"secrets/pw": ("sesame", 0, 0o444), "secrets/pw-1000-0-400": ("sesame", 1000, 0o400)}
    document = compose_document(revision, ejection_of(revision.definition))
    assert document["services"]["db"]["secrets"] == [{"source": "pw-1000-0-400", "target": "/pw"}]
    assert document["secrets"]["pw"] == {"file": "./secrets/pw"}


def test_containers_of_a_project_of_that_name_are_in_the_way() -> None:
    definition = revision_of({"web": {"image": "a"}}).definition
    there = ComposeProject(name="shop", containers=(ForeignContainer(id="c", name="shop-web-1-before-adoption"),))
    site = EjectionSite(images={"web": "a"}, project=there)
    with pytest.raises(Foreign, match="originals of its adoption") as refused:
        decide_ejection(definition, 1, "/srv/shop", FoundHost(host="h1"), site, to_one=False)
    assert refused.value.hint.endswith("docker rm shop-web-1-before-adoption")


def test_the_reference_reads_the_same_stack_from_the_file(tmp_path: Path) -> None:
    """Dollar signs, numbers that are text, and words of YAML 1.1 mean what they meant."""
    (tmp_path / "compose.yaml").write_text(
        dedent("""
        name: shop
        services:
          web:
            image: a
            command: ["sh", "-c", "echo $$HOME on 1e3"]
            environment: {PRICE: "$$5", WORD: "on", N: "012"}
            restart: always
            volumes: ["data:/data:ro"]
            networks: {back: {aliases: [www]}}
        networks: {back: {internal: true}}
        volumes: {data: {name: mine}}
        x-note: {a: 1}
        """)
    )
    loaded = load_stack(cwd=tmp_path, environ={})
    revision = revision_of({"web": {"image": "a"}}).model_copy(update={"document": loaded.document})
    (tmp_path / "compose.yaml").write_text(compose_text(revision, ejection_of(revision.definition)))
    again = load_stack(cwd=tmp_path, environ={}).document
    assert (
        read_document(again).services["web"].model_copy(update={"logging": loaded.stack.services["web"].logging})
        == loaded.stack.services["web"]
    )
    assert again["volumes"] == {"data": {"name": "mine", "external": True}}
    assert (again["networks"], again["x-note"]) == (loaded.document["networks"], {"a": 1})


def test_a_managed_volume_is_copied_into_one_of_dockers_own() -> None:
    mounts = [{"type": "volume", "source": "data", "target": "/data"}]
    revision = revision_of({"web": {"image": "a", "volumes": mounts}})
    managed = FoundVolume(name="shop_data", stack="shop", managed=True)
    found = FoundHost(host="h1", volumes=(managed, managed.model_copy(update={"name": "shop_unused"})))
    ejection = ejection_of(revision.definition, found=found)
    assert ejection.copies == {"shop_data": "shop_data-ejected"}
    document = compose_document(revision, ejection)
    assert document["volumes"] == {"data": {"name": "shop_data-ejected", "external": True}}
    (_, line) = plan_ejection(revision, ejection, found).changes
    assert (line.name, "the original stays in the pool" in line.reason) == ("shop_data", True)


def instance(slot: int, volume: str) -> FoundInstance:
    return FoundInstance(
        id=f"c{slot}",
        name=f"shop-web-{slot}-12",
        host="h1",
        stack="shop",
        service="web",
        slot=slot,
        revision=1,
        spec_hash="v1:12",
        state="running",
        image="a",
        anonymous_volumes={"/scratch": volume, "/of/image": f"{volume}i"},
        created_at=BEGINNING,
    )


def test_volumes_without_a_name_go_along_with_a_single_replica_only() -> None:
    mounts = [{"type": "volume", "target": "/scratch"}]
    found = FoundHost(host="h1", instances=(instance(1, "v1"), instance(2, "v2")))
    for replicas, ports, along in ((1, [], True), (2, [], False), (2, [{"target": 80, "published": "80"}], True)):
        revision = revision_of({"web": {"image": "a", "volumes": mounts, "scale": replicas, "ports": ports}})
        ejection = ejection_of(revision.definition, found=found, to_one=True)
        document = compose_document(revision, ejection)
        named = {mount["target"]: mount.get("source") for mount in document["services"]["web"]["volumes"]}
        if along:
            assert named == {"/scratch": "web-scratch", "/of/image": "web-of-image"}
            assert document["volumes"]["web-scratch"] == {"name": "v1", "external": True}
        else:
            assert named == {"/scratch": None}
        assert left_behind(ejection, found)["shop-web-2"] == ("v2", "v2i")
        assert ("shop-web-1" in left_behind(ejection, found)) is not along

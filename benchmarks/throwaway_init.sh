#!/usr/bin/env bash
# Process 1 of the throw-away dockerd's namespaces: everything ends with it. Usage: throwaway_init.sh FOLDER
set -euo pipefail
FOLDER=$1
mount --make-rprivate /
# Each cgroup hierarchy is mounted anew, so that it begins at our own place in it.
HIERARCHIES=$(awk '$1 !~ /^#/ && $4 == 1 && $2 != 0 { print $1 }' /proc/cgroups)
mount -t sysfs sysfs /sys
if [ -n "$HIERARCHIES" ]; then
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    for controller in $HIERARCHIES; do
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
    done
    # Where these two are in use, runc enters them as well when it runs a health check.
    mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd 2>/dev/null || rmdir /sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified 2>/dev/null || rmdir /sys/fs/cgroup/unified
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$FOLDER/etc" && mount --bind "$FOLDER/etc" /etc/docker
ip link set lo up
# An address that a swarm can advertise: nothing else is on this bridge.
ip link add host0 type bridge
ip addr add 10.77.0.1/24 dev host0
ip link set host0 up
ip route add unreachable default
# A swarm asks a registry for each image, although it has it. Where there is none, the answer has to come at once.
echo nameserver 127.0.0.1 > "$FOLDER/resolv.conf" && mount --bind "$FOLDER/resolv.conf" /etc/resolv.conf
echo 1 > /proc/sys/net/ipv4/ip_forward
exec dockerd --host "unix://$FOLDER/docker.sock" --data-root "$FOLDER/data" --exec-root /run/docker \
    --pidfile /run/docker.pid --userland-proxy=false --iptables=true

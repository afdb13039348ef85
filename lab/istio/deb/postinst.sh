#!/bin/sh
# Stand-in of the package's postinst: the same user, folders, link and modes as Istio's package leaves behind.
set -e
umask 022

if ! getent passwd istio-proxy >/dev/null; then
    groupadd --system istio-proxy
    useradd --system --gid istio-proxy --home-dir /var/lib/istio istio-proxy
fi
[ -e /etc/istio ] || ln -s /var/lib/istio /etc/istio

mkdir -p /var/lib/istio/envoy /var/lib/istio/proxy /var/lib/istio/config /var/log/istio /etc/certs
touch /var/lib/istio/config/mesh
chown istio-proxy:istio-proxy /etc/certs /var/log/istio \
    /var/lib/istio/envoy /var/lib/istio/proxy /var/lib/istio/config /var/lib/istio/config/mesh

# setgid: the capture rules know the proxy by its group as well
chmod 2755 /usr/local/bin/envoy /usr/local/bin/pilot-agent

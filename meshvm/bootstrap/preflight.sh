# shellcheck shell=sh
# Can this machine be joined at all? Everything that can be known before anything is changed.

preflight() {
	[ -d /run/systemd/system ] || fail "systemd does not run here; the runtime SYSTEMD needs it"
	case $(uname -m) in
	x86_64 | aarch64) ;;
	*) fail "the architecture $(uname -m) is not supported; Istio's sidecar packages are for x86_64 and aarch64" ;;
	esac
	[ -r /etc/os-release ] || fail "there is no /etc/os-release, so the system is not known; supported are Debian, Ubuntu and the Red Hat family"
	# shellcheck disable=SC1091
	family=" $(. /etc/os-release && echo "${ID:-linux}${ID_LIKE:+ $ID_LIKE}") "
	case $family in
	*" debian "* | *" ubuntu "*) INSTALL="apt-get install" NEEDED="dpkg" ;;
	*" rhel "* | *" fedora "* | *" centos "*) INSTALL="dnf install" NEEDED="rpm" ;;
	*) fail "the system${family}is not supported; supported are Debian, Ubuntu and the Red Hat family" ;;
	esac
	for name in bash iptables ip ss sudo hostname sha256sum $NEEDED; do
		command -v "$name" >/dev/null || fail "the command $name is missing; run: $INSTALL $(package_of "$name")"
	done
	for place in /etc /usr/local /var/lib; do
		probe=$place/.meshvm.$$
		true >"$probe" || fail "$place cannot be written: its file system is full or read-only; free it and run the update again"
		rm -f "$probe"
	done
	free=$(df -Pk /usr/local | awk 'NR == 2 { print $4 }')
	[ "$free" -ge 262144 ] || fail "the file system of /usr/local has $((free / 1024)) MiB free and the sidecar needs 256; free some and run the update again"
}

package_of() {
	case $1 in
	ip | ss) [ "$NEEDED" = rpm ] && echo iproute || echo iproute2 ;;
	sha256sum) echo coreutils ;;
	*) echo "$1" ;;
	esac
}

# The first boot may still be at work, and hold the package manager.
first_boot_done() {
	command -v cloud-init >/dev/null || return 0
	timeout 600 cloud-init status --wait || log "cloud-init ended with an error, going on"
}
